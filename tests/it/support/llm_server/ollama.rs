//! Ollama's own API, as its source has it: one JSON object a line, arguments that are objects,
//! counts in the last line.

use serde_json::{Value, json};

use super::{Reply, Step};

/// Where prompts go.
pub(crate) const CHAT: &str = "/api/chat";

/// A whole streamed answer of these pieces of text.
pub(crate) fn text<S: AsRef<str>>(pieces: &[S]) -> Reply {
    let mut steps: Vec<_> = pieces
        .iter()
        .map(|piece| message(&json!({"content": piece.as_ref()})))
        .collect();
    steps.push(done("stop", 12, pieces.len() as u64));
    Reply::Lines(steps)
}

/// A whole streamed answer that only calls a tool. Older versions give no ids.
pub(crate) fn calls(calls: &[(&str, Value)]) -> Reply {
    let mut steps: Vec<_> = calls
        .iter()
        .map(|(name, arguments)| {
            let call = json!({"function": {"index": 0, "name": name, "arguments": arguments}});
            message(&json!({"content": "", "tool_calls": [call]}))
        })
        .collect();
    steps.push(done("stop", 20, 9));
    Reply::Lines(steps)
}

/// A piece of the answer; the role is added.
pub(crate) fn message(fields: &Value) -> Step {
    let mut message = json!({"role": "assistant"});
    if let (Some(message), Some(fields)) = (message.as_object_mut(), fields.as_object()) {
        message.extend(fields.clone());
    }
    line(&json!({
        "model": "smol:latest", "created_at": "2026-08-01T10:00:00.000000001Z",
        "message": message, "done": false,
    }))
}

/// The last line.
pub(crate) fn done(reason: &str, input: u64, output: u64) -> Step {
    line(&json!({
        "model": "smol:latest", "created_at": "2026-08-01T10:00:00.000000002Z",
        "message": {"role": "assistant", "content": ""},
        "done": true, "done_reason": reason, "total_duration": 5_000_000, "load_duration": 1_000_000,
        "prompt_eval_count": input, "prompt_eval_duration": 2_000_000,
        "eval_count": output, "eval_duration": 2_000_000,
    }))
}

/// What goes wrong once an answer has begun.
pub(crate) fn error(sentence: &str) -> Step {
    line(&json!({"error": sentence}))
}

fn line(object: &Value) -> Step {
    Step::Raw(format!("{object}\n"))
}
