//! What a line means, and how our own messages are written.

use std::borrow::Cow;

use jsonrpsee_types::{Id, TwoPointZero};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::error::{ErrorReply, NotSent, code};
use super::queue::Message;

/// Longest string id, in bytes. Refusals must stay small: the reader keeps them until there is
/// room in the queue.
const ID_LENGTH: usize = 1024;

/// A line from the host. Texts in it borrow from the line.
#[derive(Debug)]
pub(super) enum Inbound<'a> {
    Request {
        id: Id<'static>,
        method: Cow<'a, str>,
        params: Option<&'a RawValue>,
    },
    Notification {
        method: Cow<'a, str>,
        params: Option<&'a RawValue>,
    },
    /// An answer, whoever was asked. `id` is `None` where it cannot be one of ours.
    Reply {
        id: Option<u64>,
        result: Result<Box<RawValue>, ErrorReply>,
    },
    /// JSON of the wrong shape: answered with −32600.
    Invalid {
        id: Id<'static>,
        problem: &'static str,
    },
    /// Logged and skipped. An answer could start an echo storm.
    NotJson,
}

/// All members raw, so that each can be judged by itself.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Tells `null` from absent, which `Option` alone does not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

// === impl Inbound ===

impl<'a> Inbound<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Self {
        let Ok(text) = std::str::from_utf8(line) else {
            return Self::NotJson;
        };
        if !text.starts_with('{') {
            return Self::parse_non_object(text);
        }
        match serde_json::from_str::<Envelope<'_>>(text) {
            Ok(envelope) => Self::from_envelope(&envelope),
            Err(_) if is_json(text) => Self::Invalid {
                id: Id::Null,
                problem: "a member is given twice",
            },
            Err(_) => Self::NotJson,
        }
    }

    fn parse_non_object(text: &str) -> Self {
        if !is_json(text) {
            return Self::NotJson;
        }
        Self::Invalid {
            id: Id::Null,
            problem: if text.starts_with('[') {
                "batches are not supported"
            } else {
                "a message is an object"
            },
        }
    }

    fn from_envelope(envelope: &Envelope<'a>) -> Self {
        let Some(method) = envelope.method else {
            return Self::reply(envelope);
        };
        // A request whose id is `null` expects no answer.
        let id = match envelope.id.map(RawValue::get) {
            None | Some("null") => None,
            Some(raw) => match parse_id(raw) {
                Some(id) => Some(id),
                None => {
                    return Self::Invalid {
                        id: Id::Null,
                        problem: "an id is a whole number from 0 to 2^64-1 or a string of at most 1024 bytes",
                    };
                }
            },
        };
        let invalid = |problem| Self::Invalid {
            id: id.clone().unwrap_or(Id::Null),
            problem,
        };
        if !is_version_2(envelope.jsonrpc) {
            return invalid("`jsonrpc` must be \"2.0\"");
        }
        let Ok(Text(method)) = serde_json::from_str(method.get()) else {
            return invalid("`method` must be a string");
        };
        let params = envelope.params;
        match id {
            Some(id) => Self::Request { id, method, params },
            None => Self::Notification { method, params },
        }
    }

    /// A message without a method. Replies are never answered, however odd they are.
    fn reply(envelope: &Envelope<'_>) -> Self {
        let id = envelope.id.and_then(|raw| our_id(raw.get()));
        let result = match (envelope.error, envelope.result) {
            (Some(error), _) if error.get() != "null" => Err(read_error(error.get())),
            (_, Some(result)) => Ok(result.to_owned()),
            // JavaScript's `result: undefined` leaves no trace in the text.
            (_, None) if id.is_some() && is_version_2(envelope.jsonrpc) => {
                Ok(RawValue::NULL.to_owned())
            }
            (_, None) => {
                return Self::Invalid {
                    id: envelope
                        .id
                        .and_then(|raw| parse_id(raw.get()))
                        .unwrap_or(Id::Null),
                    problem: "`method` is missing",
                };
            }
        };
        Self::Reply { id, result }
    }
}

/// A string that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

fn is_version_2(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| serde_json::from_str::<TwoPointZero>(raw.get()).is_ok())
}

