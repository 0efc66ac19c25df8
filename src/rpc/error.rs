//! What goes wrong on the wire, in both directions.

use std::fmt;

use jsonrpsee::core::to_json_raw_value;
use jsonrpsee_types::ErrorObjectOwned;
use serde_json::Value;

use super::decode::Unreadable;

/// Error codes of JSON-RPC and of this protocol's lifecycle. Those of the domain
/// (1000s to 5000s) are the daemon's.
pub mod code {
    /// Not JSON. Never sent: such lines are logged and skipped.
    pub const PARSE: i32 = -32700;
    /// JSON, but not a request.
    pub const INVALID_REQUEST: i32 = -32600;
    /// No such method.
    pub const METHOD_NOT_FOUND: i32 = -32601;
    /// The params do not fit; `data.field` names the place.
    pub const INVALID_PARAMS: i32 = -32602;
    /// A bug of ours.
    pub const INTERNAL: i32 = -32603;
    /// Called before `initialize`.
    pub const NOT_INITIALIZED: i32 = -32002;
    /// The reply would be longer than a message may be (jsonrpsee's own code).
    pub const REPLY_TOO_BIG: i32 = -32008;
    /// Too many requests in flight.
    pub const TOO_MANY: i32 = -32009;
    /// The request was cancelled with `$/cancelRequest`.
    pub const CANCELLED: i32 = -32800;

    /// How `data.code` spells a number of this table.
    pub(super) fn spelling(code: i32) -> Option<&'static str> {
        Some(match code {
            INVALID_REQUEST => "INVALID_REQUEST",
            METHOD_NOT_FOUND => "METHOD_NOT_FOUND",
            INVALID_PARAMS => "INVALID_PARAMS",
            INTERNAL => "INTERNAL_ERROR",
            NOT_INITIALIZED => "NOT_INITIALIZED",
            REPLY_TOO_BIG => "RESPONSE_TOO_BIG",
            TOO_MANY => "TOO_MANY_REQUESTS",
            CANCELLED => "CANCELLED",
            _ => return None,
        })
    }
}

/// An error object on its way to the host.
#[derive(Clone, PartialEq)]
pub struct ErrorReply {
    /// The family; see [`code`].
    pub code: i32,
    /// A sentence for a person. Holds no secret, prompt or tool output.
    pub message: String,
    /// What programs read: a JSON object, or nothing.
    pub data: Option<Value>,
}

/// Why a notification was not queued.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// The host is gone; nothing will be written any more.
    #[error("the host is gone")]
    Closed,
    /// Longer than a message may be. Nothing was sent; the peer lives on.
    #[error("the message is longer than {limit} bytes")]
    TooBig {
        /// [`super::Limits::message_bytes`].
        limit: usize,
    },
    /// A type of ours that has no JSON form: a bug.
    #[error("the message has no JSON form")]
    NoJson(#[source] serde_json::Error),
}

/// Why a request to the host brought no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The host is gone, or this process is ending.
    #[error("the host is gone")]
    Closed,
    /// The deadline passed. The host was sent `$/cancelRequest`.
    #[error("the host did not answer in time")]
    TimedOut,
    /// The host answered −32800.
    #[error("the host cancelled the call")]
    Cancelled,
    /// The host answered with an error.
    #[error("the host answered with {0}")]
    Refused(ErrorReply),
    /// The host answered with something else than was asked for.
    #[error("the host's answer is unreadable: {0}")]
    BadReply(Unreadable),
    /// The request could not be sent.
    #[error(transparent)]
    NotSent(NotSent),
}

// === impl ErrorReply ===

impl ErrorReply {
    /// One of the errors in [`code`], with its spelling in `data.code`.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        let data = code::spelling(code).map(
            |code| serde_json::json!({ "code": code, "retryable": code == "TOO_MANY_REQUESTS" }),
        );
        Self {
            code,
            message: message.into(),
            data,
        }
    }

    pub(super) fn invalid_params(problem: &Unreadable) -> Self {
        let mut reply = Self::new(code::INVALID_PARAMS, format!("Invalid params: {problem}."));
        if let (Some(Value::Object(data)), Some(field)) = (&mut reply.data, &problem.field) {
            data.insert("field".to_owned(), field.as_str().into());
        }
        reply
    }

    pub(super) fn reply_too_big(limit: usize) -> Self {
        let message =
            format!("The result is longer than the {limit} bytes that a message may have.");
        Self::new(code::REPLY_TOO_BIG, message)
    }

    pub(super) fn internal() -> Self {
        Self::new(
            code::INTERNAL,
            "Internal error: the request could not be finished. This is a defect; the log has its place.",
        )
    }
}

/// Without `data`, and without `message`: both may quote what a user typed or a server said.
impl fmt::Debug for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorReply")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// The code only, so that it can be logged.
impl fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {}", self.code)
    }
}

impl From<ErrorReply> for ErrorObjectOwned {
    fn from(reply: ErrorReply) -> Self {
        // `data` is a `Value`, which always has a JSON form.
        let data = reply.data.and_then(|data| to_json_raw_value(&data).ok());
        Self::owned(reply.code, reply.message, data)
    }
}

// === impl CallError ===

impl From<NotSent> for CallError {
    fn from(error: NotSent) -> Self {
        match error {
            NotSent::Closed => Self::Closed,
            NotSent::TooBig { .. } | NotSent::NoJson(_) => Self::NotSent(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_and_display_of_an_error_reply_quote_nobody() {
        let reply = ErrorReply {
            code: 1001,
            message: "canary".into(),
            data: Some("canary".into()),
        };
        assert!(!format!("{reply:?} {reply}").contains("canary"));
        assert!(!format!("{:?}", CallError::Refused(reply)).contains("canary"));
    }
}
