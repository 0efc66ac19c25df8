//! Content blocks to OpenAI messages.

use serde_json::{Value, json};

use crate::llm::{
    dialect::{
        Names,
        transcript::{Call, Entry, Part, entries, joined},
    },
    message::{ChatRequest, ImageSource},
};

/// All messages of a request.
pub(super) fn messages(request: &ChatRequest, names: &Names, empty_content: bool) -> Vec<Value> {
    let message = |entry: &Entry<'_>| match entry {
        Entry::System(text) => json!({"role": "system", "content": text}),
        Entry::User(parts) => json!({"role": "user", "content": user_content(parts)}),
        Entry::Assistant { text, calls } if calls.is_empty() => {
            json!({"role": "assistant", "content": text})
        }
        Entry::Assistant { text, calls } => {
            let content = match text.is_empty() && !empty_content {
                true => Value::Null,
                false => text.as_str().into(),
            };
            let calls: Vec<_> = calls.iter().map(|call| tool_call(call, names)).collect();
            json!({"role": "assistant", "content": content, "tool_calls": calls})
        }
        Entry::Result { id, text, .. } => {
            json!({"role": "tool", "tool_call_id": id, "content": text})
        }
    };
    entries(request).iter().map(message).collect()
}

fn tool_call(call: &Call<'_>, names: &Names) -> Value {
    let function = json!({"name": names.to_wire(call.name), "arguments": call.input.to_string()});
    json!({"id": call.id, "type": "function", "function": function})
}

/// A plain string where it can be: many templates know nothing else.
fn user_content(parts: &[Part<'_>]) -> Value {
    if !parts.iter().any(|part| matches!(part, Part::Image(_))) {
        return joined(parts).into();
    }
    let part = |part: &Part<'_>| match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Image(source) => json!({"type": "image_url", "image_url": {"url": url(source)}}),
    };
    parts.iter().map(part).collect()
}

fn url(source: &ImageSource) -> String {
    match source {
        ImageSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        ImageSource::Url { url } => url.clone(),
    }
}

#[cfg(test)]
mod tests;
