//! What a chat stream tells, and what it comes to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::Block;

/// News of an answer in the making, in the order in which it arrived.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// Nothing to show yet. Progress is 0 to 1 where the server tells it.
    Status {
        phase: Phase,
        progress: Option<f64>,
    },
    /// There is still no output, and nothing else was told for some seconds.
    Waiting {
        /// What was last told of the server.
        phase: Option<Phase>,
        /// Since the question was asked.
        elapsed: Duration,
    },
    Text(String),
    Reasoning(String),
    /// A call's id and name are known. It must not run before [`ChatEvent::Finished`].
    ToolCallStarted {
        id: String,
        name: String,
    },
    /// More of a call's arguments, as raw JSON text.
    ToolCallDelta {
        id: String,
        fragment: String,
    },
    /// At most once, before [`ChatEvent::Finished`].
    Usage(Usage),
    /// Something odd that did not stop the answer, or a failure after which the request is about
    /// to be sent again.
    Warning(String),
    /// The last event: the whole answer, so that the events before it may be ignored.
    Finished(Completion),
}

impl ChatEvent {
    /// Whether this is a piece of the answer itself: what the first token is waited for, and what
    /// cannot be taken back once it was told.
    #[must_use]
    pub fn is_output(&self) -> bool {
        match self {
            Self::Text(_)
            | Self::Reasoning(_)
            | Self::ToolCallStarted { .. }
            | Self::ToolCallDelta { .. } => true,
            Self::Status { .. }
            | Self::Waiting { .. }
            | Self::Usage(_)
            | Self::Warning(_)
            | Self::Finished(_) => false,
        }
    }
}

/// What a server does before the first output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Queued,
    LoadingModel,
    Prefill,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// Thinking, then text, then the calls that are fit to run, in first-seen order.
    pub content: Vec<Block>,
    /// Calls that must not run; the model should be told why.
    pub invalid_calls: Vec<InvalidCall>,
    pub stop_reason: StopReason,
    /// The server's own word.
    pub raw_finish_reason: Option<String>,
    pub usage: Option<Usage>,
    /// The model that answered, by the server's word; it may differ from the one asked.
    pub model: Option<String>,
    pub timing: Timing,
}

/// A call whose arguments are unusable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCall {
    pub id: String,
    pub name: String,
    /// The arguments as they came.
    pub raw: String,
    /// What is wrong with them, for the model to read.
    pub problem: String,
}

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    EndTurn,
    MaxTokens,
    StopSequence,
    /// There is at least one call, fit to run or not.
    ToolUse,
    Refusal,
}

/// Token counts as the server gave them; unknown is `None`, never 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input that was not read from a cache.
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    /// Input that was read from a cache.
    pub cache_read_tokens: Option<u64>,
    /// The part of the output that was reasoning.
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// These counts, and others where these are unknown.
    pub(super) fn or(self, others: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.or(others.input_tokens),
            output_tokens: self.output_tokens.or(others.output_tokens),
            cache_read_tokens: self.cache_read_tokens.or(others.cache_read_tokens),
            reasoning_tokens: self.reasoning_tokens.or(others.reasoning_tokens),
        }
    }
}

/// How long things took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// Opening the byte stream; zero on a connection kept alive.
    pub connect: Duration,
    /// From the call of `chat` to the first output.
    pub first_token: Option<Duration>,
    /// From the call of `chat` until now, or to the end.
    pub total: Duration,
}
