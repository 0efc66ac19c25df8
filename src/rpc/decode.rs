//! Reading typed values out of JSON texts, with errors that name the field and quote nothing.
//!
//! serde's own messages quote the offending value, which may be a password in the wrong place,
//! and do not say where it stands.

use std::fmt;

use serde::de::DeserializeOwned;

/// Longest problem text, in characters.
const PROBLEM_LENGTH: usize = 300;

/// Most fields that are noted as passed over.
const PASSED_OVER: usize = 32;

/// A JSON text that does not fit the type asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The place in wire spelling (`ssh.jumpHosts[1].port`), where it is known.
    pub field: Option<String>,
    /// What was expected there. Never quotes the value.
    pub problem: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "`{field}`: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

impl std::error::Error for Unreadable {}

/// Reads a `T` out of one JSON text.
pub(super) fn decode<T: DeserializeOwned>(json: &str) -> Result<T, Unreadable> {
    serde_json::from_str(json).map_err(|error| explain(json, &error))
}

/// Reads a method's params: an object. Absent or `null` params count as an empty object, or as
/// `null` for methods whose params type is `()`.
pub(super) fn decode_params<T: DeserializeOwned>(params: Option<&str>) -> Result<T, Unreadable> {
    decode_params_noting(params).map(|(params, _)| params)
}

/// The same, with the places of fields that were passed over, in wire spelling; the first ones if
/// there are very many.
pub(super) fn decode_params_noting<T: DeserializeOwned>(
    params: Option<&str>,
) -> Result<(T, Vec<String>), Unreadable> {
    let nothing = |params| (params, Vec::new());
    match params.map(str::trim) {
        None | Some("null") => decode("{}")
            .or_else(|problem| decode("null").map_err(|_| problem))
            .map(nothing),
        Some(json) if json.starts_with('{') => {
            let mut passed_over = Vec::new();
            let mut deserializer = serde_json::Deserializer::from_str(json);
            let read = serde_ignored::deserialize(&mut deserializer, |path| {
                if passed_over.len() < PASSED_OVER {
                    passed_over.push(place(&path));
                }
            });
            let read = read.and_then(|value| deserializer.end().map(|()| value));
            let value = read.map_err(|error| explain(json, &error))?;
            Ok((value, passed_over))
        }
        Some(_) => Err(Unreadable {
            field: None,
            problem: "expected an object".into(),
        }),
    }
}

fn place(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", place(parent)),
        Path::Map { parent, key } => {
            let mut place = place(parent);
            push_key(&mut place, key);
            place
        }
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => place(parent),
    }
}

fn explain(json: &str, error: &serde_json::Error) -> Unreadable {
    let line_start: usize = json
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let mut path = path_at(json, line_start + error.column());
    let message = error.to_string();
    let message = message
        .rfind(" at line ")
        .and_then(|end| message.get(..end))
        .unwrap_or(&message);

    let problem = if let Some(name) = quoted(message, "missing field `") {
        push_key(&mut path, name);
        "is required".to_owned()
    } else if quoted(message, "unknown field `").is_some() {
        "is not a known field".to_owned()
    } else if quoted(message, "duplicate field `").is_some() {
        "is given twice".to_owned()
    } else if let Some(start) = message.rfind(", expected ") {
        let expected = expected(message.get(start + 2..).unwrap_or_default());
        match kind_of_found(message) {
            Some(found) => format!("{expected}, not {found}"),
            None => expected,
        }
    } else {
        message.to_owned()
    };
    Unreadable {
        field: (!path.is_empty()).then_some(path),
        problem: problem.chars().take(PROBLEM_LENGTH).collect(),
    }
}

fn quoted<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split('`').next()
}

/// "string" out of `invalid type: string "hunter2", expected u16`. Only of `invalid type`:
/// elsewhere the kind is right and the value is wrong.
fn kind_of_found(message: &str) -> Option<&str> {
    let found = message.strip_prefix("invalid type: ")?;
    let kind = found.split(['`', '"', ',']).next()?.trim();
    (!kind.is_empty()).then_some(match kind {
        "map" => "an object",
        "sequence" => "a list",
        "floating point" => "a fraction",
        kind => kind,
    })
}

