//! What is said on the stage, and how it ended.

use serde_json::Value;

use crate::conversation::outcome::{End, Outcome, StopReason};
use crate::conversation::tool::ToolOutput;
use crate::llm::{self, Block, ChatEvent, Completion, InvalidCall, Message, Role, Usage};

use super::{Act, Lost, Step};

pub(in crate::conversation::turn) fn text(text: &str) -> Block {
    Block::Text {
        text: text.to_owned(),
    }
}

pub(in crate::conversation::turn) fn user(said: &str) -> Message {
    Message {
        role: Role::User,
        content: vec![text(said)],
    }
}

pub(in crate::conversation::turn) fn assistant(content: Vec<Block>) -> Message {
    Message {
        role: Role::Assistant,
        content,
    }
}

pub(in crate::conversation::turn) fn results(content: Vec<Block>) -> Message {
    Message {
        role: Role::User,
        content,
    }
}

pub(in crate::conversation::turn) fn call(id: &str, name: &str, input: Value) -> Block {
    Block::ToolUse {
        id: id.to_owned(),
        name: name.to_owned(),
        input,
    }
}

pub(in crate::conversation::turn) fn result(id: &str, said: &str) -> Block {
    Block::ToolResult {
        tool_use_id: id.to_owned(),
        content: vec![text(said)],
        is_error: false,
    }
}

pub(in crate::conversation::turn) fn error(id: &str, said: &str) -> Block {
    Block::ToolResult {
        tool_use_id: id.to_owned(),
        content: vec![text(said)],
        is_error: true,
    }
}

pub(in crate::conversation::turn) fn returns(said: &str) -> Act {
    Act::Return(output(said))
}

pub(super) fn output(said: &str) -> ToolOutput {
    ToolOutput {
        content: vec![text(said)],
        is_error: false,
    }
}

pub(in crate::conversation::turn) fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input_tokens: Some(input),
        output_tokens: Some(output),
        ..Usage::default()
    }
}

pub(in crate::conversation::turn) fn completion(content: Vec<Block>) -> Completion {
    let calls = content
        .iter()
        .any(|block| matches!(block, Block::ToolUse { .. }));
    Completion {
        content,
        invalid_calls: Vec::new(),
        stop_reason: if calls {
            llm::StopReason::ToolUse
        } else {
            llm::StopReason::EndTurn
        },
        raw_finish_reason: Some("raw".to_owned()),
        usage: None,
        model: None,
        timing: llm::Timing::default(),
    }
}

/// An answer of these blocks, told as a server streams it.
pub(in crate::conversation::turn) fn says(content: Vec<Block>) -> Vec<Step> {
    let mut steps = Vec::new();
    for block in &content {
        match block {
            Block::Text { text } => steps.push(Step::Tell(ChatEvent::Text(text.clone()))),
            Block::Thinking { thinking, .. } => {
                steps.push(Step::Tell(ChatEvent::Reasoning(thinking.clone())));
            }
            Block::ToolUse { id, name, input } => steps.extend([
                Step::Tell(ChatEvent::ToolCallStarted {
                    id: id.clone(),
                    name: name.clone(),
                }),
                Step::Tell(ChatEvent::ToolCallDelta {
                    id: id.clone(),
                    fragment: input.to_string(),
                }),
            ]),
            other => panic!("a model does not say {other:?}"),
        }
    }
    steps.push(Step::Tell(ChatEvent::Finished(completion(content))));
    steps
}

/// An answer with one call whose arguments are not JSON.
pub(in crate::conversation::turn) fn says_invalid(id: &str, name: &str, raw: &str) -> Vec<Step> {
    vec![Step::Tell(ChatEvent::Finished(Completion {
        invalid_calls: vec![InvalidCall {
            id: id.to_owned(),
            name: name.to_owned(),
            raw: raw.to_owned(),
            problem: "EOF".to_owned(),
        }],
        stop_reason: llm::StopReason::ToolUse,
        ..completion(Vec::new())
    }))]
}

/// How a prompt ended, in a form that compares.
pub(in crate::conversation::turn) fn ended(outcome: &Outcome<Lost>) -> Result<StopReason, String> {
    match &outcome.end {
        End::Finished { stop_reason, .. } => Ok(*stop_reason),
        End::Cancelled => Err("cancelled".to_owned()),
        End::Failed(error) => Err(error.to_string()),
    }
}
