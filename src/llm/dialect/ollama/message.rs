//! Content blocks to Ollama's messages: text, images as bare base64, calls with objects and
//! without ids, results by the tool's name.

use serde_json::{Map, Value, json};

use crate::llm::{
    dialect::{
        Names,
        transcript::{Call, Entry, Part, entries, joined},
    },
    message::{Block, ChatRequest, ImageSource},
};

/// What is said in place of an image that cannot be sent.
const LEFT_OUT: &str = "[an image was left out: Ollama takes JPEG, PNG and WebP only]";

/// All messages of a request.
pub(super) fn messages(request: &ChatRequest, names: &Names) -> Vec<Value> {
    let message = |entry: &Entry<'_>| match entry {
        Entry::System(text) => json!({"role": "system", "content": text}),
        Entry::User(parts) => user(parts),
        Entry::Assistant { text, calls } if calls.is_empty() => {
            json!({"role": "assistant", "content": text})
        }
        Entry::Assistant { text, calls } => {
            let calls: Vec<_> = calls.iter().map(|call| tool_call(call, names)).collect();
            json!({"role": "assistant", "content": text, "tool_calls": calls})
        }
        Entry::Result { name, text, .. } => {
            json!({"role": "tool", "content": text, "tool_name": names.to_wire(name)})
        }
    };
    entries(request).iter().map(message).collect()
}

/// How many images of a request cannot be sent, apart from those of rounds before.
pub(in crate::llm) fn unsendable_images(request: &ChatRequest) -> usize {
    fn count(content: &[Block]) -> usize {
        let one = |block: &Block| match block {
            Block::Image { source } => usize::from(bare(source).is_none()),
            Block::ToolResult { content, .. } => count(content),
            Block::Text { .. } | Block::Thinking { .. } | Block::ToolUse { .. } => 0,
        };
        content.iter().map(one).sum()
    }
    let new = match (request.goes_on(), &request.messages[..]) {
        (true, [.., last]) => std::slice::from_ref(last),
        (_, all) => all,
    };
    new.iter().map(|message| count(&message.content)).sum()
}

fn user(parts: &[Part<'_>]) -> Value {
    let mut images = Vec::new();
    let mut text = joined(parts);
    for part in parts {
        let Part::Image(source) = part else { continue };
        match bare(source) {
            Some(data) => images.push(data),
            None => {
                let gap = if text.is_empty() { "" } else { "\n" };
                text.push_str(gap);
                text.push_str(LEFT_OUT);
            }
        }
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), "user".into());
    message.insert("content".to_owned(), text.into());
    if !images.is_empty() {
        message.insert("images".to_owned(), images.into());
    }
    message.into()
}

/// The base64 text of an image that Ollama can read.
fn bare(source: &ImageSource) -> Option<&str> {
    match source {
        ImageSource::Base64 { media_type, data } => {
            let essence = media_type.split(';').next().unwrap_or_default().trim();
            ["image/jpeg", "image/jpg", "image/png", "image/webp"]
                .iter()
                .any(|known| essence.eq_ignore_ascii_case(known))
                .then_some(data)
        }
        // It fetches nothing.
        ImageSource::Url { .. } => None,
    }
}

fn tool_call(call: &Call<'_>, names: &Names) -> Value {
    json!({"function": {"name": names.to_wire(call.name), "arguments": call.input}})
}

#[cfg(test)]
mod tests;
