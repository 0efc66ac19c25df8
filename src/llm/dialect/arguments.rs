//! A call's arguments as JSON, read more strictly than JSON asks: what a tool gets must be what
//! anyone who checks the text sees.

use serde_json::{Map, Value};

use crate::llm::json;

/// Reads arguments; nothing at all means an empty object.
///
/// # Errors
/// A sentence for the model: not JSON, not an object, a name twice, too deep.
pub fn parse(raw: &str) -> Result<Value, String> {
    if raw.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let value = json::parse_strictly(raw)
        .map_err(|error| format!("the arguments are not valid JSON: {error}"))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err("the arguments are not a JSON object".to_owned())
    }
}

/// Watches arguments grow and knows when their outermost object has closed. Each byte is looked
/// at once: asking a parser after every fragment would take quadratic time.
#[derive(Debug, Clone, Default)]
pub(super) struct Closure {
    depth: u32,
    in_string: bool,
    escaped: bool,
    closed: bool,
}

impl Closure {
    pub(super) fn feed(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.closed |= self.depth == 0;
                }
                _ => {}
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_read_in_the_order_of_their_names() {
        let value = parse(r#" {"b":[1,-2,0.5,null,true],"a":{"x":"é"}} "#).unwrap();
        assert_eq!(
            value,
            json!({"b": [1, -2, 0.5, null, true], "a": {"x": "é"}})
        );
        assert_eq!(
            value.to_string(),
            r#"{"b":[1,-2,0.5,null,true],"a":{"x":"é"}}"#
        );
        assert_eq!(parse("").unwrap(), json!({}));
        assert_eq!(parse(" \n").unwrap(), json!({}));
    }

    #[test]
    fn an_object_is_closed_by_its_own_last_brace() {
        let mut closure = Closure::default();
        for (piece, closed) in [
            ("{\"a\":{\"b\":\"}", false),
            ("\\\"}\"", false),
            ("}", false),
            (" }", true),
            (" ", true),
        ] {
            closure.feed(piece);
            assert_eq!(closure.is_closed(), closed, "{piece}");
        }
    }

    #[test]
    fn anything_ambiguous_is_refused() {
        let deep = format!(
            "{}{}",
            "{\"a\":".repeat(65),
            "1".to_owned() + &"}".repeat(65)
        );
        for raw in [
            "{",
            "[]",
            "1",
            "\"{}\"",
            r#"{"a":1}{"a":2}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"x":{"a":1,"a":1}}"#,
            &deep,
        ] {
            assert!(parse(raw).is_err(), "{raw}");
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(64), "}".repeat(64));
        assert!(parse(&deep).is_ok());
    }
}
