//! A conversation in the order that servers insist on, before it is put into a dialect's words:
//! one leading system text, and after each message with calls the result of every one of them.

use std::{borrow::Cow, collections::HashSet};

use serde_json::{Map, Value};

use crate::llm::message::{Block, ChatRequest, ImageSource, Message, Role};

/// One message to be sent.
#[derive(Debug)]
pub(super) enum Entry<'a> {
    /// Only ever the first.
    System(String),
    /// Never empty.
    User(Vec<Part<'a>>),
    /// The text is empty only beside calls.
    Assistant { text: String, calls: Vec<Call<'a>> },
    /// What came of a call of the assistant entry before it. Never empty.
    Result {
        id: &'a str,
        /// The tool's.
        name: &'a str,
        text: String,
    },
}

/// A piece of what the user said.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Text(String),
    Image(&'a ImageSource),
}

#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    /// An object, whatever the model wrote.
    pub(super) input: Cow<'a, Value>,
}

/// All that a request says.
///
/// Equal conversations give equal entries, and a longer one begins with those of the shorter:
/// servers find their prompt cache by that.
pub(super) fn entries(request: &ChatRequest) -> Vec<Entry<'_>> {
    let mut out = Vec::new();
    let system = system(request);
    if !system.is_empty() {
        out.push(Entry::System(system));
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
            assistant(message, &mut open, &mut out);
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

/// A call that waits for its result: its id and its tool's name.
type Open<'a> = (&'a str, &'a str);

fn assistant<'a>(message: &'a Message, open: &mut Vec<Open<'a>>, out: &mut Vec<Entry<'a>>) {
    let text = texts(&message.content);
    let mut calls = Vec::new();
    for block in &message.content {
        if let Block::ToolUse { id, name, input } = block {
            open.push((id, name));
            calls.push(Call {
                id,
                name,
                // Never what the model wrote, which may not have been JSON.
                input: match input.is_object() {
                    true => Cow::Borrowed(input),
                    false => Cow::Owned(Map::new().into()),
                },
            });
        }
    }
    if !calls.is_empty() || !text.is_empty() {
        out.push(Entry::Assistant { text, calls });
    }
}

/// User messages in a row. A host may send every result in a message of its own; they all have
/// to stand before anything else that the user says.
fn users<'a>(run: &[&'a Message], open: &mut Vec<Open<'a>>, out: &mut Vec<Entry<'a>>) {
    let results: Vec<_> = run
        .iter()
        .flat_map(|message| &message.content)
        .filter(|block| matches!(block, Block::ToolResult { .. }))
        .collect();
    let mut asked: HashSet<_> = open.iter().map(|(id, _)| *id).collect();
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
                } if !asked.remove(tool_use_id.as_str()) => {
                    parts.push(Part::Text(result_text(content, *is_error)));
                }
                Block::Text { .. }
                | Block::Thinking { .. }
                | Block::ToolUse { .. }
                | Block::ToolResult { .. } => {}
            }
        }
        if !parts.is_empty() {
            out.push(Entry::User(std::mem::take(&mut parts)));
        }
    }
}

/// Writes one result for every call of the last assistant message, in the calls' order: servers
/// refuse a conversation where one is missing. Returns the images of the results, which tool
/// messages cannot hold.
fn answer_open_calls<'a>(
    open: &mut Vec<Open<'a>>,
    results: &[&'a Block],
    out: &mut Vec<Entry<'a>>,
) -> Vec<Part<'a>> {
    let mut images = Vec::new();
    for (id, name) in open.drain(..) {
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
        out.push(Entry::Result { id, name, text });
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

/// The texts of what the user said, without its images.
pub(super) fn joined(parts: &[Part<'_>]) -> String {
    let texts: Vec<_> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Image(_) => None,
        })
        .collect();
    texts.join("\n")
}
