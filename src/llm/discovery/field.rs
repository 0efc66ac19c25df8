//! Fields as servers write them: numbers as strings, zero and empty for unknown.

use std::collections::HashMap;

use serde_json::Value;

use crate::llm::sanitize::sanitize;

/// A text to be shown, or to be compared with words we know. An empty one is none.
pub(super) fn text(value: &Value, key: &str) -> Option<String> {
    let text = sanitize(value.get(key)?.as_str()?);
    (!text.is_empty()).then_some(text)
}

/// A positive whole number, however it is written. Servers write 0 for unknown.
pub(super) fn number(value: &Value, key: &str) -> Option<u64> {
    let value = value.get(key)?;
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        _ => None,
    };
    number.filter(|number| *number > 0)
}

/// `8192.0`, as languages with one kind of number write it.
fn whole(number: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and in range"
    )]
    (number.fract() == 0.0 && (0.0..1e15).contains(&number)).then_some(number as u64)
}

pub(super) fn flag(value: &Value, key: &str) -> Option<bool> {
    value.get(key)?.as_bool()
}

/// Whether a list of words has one of these; `None` where there is no list.
pub(super) fn has(value: &Value, key: &str, words: &[&str]) -> Option<bool> {
    let items = value.get(key)?.as_array()?;
    let is_one = |item: &Value| item.as_str().is_some_and(|item| words.contains(&item));
    Some(items.iter().any(is_one))
}

/// A list within an answer; an empty one where there is none.
pub(super) fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let items = value.get(key).and_then(Value::as_array);
    items.map_or(&[], Vec::as_slice)
}

/// Entries by one of their texts.
pub(super) fn index<'a>(entries: &'a [Value], key: &str) -> HashMap<&'a str, &'a Value> {
    let pairs = entries
        .iter()
        .filter_map(|entry| Some((entry.get(key)?.as_str()?, entry)));
    pairs.collect()
}

/// `7.6B`, as people write a number of weights.
pub(super) fn count(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit = text.chars().next_back()?;
    let scale = match unit.to_ascii_uppercase() {
        'K' => 1e3,
        'M' => 1e6,
        'B' => 1e9,
        'T' => 1e12,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?.trim();
    let number: f64 = digits.parse().ok()?;
    whole((number * scale).round()).filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_is_read_however_it_is_written() {
        for (written, read) in [
            (json!(8192), Some(8192)),
            (json!(8192.0), Some(8192)),
            (json!("8192"), Some(8192)),
            (json!(" 8192 "), Some(8192)),
            (json!(0), None),
            (json!("0"), None),
            (json!(-1), None),
            (json!(0.5), None),
            (json!(1e300), None),
            (json!("many"), None),
            (json!(null), None),
            (json!([8192]), None),
        ] {
            assert_eq!(number(&json!({ "n": written }), "n"), read, "{written}");
        }
    }

    #[test]
    fn a_count_of_weights_is_read_with_its_unit() {
        for (written, read) in [
            ("7.6B", Some(7_600_000_000)),
            ("134.52M", Some(134_520_000)),
            ("1.5 b", Some(1_500_000_000)),
            ("1T", Some(1_000_000_000_000)),
            ("8x7B", None),
            ("0B", None),
            ("-1B", None),
            ("7", None),
            ("B", None),
            ("", None),
            ("NaNB", None),
            ("infB", None),
            ("7é", None),
        ] {
            assert_eq!(count(written), read, "{written}");
        }
    }
}
