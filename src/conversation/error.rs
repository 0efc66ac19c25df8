//! Why a prompt could not be brought to its end.

use crate::llm;

use super::message::InvalidMessage;

/// What ended a prompt early. What had arrived until then is in the
/// [`Outcome`](super::Outcome).
#[derive(Debug, thiserror::Error)]
pub enum Error<E: llm::Carrier> {
    /// The server, or the way to it.
    #[error(transparent)]
    Llm(#[from] llm::Error<E>),
    /// The server's stream stopped without an error and without a finish. Its fault; what it sent
    /// is kept as partial.
    #[error("the answer stopped without a finish reason")]
    Unfinished,
    /// Nothing to ask. The host's fault.
    #[error("messages is empty")]
    NoMessages,
    /// A message that no server could make sense of. The host's fault.
    #[error(transparent)]
    InvalidMessage(#[from] InvalidMessage),
    /// A tool that cannot be declared. The host's fault.
    #[error("tools[{index}]: {problem}")]
    InvalidTool { index: usize, problem: ToolProblem },
    /// A tool choice that the declared tools cannot satisfy. The host's fault.
    #[error("toolChoice: {0}")]
    InvalidToolChoice(ToolChoiceProblem),
    /// The model repeated itself after being told not to. Another model, or a clearer prompt.
    #[error("{}", repeated(name, *period))]
    ToolLoop {
        /// The tool of the last call.
        name: String,
        /// How many calls were made again and again, in the same order.
        period: usize,
    },
    /// No call had an input that fits, and the model did not learn from being told.
    #[error("no tool call was fit to run, {rounds} rounds in a row")]
    UnfitCalls { rounds: u32 },
    /// Every call failed.
    #[error("every tool call failed, {rounds} rounds in a row")]
    FailedCalls { rounds: u32 },
    /// Nobody is left to run tools.
    #[error("the host is gone")]
    HostGone,
}

fn repeated(name: &str, period: usize) -> String {
    match period {
        1 => format!("the model made the same call of `{name}` four times in a row"),
        _ => format!("the model went round the same {period} tool calls for the fourth time"),
    }
}

/// What is wrong with a declared tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolProblem {
    #[error("name is empty")]
    NoName,
    #[error("another tool has the same name")]
    DuplicateName,
    #[error("inputSchema is not a JSON object")]
    SchemaNotObject,
    #[error("inputSchema is longer than 256 KiB")]
    SchemaTooLong,
    /// Nothing is fetched.
    #[error("a $ref of inputSchema leads elsewhere than to a part of it (#/…)")]
    SchemaReference,
    /// It would take too long to check.
    #[error("the $refs of inputSchema go round in circles, or lead to too much")]
    SchemaTangled,
    #[error("inputSchema is no valid JSON Schema: {0}")]
    SchemaInvalid(String),
}

/// What is wrong with a tool choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolChoiceProblem {
    #[error("a tool is required, and none is declared")]
    NoTools,
    #[error("no tool named `{0}` is declared")]
    Undeclared(String),
}

impl<E: llm::Carrier> Error<E> {
    /// Whether asking the model again may well work a little later. A prompt that ran tools is
    /// another matter: see [`Outcome::may_retry`](super::Outcome::may_retry).
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Llm(error) => error.is_transient(),
            Self::Unfinished
            | Self::NoMessages
            | Self::InvalidMessage(_)
            | Self::InvalidTool { .. }
            | Self::InvalidToolChoice(_)
            | Self::ToolLoop { .. }
            | Self::UnfitCalls { .. }
            | Self::FailedCalls { .. }
            | Self::HostGone => false,
        }
    }
}
