//! Brings a conversation into the one form every server understands.
//!
//! In that form there are only user and assistant messages, in turns; none is empty; and every tool
//! call is answered exactly once, in order, at the head of the user message right after it.
//! What an earlier prompt left in the history is repaired; what the host just sent must make sense,
//! or the error names the message.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::llm::{Block, Message, Role};

/// A message from the host that has no meaning where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("messages[{index}]: {problem}")]
pub struct InvalidMessage {
    /// Counted from the prompt's first new message.
    pub index: usize,
    pub problem: MessageProblem,
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageProblem {
    #[error("there is no content")]
    Empty,
    #[error("{block} block cannot be in {role} message")]
    Misplaced {
        block: &'static str,
        role: &'static str,
    },
    #[error("a tool_use block has no id")]
    NoCallId,
    #[error("two tool_use blocks have the id `{id}`")]
    DuplicateCall { id: String },
    #[error("the input of tool_use `{id}` is not a JSON object")]
    InputNotObject { id: String },
    #[error("no tool_result answers tool_use `{id}` in the message after it")]
    Unanswered { id: String },
    #[error("tool_result `{id}` answers no tool_use of the message before it")]
    Orphan { id: String },
    #[error("two tool_result blocks answer tool_use `{id}`")]
    DuplicateResult { id: String },
}

/// A conversation in its one form.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Normal {
    pub(super) system: Option<String>,
    pub(super) messages: Vec<Message>,
}

/// Messages before `new_from` are history. System messages, wherever they stand, join `system`.
pub(super) fn normalise(
    system: Option<String>,
    messages: Vec<Message>,
    new_from: usize,
) -> Result<Normal, InvalidMessage> {
    let mut instructions: Vec<String> = system.into_iter().collect();
    let mut groups: Vec<Group> = Vec::new();
    for (index, Message { role, content }) in messages.into_iter().enumerate() {
        let origin = Origin { index, new_from };
        let content: Vec<Block> = content
            .into_iter()
            .filter(|block| !is_blank(block))
            .collect();
        if content.is_empty() {
            origin.refuse(|| MessageProblem::Empty)?;
            continue;
        }
        if role == Role::System {
            instructions.extend(texts_of_system(content, origin)?);
            continue;
        }
        let blocks = content.into_iter().map(|block| (origin, block));
        match groups.last_mut() {
            Some(group) if group.role == role => group.blocks.extend(blocks),
            _ => groups.push(Group {
                role,
                blocks: blocks.collect(),
            }),
        }
    }
    let instructions: Vec<String> = instructions
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    Ok(Normal {
        system: (!instructions.is_empty()).then(|| instructions.join("\n\n")),
        messages: pair_up(groups)?,
    })
}

/// Appends a message and keeps the turns apart: one of the same role grows instead.
pub(super) fn append(messages: &mut Vec<Message>, message: Message) {
    match messages.last_mut() {
        Some(last) if last.role == message.role => last.content.extend(message.content),
        _ => messages.push(message),
    }
}

/// Neighbouring messages of one role.
struct Group {
    role: Role,
    blocks: Vec<(Origin, Block)>,
}

/// Where a block came from, and so whether it may be repaired.
#[derive(Clone, Copy)]
struct Origin {
    index: usize,
    new_from: usize,
}

impl Origin {
    /// Returns if the message is history; the caller then repairs it.
    fn refuse(self, problem: impl FnOnce() -> MessageProblem) -> Result<(), InvalidMessage> {
        match self.index.checked_sub(self.new_from) {
            Some(index) => Err(InvalidMessage {
                index,
                problem: problem(),
            }),
            None => Ok(()),
        }
    }
}

/// Puts calls and results together.
fn pair_up(groups: Vec<Group>) -> Result<Vec<Message>, InvalidMessage> {
    let mut messages = Vec::with_capacity(groups.len());
    let mut open: Vec<(Origin, String)> = Vec::new();
    for group in groups {
        let content = if group.role == Role::Assistant {
            // Two assistant turns are never neighbours, so nothing is open here.
            let content = check_assistant(group.blocks)?;
            open = calls_of(&content);
            content.into_iter().map(|(_, block)| block).collect()
        } else {
            answer(std::mem::take(&mut open), group.blocks)?
        };
        if !content.is_empty() {
            append(
                &mut messages,
                Message {
                    role: group.role,
                    content,
                },
            );
        }
    }
    if !open.is_empty() {
        let content = answer(open, Vec::new())?;
        append(
            &mut messages,
            Message {
                role: Role::User,
                content,
            },
        );
    }
    Ok(messages)
}

