//! The host's side of the questions the daemon asks.

use std::time::Duration;

use serde_json::{Value, json};

/// A request of the daemon's.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: String,
    pub(crate) params: Value,
}

impl Question {
    /// The tool's name, where this is a tool call.
    pub(crate) fn tool(&self) -> Option<&str> {
        (self.method == "host/execute-tool")
            .then(|| self.params["name"].as_str())
            .flatten()
    }
}

/// What the host says to a question.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Result(Value),
    Error {
        code: i64,
        message: String,
        data: Value,
    },
    /// Nothing, until the daemon cancels it: then the error −32800.
    Later,
    /// This, after a while, even if the daemon cancels it before.
    After(Duration, Box<Self>),
}

impl Answer {
    /// A tool's output.
    pub(crate) fn text(text: &str) -> Self {
        Self::Result(json!({"content": text}))
    }

    /// A tool's failure, told by the tool itself.
    pub(crate) fn tool_failure(text: &str) -> Self {
        Self::Result(json!({"content": text, "isError": true}))
    }

    /// One of the error codes of the contract.
    pub(crate) fn error(number: i64, code: &str, message: &str) -> Self {
        Self::Error {
            code: number,
            message: message.to_owned(),
            data: json!({"code": code}),
        }
    }

    /// A verdict on the host key that the question shows.
    pub(crate) fn host_key(question: &Question, decision: &str) -> Self {
        Self::Result(json!({
            "decision": decision,
            "fingerprint": question.params["fingerprint"],
        }))
    }

    pub(crate) fn prompts(answers: &[&str]) -> Self {
        Self::Result(json!({ "answers": answers }))
    }

    pub(super) fn unknown_method(question: &Question) -> Self {
        Self::Error {
            code: -32601,
            message: format!("the test has no answer to {}", question.method),
            data: Value::Null,
        }
    }

    pub(super) fn cancelled() -> Self {
        Self::error(-32800, "CANCELLED", "cancelled")
    }

    pub(super) fn into_message(self, id: &Value) -> Value {
        match self {
            Self::Result(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Self::Error {
                code,
                message,
                data,
            } => json!({
                "jsonrpc": "2.0", "id": id,
                "error": {"code": code, "message": message, "data": data},
            }),
            Self::Later => Value::Null,
            Self::After(_, answer) => answer.into_message(id),
        }
    }
}
