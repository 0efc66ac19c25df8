//! The events of a running prompt.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{ErrorCode, ErrorObject, PromptResult, Usage};

/// Params of `remote-llm/stream-chunk`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamChunkParams<'a> {
    /// The prompt.
    pub request_id: &'a str,
    /// From 0 without gaps.
    pub seq: u64,
    /// Which request to the server, from 1.
    pub round: u32,
    /// What happened.
    pub event: Event,
}

/// What happened in a running prompt. After `finished` or `failed` nothing follows.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Event {
    /// The first event.
    Started {
        /// Where the answer will be kept.
        conversation_id: String,
        /// The model asked.
        model: String,
    },
    /// What the server is busy with before it speaks.
    Status {
        /// What it is.
        phase: Phase,
        /// From 0 to 1, where the server tells it.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<f64>,
        /// Milliseconds since the round's request; told at least each 5 s while there is nothing
        /// else to tell of an answer that has not begun.
        #[serde(skip_serializing_if = "Option::is_none")]
        elapsed_ms: Option<u64>,
    },
    /// More text.
    TextDelta {
        /// The text.
        text: String,
    },
    /// More of what the model thinks.
    ReasoningDelta {
        /// The text.
        text: String,
    },
    /// The model begins to call a tool.
    ToolCallStarted {
        /// Names the call.
        id: String,
        /// Names the tool.
        name: String,
    },
    /// More of a call's arguments.
    ToolCallDelta {
        /// The call.
        id: String,
        /// A piece of JSON.
        fragment: String,
    },
    /// A call is whole and about to run.
    ToolCallReady {
        /// The call.
        id: String,
        /// The tool.
        name: String,
        /// Its arguments.
        input: Map<String, Value>,
    },
    /// A call was answered.
    ToolResult {
        /// The call.
        id: String,
        /// Whether it failed.
        is_error: bool,
        /// Why the daemon answered it instead of the tool.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<ErrorCode>,
        /// The beginning of what it said.
        preview: String,
    },
    /// What the round used.
    Usage {
        /// Tokens.
        usage: Usage,
    },
    /// Something the user should know.
    Warning {
        /// A sentence.
        message: String,
    },
    /// The end; also of a cancelled prompt.
    Finished {
        /// The same as the reply's result.
        result: Arc<PromptResult>,
    },
    /// The end, with what had arrived in `data.partial`.
    Failed {
        /// The same as the reply's error.
        error: Box<ErrorObject>,
    },
}

/// What the server is busy with before it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The way to it is being made.
    Connecting,
    /// Others are before us.
    Queued,
    /// The model is being loaded.
    LoadingModel,
    /// The prompt is being read.
    Prefill,
    /// For whatever reason: it does not tell.
    Waiting,
}
