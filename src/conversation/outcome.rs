//! What came of a prompt. Whatever happened, nothing that arrived is lost.

use std::time::Duration;

use crate::llm::{self, Block, Carrier, Message, Role, Usage};

use super::error::Error;

/// How a prompt ended, and all it produced until then.
#[derive(Debug)]
pub struct Outcome<E: Carrier> {
    pub end: End<E>,
    /// All messages this prompt added: ready to be followed by the next one, since every tool call
    /// in them has its result. An answer that was cut short is the last of them.
    pub messages: Vec<Message>,
    /// The text of the answer that was cut short; empty if none was.
    pub partial: String,
    /// The model that answered, by the server's word.
    pub model: Option<String>,
    pub usage: UsageReport,
    pub timing: Timing,
    /// Requests made to the model.
    pub rounds: u32,
    /// Calls answered by a tool or by an error in its place.
    pub tool_calls: u32,
    pub warnings: Vec<String>,
}

/// How a prompt ended.
#[derive(Debug)]
pub enum End<E: Carrier> {
    /// The model came to an end, or a limit was reached.
    Finished {
        stop_reason: StopReason,
        /// The server's own word for it.
        raw_finish_reason: Option<String>,
    },
    /// The token was cancelled.
    Cancelled,
    Failed(Error<E>),
}

/// Why the last answer is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    EndTurn,
    MaxTokens,
    StopSequence,
    /// The last message has calls for the host to answer.
    ToolUse,
    Refusal,
    /// Of rounds or of tool calls; the calls that were too many are answered with an error.
    Limit,
}

impl From<llm::StopReason> for StopReason {
    fn from(reason: llm::StopReason) -> Self {
        match reason {
            llm::StopReason::EndTurn => Self::EndTurn,
            llm::StopReason::MaxTokens => Self::MaxTokens,
            llm::StopReason::StopSequence => Self::StopSequence,
            llm::StopReason::ToolUse => Self::ToolUse,
            llm::StopReason::Refusal => Self::Refusal,
        }
    }
}

/// Tokens as the server counted them. `None` is unknown, which is not 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UsageReport {
    /// One entry for each round begun.
    pub per_round: Vec<Option<Usage>>,
}

impl UsageReport {
    /// The sum of what is known, field by field. Input counts again in every round, as it is paid
    /// for again; the fill of the context is the last round's input and output.
    pub fn total(&self) -> Usage {
        let sum = |field: fn(&Usage) -> Option<u64>| {
            self.per_round
                .iter()
                .flatten()
                .filter_map(field)
                .reduce(u64::saturating_add)
        };
        Usage {
            input_tokens: sum(|usage| usage.input_tokens),
            output_tokens: sum(|usage| usage.output_tokens),
            cache_read_tokens: sum(|usage| usage.cache_read_tokens),
            reasoning_tokens: sum(|usage| usage.reasoning_tokens),
        }
    }
}

/// Where the time went.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timing {
    /// Reaching the server, first round; `None` if a connection was there.
    pub connect: Option<Duration>,
    /// From the prompt's start to the first piece of answer.
    pub first_token: Option<Duration>,
    /// Everything, tools included.
    pub total: Duration,
    /// Output tokens by the time from the first token to the finish, over the rounds where both are
    /// known.
    pub tokens_per_second: Option<f64>,
}

impl<E: Carrier> Outcome<E> {
    /// Of a prompt that was cancelled before it reached the model.
    pub fn cancelled() -> Self {
        Self {
            end: End::Cancelled,
            messages: Vec::new(),
            partial: String::new(),
            model: None,
            usage: UsageReport::default(),
            timing: Timing::default(),
            rounds: 0,
            tool_calls: 0,
            warnings: Vec::new(),
        }
    }

    /// The last assistant message, if there is any.
    pub fn answer(&self) -> Option<&Message> {
        self.messages
            .iter()
            .rfind(|message| message.role == Role::Assistant)
    }

    /// Whether the same prompt may be sent again as it is: it failed for a passing reason, and
    /// before it said or did anything.
    pub fn may_retry(&self) -> bool {
        match &self.end {
            End::Failed(error) => error.is_transient() && self.messages.is_empty(),
            End::Finished { .. } | End::Cancelled => false,
        }
    }

    /// All text the model wrote, of all rounds.
    pub fn text(&self) -> String {
        self.messages
            .iter()
            .filter(|message| message.role == Role::Assistant)
            .flat_map(|message| &message.content)
            .filter_map(|block| match block {
                Block::Text { text } => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}
