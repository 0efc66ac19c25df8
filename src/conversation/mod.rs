//! One prompt to its end: stream, tool calls, results, stream …
//!
//! ```text
//! Prompt ─ prompt::Plan ─▶ turn::drive ──▶ Outcome ──▶ History
//!          message           │  ▲
//!                    listen  ▼  │ execute
//!                       llm::Server  Tools (the host)
//! ```
//!
//! This room owns what a conversation is: which messages are valid, which tool calls run and how
//! often, what ends a prompt. It knows the model server by [`llm`](crate::llm) only, and the host
//! by the two traits it wants implemented: [`Tools`] to run tools, [`Sink`] to be told.
//!
//! What holds at all times: every tool call in the messages of an [`Outcome`] is answered exactly
//! once, in order; no tool runs twice for one call; nothing that arrived is lost.

mod audit;
mod call;
mod clock;
mod digest;
mod error;
mod event;
mod guard;
mod history;
mod limits;
mod message;
mod model;
mod outcome;
mod output;
mod private;
mod prompt;
mod repair;
mod schema;
mod text;
mod tool;
mod toolbox;
mod turn;
mod worker;

use tokio_util::sync::CancellationToken;

use crate::llm::{Carrier, Server};

pub use audit::{
    Audit, AuditedTools, Broken, Record, Subject, Verified, redact as redact_secrets, verify,
};
pub use clock::ToolClock;
pub use error::{Error, ToolChoiceProblem, ToolProblem};
pub use event::{Event, Phase, Sink};
pub use history::{
    Asked, Bounds, Conversation, Entry, History, HistoryError, NotContinuable, Origin, Place,
    Recorded, Summary,
};
pub use limits::Limits;
pub use message::{InvalidMessage, MessageProblem};
pub use outcome::{End, Outcome, StopReason, Timing, UsageReport};
pub use prompt::Prompt;
pub use tool::{CallFailure, DeclaredTool, ToolCall, ToolFailure, ToolOutput, Tools};

/// Runs a prompt: asks the model, runs the tools it calls, tells it the results, until it answers
/// without calling any.
///
/// # Cancelling
/// Cancelling the token is the way: the connection to the server, or the tool that runs, is dropped
/// at once, and the outcome holds all that had arrived. Dropping the future stops everything just
/// the same, but what had arrived is gone.
pub async fn run<E: Carrier>(
    server: &Server<E>,
    prompt: Box<Prompt>,
    tools: &dyn Tools,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Outcome<E> {
    turn::drive(server, prompt, tools, sink, cancel).await
}

#[cfg(test)]
mod tests;
