//! What a prompt tells while it runs, and where it tells it.

use std::time::Duration;

use serde_json::Value;

use crate::llm::{self, BoxFuture};

use super::tool::CallFailure;

/// Where a prompt's events go, in order.
pub trait Sink: Send + Sync {
    /// Takes one event of a round; rounds count from 1.
    ///
    /// May wait (backpressure): meanwhile nothing more is read from the model. A turn always awaits
    /// this future to its end, also after a cancel, so a sink that numbers its events leaves no gap;
    /// bounding the wait for a host that does not read is the sink's business.
    fn emit(&self, round: u32, event: Event) -> BoxFuture<'_, ()>;
}

/// One step of a prompt. The terminal event is not among them: whoever called
/// [`run`](super::run) has the whole [`Outcome`](super::Outcome) and tells it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The prompt is valid and on its way. Once, first.
    Started,
    /// What is being waited for.
    Status {
        phase: Phase,
        /// From 0 to 1, where the server tells.
        progress: Option<f64>,
    },
    /// The answer has still not begun.
    Waiting {
        /// What was last told of the server.
        phase: Option<Phase>,
        /// Since this round's request.
        elapsed: Duration,
    },
    /// A piece of the answer's text.
    TextDelta { text: String },
    /// A piece of the model's reasoning.
    ReasoningDelta { text: String },
    /// The model began a tool call. It may still come to nothing.
    ToolCallStarted { id: String, name: String },
    /// A piece of a call's arguments, not JSON by itself.
    ToolCallDelta { id: String, fragment: String },
    /// A call is complete and its input is a JSON object.
    ToolCallReady {
        id: String,
        name: String,
        input: Value,
    },
    /// A call was answered: by the tool, or for it (unknown, invalid, denied, limit …).
    ToolResult {
        id: String,
        is_error: bool,
        /// Why it was answered for the tool; `None` if the tool answered itself.
        failure: Option<CallFailure>,
        /// At most 200 characters on one line, fit for display.
        preview: String,
    },
    /// What the server counted for this round; once a round, absent if it counted nothing.
    Usage(llm::Usage),
    /// Something went other than asked, and the prompt goes on.
    Warning { message: String },
}

/// What a prompt is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// For a connection to the server. First round only.
    Connecting,
    /// For the server to take the request up.
    Queued,
    /// For the server to load the model.
    LoadingModel,
    /// For the model to read the prompt.
    Prefill,
}

impl From<llm::Phase> for Phase {
    fn from(phase: llm::Phase) -> Self {
        match phase {
            llm::Phase::Queued => Self::Queued,
            llm::Phase::LoadingModel => Self::LoadingModel,
            llm::Phase::Prefill => Self::Prefill,
        }
    }
}
