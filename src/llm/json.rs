//! The one way in which JSON of a server is read: no deeper than [`Limits::depth`], and forgiving
//! where a text can only mean one thing.

use std::fmt;

use memchr::memchr;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Error, Map, Value};

use super::{
    limits::Limits,
    line::{self, BOM},
};

/// Reads a JSON text. A BOM before it is skipped, bytes that are not UTF-8 and halves of
/// surrogate pairs (a server that cut a string in the middle of an emoji) become U+FFFD; of equal
/// names the last counts.
///
/// # Errors
/// Not JSON: [`Error::is_eof`] when only its end is missing, [`Error::is_data`] when it is nested
/// too deeply.
pub(crate) fn parse(text: impl AsRef<[u8]>) -> Result<Value, Error> {
    let bytes = text.as_ref();
    let text = line::text(bytes.strip_prefix(BOM).unwrap_or(bytes));
    let levels = Levels::new(false);
    levels.read(&text).or_else(|error| {
        let mended = (!error.is_data()).then(|| without_halves(&text)).flatten();
        mended.map_or(Err(error), |mended| levels.read(&mended))
    })
}

/// Reads a JSON text more strictly than JSON asks: a name that stands twice is an error, and
/// nothing is mended.
///
/// # Errors
/// As of [`parse`].
pub(crate) fn parse_strictly(text: &str) -> Result<Value, Error> {
    Levels::new(true).read(text)
}

#[derive(Clone, Copy)]
struct Levels {
    /// How many may still be opened.
    left: usize,
    unique_names: bool,
}

impl Levels {
    fn new(unique_names: bool) -> Self {
        Self {
            left: Limits::DEFAULT.depth,
            unique_names,
        }
    }

    fn read(self, text: &str) -> Result<Value, Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        let value = self.deserialize(&mut json)?;
        json.end()?;
        Ok(value)
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left, ..self }),
            None => Err(E::custom(format_args!(
                "nested deeper than {} levels",
                Limits::DEFAULT.depth
            ))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Levels {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Levels {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if self.unique_names && map.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "the name {name:?} stands twice"
                )));
            }
            let value = entries.next_value_seed(inner)?;
            map.insert(name, value);
        }
        Ok(map.into())
    }
}

/// The text with each `\u` escape of half a surrogate pair replaced, if it has one.
fn without_halves(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut has_half = false;
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        let (before, escape) = rest.split_at(at);
        let (length, is_half) = match unit(escape) {
            Some(0xD800..=0xDBFF) => match escape.get(6..).and_then(unit) {
                Some(0xDC00..=0xDFFF) => (12, false),
                _ => (6, true),
            },
            Some(0xDC00..=0xDFFF) => (6, true),
            // At least the character that is escaped, which may be a backslash.
            _ => (1 + escape.chars().nth(1).map_or(0, char::len_utf8), false),
        };
        let (escape, after) = escape.split_at_checked(length)?;
        out.push_str(before);
        out.push_str(if is_half { "\\ufffd" } else { escape });
        has_half |= is_half;
        rest = after;
    }
    out.push_str(rest);
    has_half.then_some(out)
}

/// The UTF-16 code unit that a text begins with as `\uXXXX`.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn the_depth_of_the_limit_passes_and_one_more_does_not() {
        assert!(parse(nested(64)).is_ok());
        for text in [nested(65), nested(100_000), "{\"a\":".repeat(65)] {
            let error = parse(&text).unwrap_err();
            assert!(error.is_data() && !error.is_eof(), "{error}");
            assert!(
                error
                    .to_string()
                    .starts_with("nested deeper than 64 levels"),
                "{error}"
            );
            assert!(parse_strictly(&text).unwrap_err().is_data());
        }
    }

    #[test]
    fn what_can_only_mean_one_thing_is_mended() {
        for (text, value) in [
            (&b"\xEF\xBB\xBF {\"a\":1} "[..], json!({"a": 1})),
            (b"\"\xff\"", json!("\u{fffd}")),
            (br#""\ud83e\udd80""#, json!("🦀")),
            (br#""a\ud83e""#, json!("a\u{fffd}")),
            (br#""\udd80b""#, json!("\u{fffd}b")),
            (br#""\ud83e\ud83e\udd80""#, json!("\u{fffd}🦀")),
            (br#"["\\ud83e", "\udc00"]"#, json!(["\\ud83e", "\u{fffd}"])),
            (br#"{"a":1,"a":2}"#, json!({"a": 2})),
        ] {
            assert_eq!(parse(text).unwrap(), value, "{}", text.escape_ascii());
        }
        for text in [r#""a\ud83e""#, r#"{"a":1,"a":2}"#, "\u{feff}1"] {
            assert!(parse_strictly(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_text_without_its_end_is_told_from_one_that_is_wrong() {
        for text in ["", " ", "{\"a\":[1", "\"a\\", "\"\\ud83e"] {
            assert!(parse(text).unwrap_err().is_eof(), "{text}");
        }
        for text in ["{}}", "nope", "\"\\x\"", "\u{feff}\u{feff}1"] {
            assert!(parse(text).unwrap_err().is_syntax(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_serde_json_reads_is_read_alike(text in "[\\[\\]{}:,\"a1 .\\\\ud8cn-]{0,40}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(parse(&text).unwrap(), value);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn halves_of_pairs_never_stop_a_string(parts in prop::collection::vec(
            prop::sample::select(&["\\ud83e", "\\udd80", "\\u00e9", "\\\\", "\\n", "é", "x", "\\\""][..]), 0..12)
        ) {
            let text = format!("\"{}\"", parts.concat());
            prop_assert!(parse(&text).is_ok(), "{}", text);
        }
    }
}
