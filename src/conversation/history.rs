//! What was said, in memory and bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::Value;

use crate::llm::{Block, Carrier, ImageSource, Message, Role, Usage};

use super::outcome::Outcome;
use super::text::one_line;

/// The longest title, in characters.
const TITLE_CHARS: usize = 80;
/// What a message, a block or a JSON value costs besides its text, in bytes, roughly.
const OVERHEAD: usize = 64;

/// The conversations of this daemon, the most recently used ones. When there are too many, or they
/// grow too large together, the least recently updated go first.
///
/// Messages are only ever appended, so what a server has seen of a conversation stays its prefix.
#[derive(Debug)]
pub struct History {
    bounds: Bounds,
    state: Mutex<State>,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub conversations: usize,
    /// Of all conversations together, roughly.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            conversations: 256,
            bytes: 64 * 1024 * 1024,
        }
    }
}

/// A whole conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    pub id: String,
    /// The one that answered last.
    pub model: Option<String>,
    pub created: SystemTime,
    pub updated: SystemTime,
    pub entries: Vec<Arc<Entry>>,
}

/// One message and when it was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub message: Message,
    pub timestamp: SystemTime,
    /// Of the round that brought this message, where the server counted.
    pub usage: Option<Usage>,
}

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub id: String,
    /// The first words of the user, on one line; empty if there are none.
    pub title: String,
    pub model: Option<String>,
    pub created: SystemTime,
    pub updated: SystemTime,
    pub messages: usize,
    pub tool_calls: usize,
}

#[derive(Debug, Default)]
struct State {
    conversations: HashMap<String, Kept>,
    bytes: usize,
    /// Orders updates; clocks may stand still or go back.
    updates: u64,
}

#[derive(Debug)]
struct Kept {
    conversation: Conversation,
    bytes: usize,
    update: u64,
}

impl History {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: Mutex::default(),
        }
    }

    /// Appends what the host asked (`asked`, at `asked_at`) and what came of it, both at once, so
    /// that two prompts on one conversation never interleave.
    ///
    /// Returns the ids of conversations that had to go. A conversation larger than all bounds goes
    /// itself, and no other with it.
    pub fn record<E: Carrier>(
        &self,
        id: &str,
        asked: Vec<Message>,
        asked_at: SystemTime,
        outcome: &Outcome<E>,
        answered_at: SystemTime,
    ) -> Vec<String> {
        // Each round adds one assistant message, except that the last may add none.
        let mut usages = outcome.usage.per_round.iter().copied();
        let answered = outcome.messages.iter().map(|message| Entry {
            message: message.clone(),
            timestamp: answered_at,
            usage: match message.role {
                Role::Assistant => usages.next().flatten(),
                Role::User | Role::System => None,
            },
        });
        let entries = asked
            .into_iter()
            .map(|message| Entry {
                message,
                timestamp: asked_at,
                usage: None,
            })
            .chain(answered)
            .collect();
        self.append(id, outcome.model.as_deref(), entries, answered_at)
    }

    /// A conversation with all its messages; cheap, the messages are shared.
    pub fn get(&self, id: &str) -> Option<Conversation> {
        self.lock()
            .conversations
            .get(id)
            .map(|kept| kept.conversation.clone())
    }

    /// All conversations, the latest first.
    pub fn list(&self) -> Vec<Summary> {
        let state = self.lock();
        let mut kept: Vec<&Kept> = state.conversations.values().collect();
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.update));
        kept.into_iter()
            .map(|kept| summary(&kept.conversation))
            .collect()
    }

    /// Whether there was one to delete.
    pub fn delete(&self, id: &str) -> bool {
        self.lock().remove(id)
    }

    fn append(
        &self,
        id: &str,
        model: Option<&str>,
        entries: Vec<Entry>,
        at: SystemTime,
    ) -> Vec<String> {
        let mut state = self.lock();
        state.append(id, model, entries, at);
        let mut gone = Vec::new();
        // One that is too large by itself must not push out all others first.
        if state
            .conversations
            .get(id)
            .is_some_and(|kept| kept.bytes > self.bounds.bytes)
        {
            state.remove(id);
            gone.push(id.to_owned());
        }
        while state.conversations.len() > self.bounds.conversations
            || state.bytes > self.bounds.bytes
        {
            let oldest = state
                .conversations
                .iter()
                .min_by_key(|(_, kept)| kept.update);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            state.remove(&oldest);
            gone.push(oldest);
        }
        gone
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave the state half-changed in a way that matters here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

impl Conversation {
    /// The messages, as the next prompt's history.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.entries.iter().map(|entry| &entry.message)
    }
}

impl State {
    fn append(&mut self, id: &str, model: Option<&str>, entries: Vec<Entry>, at: SystemTime) {
        self.updates += 1;
        let kept = self
            .conversations
            .entry(id.to_owned())
            .or_insert_with(|| Kept {
                conversation: Conversation {
                    id: id.to_owned(),
                    model: None,
                    created: entries.first().map_or(at, |entry| entry.timestamp),
                    updated: at,
                    entries: Vec::new(),
                },
                bytes: 0,
                update: 0,
            });
        let bytes = entries
            .iter()
            .map(|entry| message_bytes(&entry.message))
            .sum::<usize>();
        kept.bytes += bytes;
        self.bytes += bytes;
        kept.update = self.updates;
        kept.conversation.updated = at;
        if let Some(model) = model {
            kept.conversation.model = Some(model.to_owned());
        }
        kept.conversation
            .entries
            .extend(entries.into_iter().map(Arc::new));
    }

    fn remove(&mut self, id: &str) -> bool {
        let removed = self.conversations.remove(id);
        if let Some(kept) = &removed {
            self.bytes -= kept.bytes;
        }
        removed.is_some()
    }
}

fn summary(conversation: &Conversation) -> Summary {
    let blocks = || conversation.messages().flat_map(|message| &message.content);
    let title = conversation
        .messages()
        .filter(|message| message.role == Role::User)
        .flat_map(|message| &message.content)
        .find_map(|block| match block {
            Block::Text { text } => {
                Some(one_line(text, TITLE_CHARS)).filter(|title| !title.is_empty())
            }
            _ => None,
        });
    Summary {
        id: conversation.id.clone(),
        title: title.unwrap_or_default(),
        model: conversation.model.clone(),
        created: conversation.created,
        updated: conversation.updated,
        messages: conversation.entries.len(),
        tool_calls: blocks()
            .filter(|block| matches!(block, Block::ToolUse { .. }))
            .count(),
    }
}

fn message_bytes(message: &Message) -> usize {
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
            Block::ToolUse { id, name, input } => id.len() + name.len() + value_bytes(input),
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

/// JSON from a server or host is at most 128 deep, which serde_json sees to.
fn value_bytes(value: &Value) -> usize {
    OVERHEAD
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(value_bytes).sum(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| key.len() + value_bytes(value))
                .sum(),
        }
}

#[cfg(test)]
mod tests;
