//! What an LLM server offers. Unknown is `null`, never a guess.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ApiType;

/// Params of `remote-llm/list-models`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListModelsParams {
    /// The profile.
    pub config_id: String,
    /// Ask the server even if it was asked a moment ago.
    #[serde(default)]
    pub refresh: bool,
}

/// Params of `remote-llm/select-model`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SelectModelParams {
    /// The profile.
    pub config_id: String,
    /// One of the server's model ids, as it spells it.
    pub model_id: String,
}

/// Result of `remote-llm/list-models`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ListModelsResult {
    /// The server.
    pub server: ServerInfo,
    /// Its models; empty means that none is there, not that listing failed.
    pub models: Vec<Model>,
    /// What the user should know about them.
    pub warnings: Vec<String>,
}

/// Which software serves, and how it is asked.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfo {
    /// `llama.cpp`, `vllm`, `ollama`, …; `generic` when nothing tells.
    pub kind: String,
    /// Its version.
    pub version: Option<String>,
    /// The API that prompts go by; never `auto`.
    pub api_type: ApiType,
    /// Why that one; reads on after "because".
    pub api_type_reason: String,
}

/// One model.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// Opaque; may hold slashes and colons.
    pub id: String,
    /// For people.
    pub name: String,
    /// The server's own words.
    pub description: Option<String>,
    /// Its size and make.
    pub parameters: ModelParameters,
    /// How many tokens fit.
    pub context_window: ContextWindow,
    /// Tokens that a prompt may have.
    pub max_input_tokens: Option<u64>,
    /// Tokens that an answer may have.
    pub max_output_tokens: Option<u64>,
    /// What it can do.
    pub capabilities: ModelCapabilities,
    /// Whether it can answer at once.
    pub state: ModelState,
}

/// A model's size and make.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelParameters {
    /// Number of weights.
    pub count: Option<u64>,
    /// `Q4_K_M`, `FP8`, ….
    pub quantization: Option<String>,
    /// `llama`, `qwen3`, ….
    pub family: Option<String>,
    /// `gguf`, `safetensors`, ….
    pub format: Option<String>,
    /// Bytes of its weights.
    pub size_bytes: Option<u64>,
}

/// How many tokens fit in prompt and answer together.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ContextWindow {
    /// What the server accepts now.
    pub effective: Option<u64>,
    /// What the model was made for.
    pub maximum: Option<u64>,
    /// Where the effective number was read.
    pub source: Option<String>,
}

/// What a model can do.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct ModelCapabilities {
    /// Call tools.
    pub tools: Option<bool>,
    /// See images.
    pub vision: Option<bool>,
    /// Think first.
    pub reasoning: Option<bool>,
    /// Make embeddings. `true`: it does nothing else, so it can't answer prompts.
    pub embedding: Option<bool>,
}

/// Whether a model can answer at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelState {
    /// In memory.
    Loaded,
    /// The first prompt loads it.
    Unloaded,
    /// On its way.
    Loading,
    /// The server does not say.
    Unknown,
}
