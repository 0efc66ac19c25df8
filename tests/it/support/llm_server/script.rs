//! What the server answers: a whole body, or a stream told step by step.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

/// The answer to one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Full {
        status: u16,
        content_type: &'static str,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Status 200 and an event stream, chunked, ended as it should be unless a step cuts it.
    Stream(Vec<Step>),
    /// The same as lines of JSON, each a [`Step::Raw`].
    Lines(Vec<Step>),
    /// These bytes, then the end of the connection.
    Broken(Vec<u8>),
    /// No status line, ever.
    Silence,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Full {
            status,
            content_type: "application/json",
            headers: Vec::new(),
            body: body.to_string(),
        }
    }

    pub(crate) fn html(status: u16, body: &str) -> Self {
        Self::Full {
            status,
            content_type: "text/html; charset=utf-8",
            headers: Vec::new(),
            body: body.to_owned(),
        }
    }

    /// An error body in the shape of OpenAI's.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        Self::json(
            status,
            &json!({"error": {"message": message, "type": "test_error", "code": status}}),
        )
    }

    /// A whole streamed answer of these pieces of text.
    pub(crate) fn text<S: AsRef<str>>(pieces: &[S]) -> Self {
        let mut steps = vec![role()];
        steps.extend(pieces.iter().map(|piece| text(piece.as_ref())));
        steps.extend(finish("stop", 12, pieces.len() as u64));
        Self::Stream(steps)
    }

    /// A whole streamed answer that only calls tools.
    pub(crate) fn calls(calls: &[Call<'_>]) -> Self {
        let mut steps = vec![role()];
        for (index, call) in calls.iter().enumerate() {
            steps.extend(call.steps(index));
        }
        steps.extend(finish("tool_calls", 20, 9));
        Self::Stream(steps)
    }
}

#[derive(Clone)]
pub(crate) enum Step {
    /// One `data:` event in a chunk of its own.
    Event(Value),
    /// These bytes as one chunk.
    Raw(String),
    Pause(Duration),
    /// Goes on when the test says so.
    Until(watch::Receiver<bool>),
    /// `count` text deltas (endless if `None`), one each `every`, or as fast as they go if zero.
    Tokens {
        count: Option<u64>,
        every: Duration,
        text: fn(u64) -> String,
    },
    /// Says a chunk is coming, sends half of it and closes the connection.
    Cut,
    /// Ends the chunked body properly, here and now.
    End,
    /// Sends nothing more until the client goes.
    Silence,
}

impl fmt::Debug for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => write!(formatter, "Event({event})"),
            Self::Raw(bytes) => write!(formatter, "Raw({bytes:?})"),
            Self::Until(_) => formatter.write_str("Until"),
            Self::Pause(time) => write!(formatter, "Pause({time:?})"),
            Self::Tokens { count, every, .. } => write!(formatter, "Tokens({count:?}, {every:?})"),
            Self::Cut => formatter.write_str("Cut"),
            Self::End => formatter.write_str("End"),
            Self::Silence => formatter.write_str("Silence"),
        }
    }
}

/// A tool call, its arguments sent in the given fragments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a [&'a str],
}

impl Call<'_> {
    pub(crate) fn steps(&self, index: usize) -> Vec<Step> {
        let mut steps = vec![chunk(
            &json!({"tool_calls": [{
                "index": index, "id": self.id, "type": "function",
                "function": {"name": self.name, "arguments": ""},
            }]}),
            None,
        )];
        steps.extend(self.arguments.iter().map(|fragment| {
            chunk(
                &json!({"tool_calls": [{"index": index, "function": {"arguments": fragment}}]}),
                None,
            )
        }));
        steps
    }
}

/// The delta that only names the role, with which servers begin.
pub(crate) fn role() -> Step {
    chunk(&json!({"role": "assistant", "content": null}), None)
}

pub(crate) fn text(text: &str) -> Step {
    chunk(&json!({"content": text}), None)
}

pub(crate) fn reasoning(text: &str) -> Step {
    chunk(&json!({"reasoning_content": text}), None)
}

/// The finish reason, the usage and `[DONE]`.
pub(crate) fn finish(reason: &str, input: u64, output: u64) -> Vec<Step> {
    vec![
        chunk(&json!({}), Some(reason)),
        Step::Event(json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "smol", "choices": [],
            "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output},
        })),
        Step::Raw("data: [DONE]\n\n".to_owned()),
    ]
}

fn chunk(delta: &Value, finish: Option<&str>) -> Step {
    Step::Event(chunk_value(delta, finish))
}

pub(super) fn chunk_value(delta: &Value, finish: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "smol",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    })
}