/// Reads the id of a request of the host's.
pub(super) fn parse_id(raw: &str) -> Option<Id<'static>> {
    if raw.len() > ID_LENGTH + 2 {
        return None;
    }
    match serde_json::from_str(raw) {
        Ok(Id::Null) | Err(_) => None,
        Ok(id) => Some(Id::into_owned(id)),
    }
}

/// Reads an id of ours out of a reply. Ours are numbers; a host that keeps ids as strings is
/// understood too.
fn our_id(raw: &str) -> Option<u64> {
    raw.trim_matches('"').parse().ok()
}

/// Reads an error object of the host's, whatever it lacks.
fn read_error(raw: &str) -> ErrorReply {
    #[derive(Deserialize)]
    struct Lenient {
        #[serde(default)]
        code: Value,
        #[serde(default)]
        message: Value,
        data: Option<Value>,
    }
    let Ok(error) = serde_json::from_str::<Lenient>(raw) else {
        return ErrorReply::new(code::INTERNAL, "");
    };
    ErrorReply {
        code: error
            .code
            .as_i64()
            .and_then(|code| i32::try_from(code).ok())
            .unwrap_or(code::INTERNAL),
        message: error.message.as_str().unwrap_or_default().to_owned(),
        data: error.data,
    }
}

// === our messages ===

#[derive(Serialize)]
struct NotificationObject<'a, P> {
    jsonrpc: TwoPointZero,
    method: &'a str,
    params: &'a P,
}

/// A notification to the host.
pub(super) fn notification(
    method: &str,
    params: &impl Serialize,
    limit: usize,
) -> Result<Message, NotSent> {
    let jsonrpc = TwoPointZero;
    write(
        &NotificationObject {
            jsonrpc,
            method,
            params,
        },
        limit,
    )
}

/// A notification to the host, as a line at the end of `lines`. They stay as they are where it
/// cannot be written.
pub(super) fn notification_line(
    lines: &mut Vec<u8>,
    method: &str,
    params: &impl Serialize,
    limit: usize,
) -> Result<(), NotSent> {
    let start = lines.len();
    let jsonrpc = TwoPointZero;
    let notification = NotificationObject {
        jsonrpc,
        method,
        params,
    };
    let written = append(lines, &notification, limit);
    if written.is_err() {
        lines.truncate(start);
        return written;
    }
    // As `Message::new` does.
    for byte in lines.get_mut(start..).unwrap_or_default() {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    lines.push(b'\n');
    Ok(())
}

/// A request to the host.
pub(super) fn request(
    id: u64,
    method: &str,
    params: &impl Serialize,
    limit: usize,
) -> Result<Message, NotSent> {
    #[derive(Serialize)]
    struct Request<'a, P> {
        jsonrpc: TwoPointZero,
        id: u64,
        method: &'a str,
        params: &'a P,
    }
    let jsonrpc = TwoPointZero;
    write(
        &Request {
            jsonrpc,
            id,
            method,
            params,
        },
        limit,
    )
}

/// `$/cancelRequest` for a request of ours.
pub(super) fn cancel(id: u64) -> Message {
    let text = json!({ "jsonrpc": "2.0", "method": super::calls::CANCEL, "params": { "id": id } });
    Message::new(text.to_string().into_boxed_str())
}

/// Serialises at most `limit` bytes, and holds no more than that.
fn write(message: &impl Serialize, limit: usize) -> Result<Message, NotSent> {
    let mut text = Vec::with_capacity(128);
    append(&mut text, message, limit)?;
    // serde_json writes UTF-8 only, so nothing is ever replaced.
    let text = String::from_utf8(text)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok(Message::new(text.into_boxed_str()))
}

