//! One object of an answer: a line of the stream, or all of it.

use serde_json::Value;

use crate::llm::{
    dialect::delta::{Content, Delta},
    event::Usage,
};

/// Reads an object, without trusting any field's type.
pub(in crate::llm::dialect) fn delta(object: &Value) -> Delta<'_> {
    let done = object.get("done").and_then(Value::as_bool) == Some(true);
    let message = object.get("message").filter(|message| message.is_object());
    Delta {
        content: (done || message.is_some()).then(|| content(object, message, done)),
        usage: usage(object),
        model: object.get("model").and_then(Value::as_str),
        last: done,
        ..Delta::default()
    }
}

fn content<'a>(object: &'a Value, message: Option<&'a Value>, done: bool) -> Content<'a> {
    let field = |name: &str| message.and_then(|message| message.get(name));
    let text = |name: &str| field(name).and_then(Value::as_str).unwrap_or_default();
    let reason = object.get("done_reason").and_then(Value::as_str);
    Content {
        text: text("content").to_owned(),
        reasoning: text("thinking").to_owned(),
        refusal: "",
        // Each is a whole call: the index within is no use, since it is 0 for all of them.
        calls: field("tool_calls")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice),
        // Older servers give no reason; that they are done, they all say.
        finish: done.then(|| reason.filter(|word| !word.is_empty()).unwrap_or("stop")),
        stop_matched: false,
        whole: false,
    }
}

/// Counts of what was evaluated: of a prompt that was cut, only of what was left.
fn usage(object: &Value) -> Option<Usage> {
    let count = |name: &str| {
        let count = object.get(name).and_then(Value::as_u64);
        count.filter(|count| *count > 0)
    };
    let (input_tokens, output_tokens) = (count("prompt_eval_count"), count("eval_count"));
    (input_tokens.is_some() || output_tokens.is_some()).then_some(Usage {
        input_tokens,
        output_tokens,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests;
