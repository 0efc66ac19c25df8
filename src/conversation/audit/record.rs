//! What is noted.

use serde::Serialize;
use serde_json::Value;

use crate::llm::Usage;

/// One thing that happened. Content is only there where the host asked for it.
#[derive(Debug, Clone, Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Record {
    /// A prompt was taken on.
    Submission {
        #[serde(flatten)]
        prompt: Subject,
        config_id: String,
        /// Where it goes: the hops and the address behind them, without any secret.
        route: String,
        model: String,
        /// All that the model will see.
        messages: usize,
        bytes: usize,
        /// The tools' names.
        tools: Vec<String>,
        /// What is new.
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<Value>,
    },
    /// The host was asked to run a tool.
    Tool {
        #[serde(flatten)]
        prompt: Subject,
        tool_call_id: String,
        tool: String,
        input_sha256: String,
        /// `ok`, or how it failed.
        outcome: &'static str,
        duration_ms: u64,
        output_bytes: usize,
        output_sha256: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        input: Option<Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        output: Option<Value>,
    },
    /// A prompt ended.
    Response {
        #[serde(flatten)]
        prompt: Subject,
        /// The stop reason, `cancelled`, or the error's code.
        outcome: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        rounds: u32,
        tool_calls: u32,
        usage: Usage,
        duration_ms: u64,
        bytes: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<Value>,
    },
}

/// The prompt it is about.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    pub request_id: String,
    pub conversation_id: String,
}
