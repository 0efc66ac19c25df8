//! One chunk of a stream, or a whole completion, read without trusting any field's type.

use serde_json::Value;

use crate::llm::{
    dialect::delta::{Content, Delta},
    event::Usage,
};

/// Reads an object of a stream, or one that is the whole answer.
pub(in crate::llm::dialect) fn delta(chunk: &Value) -> Delta<'_> {
    Delta {
        content: first_choice(chunk).map(content),
        usage: usage(chunk),
        model: chunk.get("model").and_then(Value::as_str),
        progress: progress(chunk),
        of_ollama: chunk.get("system_fingerprint").and_then(Value::as_str) == Some("fp_ollama"),
        last: false,
    }
}

/// The choice with index 0, or without an index.
fn first_choice(chunk: &Value) -> Option<&Value> {
    chunk.get("choices")?.as_array()?.iter().find(|choice| {
        let index = choice.get("index").and_then(Value::as_u64);
        choice.is_object() && index.unwrap_or(0) == 0
    })
}

/// Pieces are under `delta`, all at once is under `message`.
fn content<'a>(choice: &'a Value) -> Content<'a> {
    let string = |value: Option<&'a Value>| {
        value
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let whole = !choice.get("delta").is_some_and(Value::is_object);
    let message = choice.get(if whole { "message" } else { "delta" });
    let field = |name: &str| message.and_then(|message| message.get(name));
    let (text, thought) = parts(field("content"));
    let reasoning = [
        field("reasoning_content").and_then(reasoning_text),
        field("reasoning").and_then(reasoning_text),
        field("reasoning_details").and_then(reasoning_text),
        Some(thought),
    ];
    Content {
        text,
        // Gateways send the same text under two names.
        reasoning: reasoning
            .into_iter()
            .flatten()
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
        refusal: string(field("refusal")).unwrap_or_default(),
        calls: field("tool_calls")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice),
        finish: string(choice.get("finish_reason")),
        stop_matched: string(choice.get("matched_stop"))
            .or_else(|| string(choice.get("stop_reason")))
            .is_some(),
        whole,
    }
}

/// Content as text, as parts, or as nothing: (text, thinking).
fn parts(content: Option<&Value>) -> (String, String) {
    match content {
        Some(Value::String(text)) => (text.clone(), String::new()),
        Some(Value::Array(parts)) => {
            let (mut text, mut thought) = (String::new(), String::new());
            for part in parts {
                if let Some(thinking) = part.get("thinking") {
                    thought.push_str(&reasoning_text(thinking).unwrap_or_default());
                } else if let Some(piece) =
                    part.get("text").and_then(Value::as_str).or(part.as_str())
                {
                    text.push_str(piece);
                }
            }
            (text, thought)
        }
        _ => Default::default(),
    }
}

/// A text, an object with one, or a list of them.
fn reasoning_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(object) => ["text", "content", "summary"]
            .iter()
            .find_map(|key| object.get(*key)?.as_str())
            .map(str::to_owned),
        Value::Array(items) => Some(items.iter().filter_map(reasoning_text).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The usage of a chunk. Zero is what servers send that do not count: unknown.
fn usage(chunk: &Value) -> Option<Usage> {
    let within = || first_choice(chunk)?.get("usage");
    let usage = chunk.get("usage").filter(|usage| usage.is_object());
    let usage = usage.or_else(within)?;
    let number = |name: &str| {
        let number = usage.get(name).and_then(Value::as_u64);
        number.filter(|number| *number > 0)
    };
    let detail = |of: &str, name: &str| usage.get(of)?.get(name)?.as_u64();
    let (prompt, output) = (number("prompt_tokens"), number("completion_tokens"));
    if prompt.is_none() && output.is_none() {
        return None;
    }
    let cached = detail("prompt_tokens_details", "cached_tokens");
    Some(Usage {
        // OpenAI's prompt tokens include those read from the cache.
        input_tokens: prompt.map(|prompt| prompt.saturating_sub(cached.unwrap_or(0))),
        output_tokens: output,
        cache_read_tokens: cached,
        reasoning_tokens: detail("completion_tokens_details", "reasoning_tokens"),
    })
}

/// How far the prompt has been read, 0 to 1.
fn progress(chunk: &Value) -> Option<f64> {
    let progress = chunk.get("prompt_progress")?;
    let number = |name: &str| progress.get(name).and_then(Value::as_f64);
    ratio(number("processed")?, number("total")?)
}

/// mlx-lm's comment: `keepalive 512/2048`.
pub(in crate::llm::dialect) fn comment_progress(comment: &str) -> Option<f64> {
    let (done, total) = comment
        .trim()
        .strip_prefix("keepalive")?
        .trim()
        .split_once('/')?;
    ratio(done.parse().ok()?, total.parse().ok()?)
}

fn ratio(done: f64, total: f64) -> Option<f64> {
    let ratio = done / total;
    (total > 0.0 && ratio.is_finite()).then(|| ratio.clamp(0.0, 1.0))
}
