//! Content blocks to OpenAI messages.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::names::Names;
use crate::llm::message::{Block, ChatRequest, ImageSource, Message, Role};

/// All messages of a request: one leading system message, then the conversation.
///
/// Equal conversations give equal text, and a longer one begins with the text of the shorter:
/// servers find their prompt cache by that.
pub(super) fn messages(request: &ChatRequest, names: &Names, empty_content: bool) -> Vec<Value> {
    let mut out = Vec::new();
    let system = system(request);
    if !system.is_empty() {
        out.push(json!({"role": "system", "content": system}));
    }
    let spoken: Vec<_> = request
        .messages
        .iter()
        .filter(|message| message.role != Role::System)
        .collect();
    let mut open = Vec::new();
    for run in spoken.chunk_by(|a, b| a.role == b.role) {
        for message in run.iter().filter(|message| message.role == Role::Assistant) {
            answer_open_calls(&mut open, &[], &mut out);
            assistant(message, names, empty_content, &mut open, &mut out);
        }
        if run.iter().any(|message| message.role == Role::User) {
            users(run, &mut open, &mut out);
        }
    }
    answer_open_calls(&mut open, &[], &mut out);
    out
}

/// Several system messages, or late ones, break many chat templates.
fn system(request: &ChatRequest) -> String {
    let hoisted = request
        .messages
        .iter()
        .filter(|message| message.role == Role::System)
        .map(|message| texts(&message.content));
    let all: Vec<_> = request
        .system
        .iter()
        .cloned()
        .chain(hoisted)
        .filter(|text| !text.is_empty())
        .collect();
    all.join("\n\n")
}

fn assistant<'a>(
    message: &'a Message,
    names: &Names,
    empty_content: bool,
    open: &mut Vec<&'a str>,
    out: &mut Vec<Value>,
) {
    let text = texts(&message.content);
    let mut calls = Vec::new();
    for block in &message.content {
        if let Block::ToolUse { id, name, input } = block {
            open.push(id);
            // Never what the model wrote, which may not have been JSON.
            let arguments = if input.is_object() {
                input.to_string()
            } else {
                "{}".to_owned()
            };
            let function = json!({"name": names.to_wire(name), "arguments": arguments});
            calls.push(json!({"id": id, "type": "function", "function": function}));
        }
    }
    if calls.is_empty() {
        if !text.is_empty() {
            out.push(json!({"role": "assistant", "content": text}));
        }
        return;
    }
    let content = match text.is_empty() && !empty_content {
        true => Value::Null,
        false => text.into(),
    };
    out.push(json!({"role": "assistant", "content": content, "tool_calls": calls}));
}

/// User messages in a row. A host may send every result in a message of its own; they all have
/// to stand before anything else that the user says.
fn users(run: &[&Message], open: &mut Vec<&str>, out: &mut Vec<Value>) {
    let results: Vec<_> = run
        .iter()
        .flat_map(|message| &message.content)
        .filter(|block| matches!(block, Block::ToolResult { .. }))
        .collect();
    let mut asked: HashSet<_> = open.iter().map(|id| (*id).to_owned()).collect();
    let mut parts = answer_open_calls(open, &results, out);
    for message in run {
        for block in &message.content {
            match block {
                Block::Text { text } if !text.is_empty() => parts.push(Part::Text(text.clone())),
                Block::Image { source } => parts.push(Part::Image(source)),
                // A result that no call asked for: the text is all that can be saved of it.
                Block::ToolResult {
                    tool_use_id,
                    content,
                    is_error,
                } if !asked.remove(tool_use_id) => {
                    parts.push(Part::Text(result_text(content, *is_error)));
                }
                Block::Text { .. }
                | Block::Thinking { .. }
                | Block::ToolUse { .. }
                | Block::ToolResult { .. } => {}
            }
        }
        if !parts.is_empty() {
            out.push(json!({"role": "user", "content": user_content(&parts)}));
            parts.clear();
        }
    }
}

/// Writes one tool message for every call of the last assistant message, in the calls' order:
/// servers refuse a conversation where one is missing. Returns the images of the results, which
/// tool messages cannot hold.
fn answer_open_calls<'a>(
    open: &mut Vec<&str>,
    results: &[&'a Block],
    out: &mut Vec<Value>,
) -> Vec<Part<'a>> {
    let mut images = Vec::new();
    for id in open.drain(..) {
        let result = results.iter().find_map(|block| match block {
            Block::ToolResult {
                tool_use_id,
                content,
                is_error,
            } if tool_use_id == id => Some((content, *is_error)),
            _ => None,
        });
        let text = match result {
            Some((content, is_error)) => {
                images.extend(content.iter().filter_map(|block| match block {
                    Block::Image { source } => Some(Part::Image(source)),
                    _ => None,
                }));
                result_text(content, is_error)
            }
            None => "Error: this call was not run.".to_owned(),
        };
        out.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
    }
    images
}

fn result_text(content: &[Block], is_error: bool) -> String {
    let mut text = texts(content);
    let images = content
        .iter()
        .filter(|block| matches!(block, Block::Image { .. }))
        .count();
    for _ in 0..images {
        let gap = if text.is_empty() { "" } else { "\n" };
        text.push_str(gap);
        text.push_str("[image: see the next message]");
    }
    if is_error {
        return format!(
            "Error: {}",
            if text.is_empty() {
                "the tool failed"
            } else {
                &text
            }
        );
    }
    if text.is_empty() {
        return "(no output)".to_owned();
    }
    text
}

#[derive(Debug)]
enum Part<'a> {
    Text(String),
    Image(&'a ImageSource),
}

/// A plain string where it can be: many templates know nothing else.
fn user_content(parts: &[Part<'_>]) -> Value {
    if parts.iter().any(|part| matches!(part, Part::Image(_))) {
        let parts: Vec<_> = parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => json!({"type": "text", "text": text}),
                Part::Image(source) => {
                    json!({"type": "image_url", "image_url": {"url": url(source)}})
                }
            })
            .collect();
        return parts.into();
    }
    let texts: Vec<_> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Image(_) => None,
        })
        .collect();
    texts.join("\n").into()
}

fn url(source: &ImageSource) -> String {
    match source {
        ImageSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        ImageSource::Url { url } => url.clone(),
    }
}

fn texts(content: &[Block]) -> String {
    let all: Vec<_> = content
        .iter()
        .filter_map(|block| match block {
            Block::Text { text } if !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
        .collect();
    all.join("\n")
}

#[cfg(test)]
mod tests;