/// Rust's names for what was expected, in words that say what is allowed.
fn expected(message: &str) -> String {
    let from_zero = |maximum: u64| format!("expected a whole number from 0 to {maximum}");
    match message {
        "expected u8" => from_zero(u8::MAX.into()),
        "expected u16" => from_zero(u16::MAX.into()),
        "expected u32" => from_zero(u32::MAX.into()),
        "expected u64" | "expected usize" => "expected a whole number, 0 or more".to_owned(),
        "expected i32" | "expected i64" => "expected a whole number".to_owned(),
        "expected f32" | "expected f64" => "expected a number".to_owned(),
        "expected a sequence" => "expected a list".to_owned(),
        "expected a map" => "expected an object".to_owned(),
        other => match other.strip_prefix("expected struct ") {
            Some(_) => "expected an object".to_owned(),
            None => other.to_owned(),
        },
    }
}

/// The path of the value that byte `offset` of a JSON text ends or stands in.
fn path_at(json: &str, offset: usize) -> String {
    enum Level {
        Object { key: String, in_key: bool },
        Array { index: usize },
    }
    let bytes = json.as_bytes();
    let mut levels = Vec::new();
    let mut position = 0;
    while let Some(byte) = bytes.get(position).filter(|_| position < offset) {
        position += 1;
        match byte {
            b'{' => levels.push(Level::Object {
                key: String::new(),
                in_key: true,
            }),
            b'[' => levels.push(Level::Array { index: 0 }),
            b'}' | b']' => {
                levels.pop();
            }
            b',' => match levels.last_mut() {
                Some(Level::Object { in_key, .. }) => *in_key = true,
                Some(Level::Array { index }) => *index += 1,
                None => {}
            },
            b':' => {
                if let Some(Level::Object { in_key, .. }) = levels.last_mut() {
                    *in_key = false;
                }
            }
            b'"' => {
                let start = position;
                while let Some(byte) = bytes.get(position) {
                    position += match byte {
                        b'"' => break,
                        b'\\' => 2,
                        _ => 1,
                    };
                }
                if let Some(Level::Object { key, in_key: true }) = levels.last_mut() {
                    *key = json.get(start..position).unwrap_or_default().to_owned();
                }
                position += 1;
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object { key, .. } => push_key(&mut path, &key),
            Level::Array { index } => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

fn push_key(path: &mut String, key: &str) {
    if key.is_empty() {
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    let is_shown = |c: &char| {
        !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    path.extend(key.chars().filter(is_shown).take(64));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "only read")]
    struct Params {
        config_id: String,
        #[serde(default)]
        ssh: Option<Ssh>,
        #[serde(default)]
        names: Vec<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Ssh {
        host: String,
        #[serde(default)]
        port: Option<u16>,
        #[serde(default)]
        policy: Option<Policy>,
        #[serde(default)]
        jump_hosts: Vec<Self>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Policy {
        Ask,
        Strict,
    }

    #[test]
    fn what_is_passed_over_is_named_and_bounded() {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Hop {
            #[serde(rename = "host")]
            _host: String,
            #[serde(default)]
            jump_hosts: Option<Vec<Self>>,
        }
        let params = r#"{"host": "a", "prot": 22, "jumpHosts": [{"host": "b"}, {"host": "c", "x": {"y": 1}}]}"#;
        let (hop, passed_over) = decode_params_noting::<Hop>(Some(params)).unwrap();
        assert_eq!(hop.jump_hosts.unwrap().len(), 2);
        assert_eq!(passed_over, ["prot", "jumpHosts[1].x"]);
        let params = r#"{"host": "a", "x\u001b\u202ey": 1}"#;
        let (_, passed_over) = decode_params_noting::<Hop>(Some(params)).unwrap();
        assert_eq!(passed_over, ["xy"]);

        let many: String = (0..100).map(|n| format!(r#", "x{n}": 1"#)).collect();
        let params = format!(r#"{{"host": "a"{many}}}"#);
        let (_, passed_over) = decode_params_noting::<Hop>(Some(&params)).unwrap();
        assert_eq!(passed_over.len(), PASSED_OVER);
        // Whatever follows the object is still an error.
        assert!(decode_params_noting::<Hop>(Some(r#"{"host": "a"} x"#)).is_err());
    }

    #[test]
    fn a_problem_names_its_field_and_quotes_no_value() {
        let table = [
            (r#"{}"#, "`configId`: is required"),
            (
                r#"{"configId":5}"#,
                "`configId`: expected a string, not integer",
            ),
            (
                r#"{"configId":null}"#,
                "`configId`: expected a string, not null",
            ),
            (
                r#"{"configId":{"x":1}}"#,
                "`configId`: expected a string, not an object",
            ),
            (r#"{"configId":"a","ssh":{}}"#, "`ssh.host`: is required"),
            (r#"{"ssh":{},"configId":"a"}"#, "`ssh.host`: is required"),
            (
                r#"{"configId":"a","ssh":{"host":"h","port":"hunter2, expected x"}}"#,
                "`ssh.port`: expected a whole number from 0 to 65535, not string",
            ),
            (
                r#"{"configId":"a","ssh":{"host":"h","port":70000}}"#,
                "`ssh.port`: expected a whole number from 0 to 65535",
            ),
            (
                r#"{"configId":"a","ssh":{"host":"h","policy":"hunter2"}}"#,
                "`ssh.policy`: expected `ask` or `strict`",
            ),
            (
                r#"{"configId":"a","ssh":{"host":"h","jumpHosts":[{"host":"x"},{"host":"y","port":-1}]}}"#,
                "`ssh.jumpHosts[1].port`: expected a whole number from 0 to 65535",
            ),
            (
                r#"{"configId":"a","ssh":{"host":"h","jumpHosts":[{"host":"x"},{"port":1}]}}"#,
                "`ssh.jumpHosts[1].host`: is required",
            ),
            (
                r#"{"configId":"a","ssh":{"host":"h","hots":1}}"#,
                "`ssh.hots`: is not a known field",
            ),
            (
                r#"{"configId":"a","configId":"b"}"#,
                "`configId`: is given twice",
            ),
            (
                r#"{"configId":"a","ssh":{"host":"h","port":2.5}}"#,
                "`ssh.port`: expected a whole number from 0 to 65535, not a fraction",
            ),
            (
                r#"{"configId":"a","ssh":{"host":"h","jumpHosts":{}}}"#,
                "`ssh.jumpHosts`: expected a list, not an object",
            ),
            (
                r#"{"configId":"a","ssh":"gpu"}"#,
                "`ssh`: expected an object, not string",
            ),
            (
                r#"{"configId":"a","names":["x",7]}"#,
                "`names[1]`: expected a string, not integer",
            ),
        ];
        for (json, expected) in table {
            let problem = decode::<Params>(json).unwrap_err();
            assert_eq!(problem.to_string(), expected, "{json}");
        }
    }

    #[test]
    fn absent_params_are_an_empty_object_or_nothing() {
        #[derive(Debug, Deserialize)]
        struct Empty {}
        decode_params::<Empty>(None).unwrap();
        decode_params::<Empty>(Some("null")).unwrap();
        decode_params::<()>(None).unwrap();
        let missing = decode_params::<Params>(None).unwrap_err();
        assert_eq!(missing.to_string(), "`configId`: is required");
        let array = decode_params::<Params>(Some("[\"a\"]")).unwrap_err();
        assert_eq!(array.to_string(), "expected an object");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(json in r#"[\[\]{}":,\\a-c0-9 \né]{0,60}"#, offset in 0..80usize) {
            let _ = decode::<Params>(&json);
            let _ = path_at(&json, offset);
        }
    }
}