fn check_assistant(blocks: Vec<(Origin, Block)>) -> Result<Vec<(Origin, Block)>, InvalidMessage> {
    let mut ids = HashSet::new();
    let mut kept = Vec::with_capacity(blocks.len());
    for (origin, mut block) in blocks {
        match &mut block {
            Block::Text { .. } | Block::Thinking { .. } => {}
            Block::Image { .. } | Block::ToolResult { .. } => {
                let block = kind(&block);
                origin.refuse(|| MessageProblem::Misplaced {
                    block,
                    role: "an assistant",
                })?;
                continue;
            }
            Block::ToolUse { id, input, .. } => {
                if id.is_empty() {
                    origin.refuse(|| MessageProblem::NoCallId)?;
                    continue;
                }
                if !ids.insert(id.clone()) {
                    origin.refuse(|| MessageProblem::DuplicateCall { id: id.clone() })?;
                    continue;
                }
                if !input.is_object() {
                    origin.refuse(|| MessageProblem::InputNotObject { id: id.clone() })?;
                    *input = Value::Object(Map::new());
                }
            }
        }
        kept.push((origin, block));
    }
    Ok(kept)
}

fn calls_of(content: &[(Origin, Block)]) -> Vec<(Origin, String)> {
    content
        .iter()
        .filter_map(|(origin, block)| match block {
            Block::ToolUse { id, .. } => Some((*origin, id.clone())),
            _ => None,
        })
        .collect()
}

/// The content of the user message after `calls`: their results in order, then the rest.
fn answer(
    calls: Vec<(Origin, String)>,
    blocks: Vec<(Origin, Block)>,
) -> Result<Vec<Block>, InvalidMessage> {
    let mut results: Vec<Option<Block>> = calls.iter().map(|_| None).collect();
    let mut rest = Vec::new();
    for (origin, block) in blocks {
        match block {
            Block::Text { .. } | Block::Image { .. } => rest.push(block),
            Block::Thinking { .. } | Block::ToolUse { .. } => {
                let block = kind(&block);
                origin.refuse(|| MessageProblem::Misplaced {
                    block,
                    role: "a user",
                })?;
            }
            Block::ToolResult {
                tool_use_id: id,
                content,
                is_error,
            } => {
                let content = result_content(content, origin)?;
                let slot = calls
                    .iter()
                    .position(|(_, call)| *call == id)
                    .and_then(|place| results.get_mut(place));
                match slot {
                    Some(slot @ None) => {
                        *slot = Some(Block::ToolResult {
                            tool_use_id: id,
                            content,
                            is_error,
                        });
                    }
                    Some(Some(_)) => origin.refuse(|| MessageProblem::DuplicateResult { id })?,
                    None => {
                        origin.refuse(|| MessageProblem::Orphan { id })?;
                        rest.push(Block::Text {
                            text: "Result of an earlier tool call:".to_owned(),
                        });
                        rest.extend(content);
                    }
                }
            }
        }
    }
    let mut content = Vec::with_capacity(results.len() + rest.len());
    for ((origin, id), result) in calls.into_iter().zip(results) {
        content.push(match result {
            Some(result) => result,
            None => {
                origin.refuse(|| MessageProblem::Unanswered { id: id.clone() })?;
                Block::ToolResult {
                    tool_use_id: id,
                    content: vec![Block::Text {
                        text: "This call was not run.".to_owned(),
                    }],
                    is_error: true,
                }
            }
        });
    }
    content.extend(rest);
    Ok(content)
}

fn result_content(content: Vec<Block>, origin: Origin) -> Result<Vec<Block>, InvalidMessage> {
    let mut kept = Vec::with_capacity(content.len());
    for block in content {
        match block {
            Block::Text { .. } | Block::Image { .. } => kept.push(block),
            Block::Thinking { .. } | Block::ToolUse { .. } | Block::ToolResult { .. } => {
                let block = kind(&block);
                origin.refuse(|| MessageProblem::Misplaced {
                    block,
                    role: "a tool_result of a user",
                })?;
            }
        }
    }
    Ok(kept)
}

fn texts_of_system(content: Vec<Block>, origin: Origin) -> Result<Vec<String>, InvalidMessage> {
    let mut texts = Vec::with_capacity(content.len());
    for block in content {
        match block {
            Block::Text { text } => texts.push(text),
            Block::Image { .. }
            | Block::Thinking { .. }
            | Block::ToolUse { .. }
            | Block::ToolResult { .. } => {
                let block = kind(&block);
                origin.refuse(|| MessageProblem::Misplaced {
                    block,
                    role: "a system",
                })?;
            }
        }
    }
    Ok(texts)
}

/// Whether there is nothing in a block.
pub(super) fn is_blank(block: &Block) -> bool {
    match block {
        Block::Text { text } => text.is_empty(),
        Block::Thinking {
            thinking,
            signature,
        } => thinking.is_empty() && signature.is_none(),
        Block::ToolUse { .. } | Block::ToolResult { .. } | Block::Image { .. } => false,
    }
}

fn kind(block: &Block) -> &'static str {
    match block {
        Block::Text { .. } => "a text",
        Block::Thinking { .. } => "a thinking",
        Block::ToolUse { .. } => "a tool_use",
        Block::ToolResult { .. } => "a tool_result",
        Block::Image { .. } => "an image",
    }
}

#[cfg(test)]
mod tests;
