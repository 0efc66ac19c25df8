//! Arguments that are not quite a JSON object, where only one object can be meant.
//!
//! One repair at most is made, and none is a guess: what is repaired reads the same to everybody
//! who reads it at all. Brackets and quotes that are missing, trailing commas, single quotes, text
//! around an object and two objects are left to the model, which is told.

use serde_json::{Map, Value};

use crate::llm::parse_arguments;

/// The one object that is meant, and what was done to find it.
pub(super) fn repair(raw: &str) -> Option<(Value, &'static str)> {
    let raw = raw.trim();
    let found = |text: &str| parse_arguments(text).ok();
    if raw == "null" {
        return Some((Value::Object(Map::new()), "null was taken for no arguments"));
    }
    if let Some(object) = fenced(raw).and_then(found) {
        return Some((object, "the code fence around them was taken off"));
    }
    if let Some(object) = quoted(raw).as_deref().and_then(found) {
        return Some((object, "they were a JSON string that holds an object"));
    }
    let object = escaped(raw).as_deref().and_then(found)?;
    Some((object, "line breaks and tabs inside strings were escaped"))
}

/// What stands between the lines of one Markdown code fence, if that is all there is.
fn fenced(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("```")?.strip_suffix("```")?;
    let (language, inside) = inside.split_once('\n')?;
    let inside = inside.trim();
    let plain = matches!(language.trim(), "" | "json" | "JSON");
    // Nothing at all in it would be read as no arguments.
    (plain && !inside.is_empty()).then_some(inside)
}

/// What a JSON string holds, unless that is nothing.
fn quoted(text: &str) -> Option<String> {
    if !text.starts_with('"') {
        return None;
    }
    let inside: String = serde_json::from_str(text).ok()?;
    (!inside.trim().is_empty()).then_some(inside)
}

/// With the control characters inside of strings escaped, as JSON wants them; `None` without any.
fn escaped(text: &str) -> Option<String> {
    let mut whole = String::with_capacity(text.len() + 64);
    let mut in_string = false;
    let mut after_backslash = false;
    let mut found = false;
    for c in text.chars() {
        if in_string && c < ' ' {
            // After a backslash it is no escape that anybody knows.
            if after_backslash {
                return None;
            }
            found = true;
            whole.push_str(&format!("\\u{:04x}", u32::from(c)));
            continue;
        }
        match c {
            _ if after_backslash => after_backslash = false,
            '\\' if in_string => after_backslash = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        whole.push(c);
    }
    found.then_some(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(raw: &str) -> Option<Value> {
        repair(raw).map(|(object, _)| object)
    }

    #[test]
    fn what_can_mean_one_object_only_is_that_object() {
        let a = || Some(json!({"a": "b"}));
        assert_eq!(object(" null "), Some(json!({})));
        assert_eq!(object("```json\n{\"a\": \"b\"}\n```"), a());
        assert_eq!(object("```\n{\"a\":\n\"b\"}```\n"), a());
        assert_eq!(object(r#""{\"a\": \"b\"}""#), a());
        assert_eq!(
            object("{\"a\": \"one\n\ttwo\"}"),
            Some(json!({"a": "one\n\ttwo"}))
        );
    }

    #[test]
    fn what_would_be_a_guess_is_left_alone() {
        for raw in [
            "",
            "{",
            "{\"a\": \"b\"",
            "{\"a\": \"b\",}",
            "{'a': 'b'}",
            "{a: 1}",
            "{\"a\": True}",
            "{\"a\": 1}{\"a\": 1}",
            "Here you are: {\"a\": 1}",
            "{\"a\": 1} // done",
            "{\"a\": \"one\ntwo}",
            "{\"a\": \"one\\\ntwo\"}",
            "{\"a\": \"x\n\", \"a\": \"y\"}",
            "```json\n```",
            "```python\n{\"a\": 1}\n```",
            "```json\n{\"a\": 1}\n```\n```json\n{\"a\": 2}\n```",
            "\"\"",
            "\"null\"",
            r#""\"{}\"""#,
            "[{\"a\": 1}]",
            "[]",
            "3",
            "true",
        ] {
            assert_eq!(object(raw), None, "{raw}");
        }
    }

    fn any_object() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~\n\t\r\u{1}äß🦀\"\\\\{}`]{0,12}".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\n\"]{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        prop::collection::btree_map("[a-z\n\"]{0,4}", value, 0..5)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn every_repair_gives_back_the_object_that_was_meant(meant in any_object()) {
            let text = meant.to_string();
            prop_assert_eq!(object(&format!("```json\n{text}\n```")), Some(meant.clone()));
            prop_assert_eq!(object(&Value::from(text.clone()).to_string()), Some(meant.clone()));
            let careless = text
                .replace("\\n", "\n")
                .replace("\\t", "\t")
                .replace("\\r", "\r");
            // Where a backslash stood before them, the text means something else by now.
            if careless != text && !text.contains("\\\\") {
                prop_assert_eq!(object(&careless), Some(meant));
            }
        }

        #[test]
        fn a_beginning_of_an_object_is_never_repaired(meant in any_object(), at in any::<prop::sample::Index>()) {
            let text = meant.to_string();
            let cut = at.index(text.len());
            prop_assume!(text.is_char_boundary(cut));
            prop_assert_eq!(object(&text[..cut]), None);
        }

        #[test]
        fn nothing_makes_it_panic_and_only_objects_come_out(raw in "[\"{}\\[\\]:,`a\n\\\\0-9 ]{0,40}") {
            if let Some(object) = object(&raw) {
                prop_assert!(object.is_object());
            }
        }
    }
}