/// Appends at most `limit` bytes of JSON, with an error perhaps half of it.
fn append(text: &mut Vec<u8>, message: &impl Serialize, limit: usize) -> Result<(), NotSent> {
    struct Bounded<'a> {
        text: &'a mut Vec<u8>,
        end: usize,
    }
    impl std::io::Write for Bounded<'_> {
        fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
            if self.text.len() + part.len() > self.end {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            self.text.extend_from_slice(part);
            Ok(part.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let end = text.len().saturating_add(limit);
    match serde_json::to_writer(Bounded { text, end }, message) {
        Ok(()) => Ok(()),
        Err(error) if error.is_io() => Err(NotSent::TooBig { limit }),
        Err(error) => Err(NotSent::NoJson(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A short form of what a line means.
    fn meaning(line: &str) -> String {
        match Inbound::parse(line.as_bytes()) {
            Inbound::Request { id, method, .. } => format!("request {id:?} {method}"),
            Inbound::Notification { method, .. } => format!("notification {method}"),
            Inbound::Reply { id, result } => match result {
                Ok(result) => format!("reply {id:?} {result}"),
                Err(error) => format!("reply {id:?} {error}"),
            },
            Inbound::Invalid { id, .. } => format!("invalid {id:?}"),
            Inbound::NotJson => "not JSON".into(),
        }
    }

    #[test]
    fn lines_mean_what_json_rpc_says() {
        let table = [
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"a/b-c","params":{}}"#,
                "request Number(1) a/b-c",
            ),
            (
                r#"{"jsonrpc":"2.0","id":"x","method":"m\u0061"}"#,
                r#"request Str("x") ma"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":18446744073709551615,"method":"m"}"#,
                "request Number(18446744073709551615) m",
            ),
            (
                r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#,
                "notification m",
            ),
            (r#"{"jsonrpc":"2.0","method":"m"}"#, "notification m"),
            (r#"{"jsonrpc":"2.0","id":-1,"method":"m"}"#, "invalid Null"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, "invalid Null"),
            (
                r#"{"jsonrpc":"2.0","id":true,"method":"m"}"#,
                "invalid Null",
            ),
            (r#"{"jsonrpc":"2.0","id":[1],"method":"m"}"#, "invalid Null"),
            (
                r#"{"jsonrpc":"1.0","id":3,"method":"m"}"#,
                "invalid Number(3)",
            ),
            (r#"{"id":3,"method":"m"}"#, "invalid Number(3)"),
            (
                r#"{"jsonrpc":"2.0","id":3,"method":5}"#,
                "invalid Number(3)",
            ),
            (r#"{"jsonrpc":"2.0","id":"q"}"#, r#"invalid Str("q")"#),
            (
                r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#,
                "invalid Null",
            ),
            (r#"{}"#, "invalid Null"),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"m"}]"#, "invalid Null"),
            ("[]", "invalid Null"),
            ("5", "invalid Null"),
            ("5 garbage", "not JSON"),
            (r#"{"jsonrpc":"2.0","id":1,"#, "not JSON"),
            ("Content-Length: 10", "not JSON"),
            (
                r#"{"jsonrpc":"2.0","id":4,"result":null}"#,
                "reply Some(4) null",
            ),
            (
                r#"{"jsonrpc":"2.0","id":"4","result":{"a":1}}"#,
                r#"reply Some(4) {"a":1}"#,
            ),
            (r#"{"jsonrpc":"2.0","id":4}"#, "reply Some(4) null"),
            (
                r#"{"jsonrpc":"2.0","id":4,"result":1,"error":null}"#,
                "reply Some(4) 1",
            ),
            (
                r#"{"jsonrpc":"2.0","id":4,"error":{"code":-32800,"message":"x"}}"#,
                "reply Some(4) error -32800",
            ),
            (
                r#"{"jsonrpc":"2.0","id":4,"error":"odd"}"#,
                "reply Some(4) error -32603",
            ),
            (
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"x"}}"#,
                "reply None error -32600",
            ),
            (
                r#"{"jsonrpc":"2.0","id":"theirs","result":1}"#,
                "reply None 1",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(meaning(line), expected, "{line}");
        }
    }

    #[test]
    fn an_id_longer_than_its_bound_is_refused() {
        let id = "x".repeat(ID_LENGTH + 1);
        let line = format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"m"}}"#);
        assert_eq!(meaning(&line), "invalid Null");
    }

    #[test]
    fn a_message_over_the_limit_is_not_built() {
        let exact = notification("m", &["abc"], 47).unwrap();
        assert_eq!(exact.len(), 47);
        assert!(matches!(
            notification("m", &["abcd"], 47),
            Err(NotSent::TooBig { limit: 47 })
        ));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Inbound::parse(&line);
        }

        #[test]
        fn no_json_like_line_makes_it_panic(
            line in r#"\{("(jsonrpc|id|method|params|result|error)":("2.0"|"m"|-?[0-9]{1,21}|null|\{\}|\[|"\\u[d0-9a-f]{4}"),?){0,6}\}?"#,
        ) {
            let _ = Inbound::parse(line.as_bytes());
        }
    }
}
