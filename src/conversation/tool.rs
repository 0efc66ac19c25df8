//! The tools of a prompt: what is declared, who runs them, and what can come back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::llm::{self, Block, BoxFuture};

use super::clock::ToolClock;

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredTool {
    pub tool: llm::Tool,
    /// It changes nothing: calls of such tools that follow each other may run at once.
    pub read_only: bool,
    /// What one call may take; the prompt's `tool_timeout` if absent.
    pub timeout: Option<Duration>,
}

/// Runs tools on the user's machine.
pub trait Tools: Send + Sync {
    /// Runs one call. Dropping the future cancels the tool.
    ///
    /// The turn enforces the clock itself: when the time is up it tells [`ToolClock::stopped`], and
    /// drops the future soon after. Whoever implements this stops the clock while a person is
    /// asked for permission. A call id is executed at most once.
    fn execute(
        &self,
        call: ToolCall,
        clock: Arc<ToolClock>,
    ) -> BoxFuture<'_, Result<ToolOutput, ToolFailure>>;
}

/// A call of a declared tool, complete and fit for its input schema.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// Unique within the conversation.
    pub id: String,
    /// The tool's name as the host declared it.
    pub name: String,
    /// Always a JSON object.
    pub input: Value,
    /// The model had read what a tool returned when it made this call: it may be following what
    /// stood there.
    pub after_untrusted_read: bool,
}

/// What a tool gave back.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolOutput {
    /// Text and images; other blocks are not for tools to return.
    pub content: Vec<Block>,
    /// The tool ran and says itself that it failed.
    pub is_error: bool,
}

/// Why there is no output. The model is told, and the loop goes on, except after `Aborted` and
/// `HostGone`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolFailure {
    /// The host does not have the tool it declared.
    #[error("the host has no such tool")]
    NotFound,
    /// The host refuses this input.
    #[error("the input was refused: {0}")]
    InvalidInput(String),
    /// The tool did not work; the text is the host's.
    #[error("the tool failed: {0}")]
    Failed(String),
    /// The host's own deadline passed.
    #[error("the tool did not answer in time")]
    TimedOut,
    /// The user, or a rule of theirs, said no.
    #[error("the user did not allow this call")]
    Denied,
    /// The user stopped this one call.
    #[error("the call was cancelled")]
    Cancelled,
    /// The user wants the whole prompt to end.
    #[error("the user ended the prompt")]
    Aborted,
    /// Nobody is left to run tools. Ends the prompt.
    #[error("the host is gone")]
    HostGone,
}

/// Why a call was answered by us instead of by its tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFailure {
    NotFound,
    InvalidInput,
    Failed,
    TimedOut,
    Denied,
    Cancelled,
    /// The model goes round in circles.
    Loop,
    /// A limit of the prompt was reached.
    Limit,
}
