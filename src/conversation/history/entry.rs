//! What is kept of a conversation.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use crate::llm::{Block, ImageSource, Message, Role, Usage};

use super::super::text::one_line;

/// The longest title, in characters.
const TITLE_CHARS: usize = 80;
/// What a message, a block or a JSON value costs besides its text, in bytes, roughly.
const OVERHEAD: usize = 64;

/// A conversation, whole or a part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    pub summary: Summary,
    /// The oldest first.
    pub entries: Vec<Arc<Entry>>,
}

/// One message, when it was said and by whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub message: Message,
    /// Kept to the millisecond.
    pub timestamp: SystemTime,
    /// Of the round that brought this message, where the server counted.
    pub usage: Option<Usage>,
    /// What answered; `None` for what was asked.
    pub origin: Option<Origin>,
    /// The answer was cut short here: the connection broke, or somebody cancelled.
    pub partial: bool,
    /// It takes the place, from 0, of an answer that was cut short, and begins with it. Not kept.
    pub completes: Option<usize>,
}

/// Which model said something, and over which profile it was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub config_id: String,
    /// By the server's word where there is one.
    pub model: String,
}

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub id: String,
    /// The first words of the user, on one line; empty if there are none.
    pub title: String,
    /// What answered last.
    pub origin: Option<Origin>,
    pub created: SystemTime,
    pub updated: SystemTime,
    pub messages: usize,
    pub tool_calls: usize,
    /// What its messages take, roughly.
    pub bytes: usize,
}

impl Conversation {
    /// The messages, as the next prompt's history.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.entries.iter().map(|entry| &entry.message)
    }
}

impl Entry {
    /// What it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        message_bytes(&self.message)
    }
}

impl Summary {
    pub(super) fn new(id: &str, created: SystemTime) -> Self {
        Self {
            id: id.to_owned(),
            title: String::new(),
            origin: None,
            created,
            updated: created,
            messages: 0,
            tool_calls: 0,
            bytes: 0,
        }
    }

    /// Counts a message in that takes the place of one that was shorter.
    pub(super) fn complete(&mut self, entry: &Entry, shorter: usize) {
        self.add(entry);
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(shorter);
    }

    /// Counts a message in that was said after all others.
    pub(super) fn add(&mut self, entry: &Entry) {
        let Entry { message, .. } = entry;
        if self.title.is_empty()
            && message.role == Role::User
            && let Some(title) = title(message)
        {
            self.title = title;
        }
        if let Some(origin) = &entry.origin {
            self.origin = Some(origin.clone());
        }
        self.updated = entry.timestamp;
        self.messages += 1;
        self.tool_calls += message
            .content
            .iter()
            .filter(|block| matches!(block, Block::ToolUse { .. }))
            .count();
        self.bytes += entry.bytes();
    }
}

fn title(message: &Message) -> Option<String> {
    message.content.iter().find_map(|block| match block {
        Block::Text { text } => Some(one_line(text, TITLE_CHARS)).filter(|title| !title.is_empty()),
        _ => None,
    })
}

pub(super) fn message_bytes(message: &Message) -> usize {
    OVERHEAD + message.content.iter().map(block_bytes).sum::<usize>()
}

fn block_bytes(block: &Block) -> usize {
    OVERHEAD
        + match block {
            Block::Text { text } => text.len(),
            Block::Thinking {
                thinking,
                signature,
            } => thinking.len() + signature.as_ref().map_or(0, String::len),
            Block::ToolUse { id, name, input } => id.len() + name.len() + json_bytes(input),
            Block::ToolResult {
                tool_use_id,
                content,
                ..
            } => tool_use_id.len() + content.iter().map(block_bytes).sum::<usize>(),
            Block::Image {
                source: ImageSource::Base64 { media_type, data },
            } => media_type.len() + data.len(),
            Block::Image {
                source: ImageSource::Url { url },
            } => url.len(),
        }
}

/// JSON from a server or host has a bounded depth, which the parser sees to.
fn json_bytes(value: &Value) -> usize {
    OVERHEAD
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(json_bytes).sum(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| key.len() + json_bytes(value))
                .sum(),
        }
}
