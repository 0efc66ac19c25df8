//! Prompts and their results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Content, Message, MessageParam};

/// Params of `submit-prompt` and `stream-prompt`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromptParams {
    /// The profile whose server answers.
    pub config_id: String,
    /// The host's own name for this prompt, unique among those in flight; made up when absent.
    #[serde(default)]
    pub request_id: Option<String>,
    /// Continues a conversation that the daemon keeps; a new one when absent or unknown.
    #[serde(default)]
    pub conversation_id: Option<String>,
    /// What is new; a kept conversation's own messages come before it. Empty only with `continue`.
    #[serde(default)]
    pub messages: Vec<MessageParam>,
    /// Goes on with the answer that `conversationId` ends with, which was cut short before any
    /// tool ran (`partial`): the whole answer takes its place. For llama.cpp, vLLM, SGLang and
    /// Ollama.
    #[serde(default, rename = "continue")]
    pub continues: bool,
    /// Instructions: text, or text blocks, which a blank line will keep apart.
    #[serde(default)]
    pub system: Option<Content>,
    /// Another model than the selected one.
    #[serde(default)]
    pub model: Option<String>,
    /// What the model may call.
    #[serde(default)]
    pub tools: Vec<ToolParam>,
    /// Whether it must.
    #[serde(default)]
    pub tool_choice: Option<ToolChoiceParam>,
    /// Randomness.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    #[serde(default)]
    pub top_p: Option<f64>,
    /// The longest answer of one round.
    #[serde(default)]
    pub max_output_tokens: Option<u64>,
    /// Texts that end an answer.
    #[serde(default)]
    pub stop: Vec<String>,
    /// For servers that can repeat themselves.
    #[serde(default)]
    pub seed: Option<i64>,
    /// Further fields of the server's own API.
    #[serde(default)]
    pub extra: Map<String, Value>,
    /// Bounds of the tool loop.
    #[serde(default)]
    pub limits: LimitParams,
}

/// A tool of the host's.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolParam {
    /// Its name.
    pub name: String,
    /// For the model.
    #[serde(default)]
    pub description: Option<String>,
    /// JSON Schema of its arguments, at most 256 KiB. Calls that do not fit it are not run.
    /// References are to parts of it only (`#/…`), formats are not checked, and patterns have
    /// neither look-around nor back-references.
    #[serde(default, alias = "input_schema", alias = "parameters")]
    pub input_schema: Map<String, Value>,
    /// It changes nothing: calls of such tools that follow each other run at once.
    #[serde(default)]
    pub read_only: bool,
    /// What one call may take (`limits.toolTimeoutMs`, at most 30 min).
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

/// Whether the model must call a tool.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ToolChoiceParam {
    /// One of the words.
    Mode(ToolChoiceMode),
    /// This tool (Anthropic's form; a `type` beside it is ignored).
    Named {
        /// The tool.
        name: String,
    },
}

/// Whether the model must call a tool.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolChoiceMode {
    /// As it likes.
    Auto,
    /// At least one.
    #[serde(alias = "any")]
    Required,
    /// None.
    None,
}

/// Bounds of the tool loop; absent ones have the daemon's defaults, and none is above its maximum.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LimitParams {
    /// Requests to the server (50, at most 500).
    pub max_rounds: Option<u32>,
    /// Tool calls in all (200, at most 2000).
    pub max_tool_calls: Option<u32>,
    /// For all of the prompt, without the time in which persons are asked (30 min, at most 24 h).
    /// Past it no tool runs; an answer is not cut short.
    pub prompt_time_ms: Option<u64>,
    /// For one tool call (120 s, at most 30 min).
    pub tool_timeout_ms: Option<u64>,
    /// What the model sees of one result (256 KiB, at most 1 MiB, which is also the most of one
    /// round's results together).
    pub tool_output_bytes: Option<usize>,
    /// How many read-only tools run at once (4, which is the most).
    pub parallel_tools: Option<u32>,
}

/// Result of `submit-prompt` and `stream-prompt`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromptResult {
    /// The prompt.
    pub request_id: String,
    /// Its conversation; name it in the next prompt to go on.
    pub conversation_id: String,
    /// The model that answered.
    pub model: String,
    /// The last thing the model said.
    pub message: Message,
    /// All that this prompt added after its own messages: answers, calls, results.
    pub messages: Vec<Message>,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// The server's own word for it.
    pub raw_finish_reason: Option<String>,
    /// Tokens.
    pub usage: TotalUsage,
    /// Times.
    pub timing: Timing,
    /// Requests to the server.
    pub rounds: u32,
    /// Tools called.
    pub tool_calls: u32,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Why a prompt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model had said all.
    EndTurn,
    /// The longest answer, or the end of the context.
    MaxTokens,
    /// One of `stop`.
    StopSequence,
    /// The host has no `executeTool`: it runs the calls and goes on itself.
    ToolUse,
    /// As asked.
    Cancelled,
    /// The server refused the content.
    Refusal,
    /// `limits`.
    Limit,
}

/// Tokens of one round; `null` where the server did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Read, cached ones excluded.
    pub input_tokens: Option<u64>,
    /// Written.
    pub output_tokens: Option<u64>,
    /// Read from a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    /// Thought, where counted apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

/// Tokens of a whole prompt.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TotalUsage {
    /// The sums of the rounds that told.
    #[serde(flatten)]
    pub total: Usage,
    /// Each round.
    pub per_round: Vec<Usage>,
}

/// Times of a whole prompt.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timing {
    /// Until a byte stream to the server was open.
    pub connect_ms: Option<u64>,
    /// From the prompt to its first token.
    pub first_token_ms: Option<u64>,
    /// From the prompt to its end.
    pub total_ms: u64,
    /// Tokens written in the time they took.
    pub tokens_per_second: Option<f64>,
}
