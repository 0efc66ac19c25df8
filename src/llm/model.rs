//! What a server and its models are, as far as they tell. Unknown is `None`, never a guess.

use std::time::Duration;

use super::api_type::ApiChoice;

/// Answer of [`Server::discover`](super::Server::discover).
#[derive(Debug, Clone, PartialEq)]
pub struct Discovery {
    pub server: ServerInfo,
    /// How prompts are going to be asked.
    pub api: ApiChoice,
    /// May be empty: no model is loaded.
    pub models: Vec<Model>,
    /// Sentences for a person.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    pub kind: ServerKind,
    pub version: Option<String>,
}

/// Which program answers. Only metadata hangs on it: chat works with [`ServerKind::Generic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerKind {
    Ollama,
    LlamaCpp,
    LlamaCppPython,
    Vllm,
    Sglang,
    LmStudio,
    /// Hugging Face's Text Generation Inference.
    Tgi,
    LiteLlm,
    LocalAi,
    TabbyApi,
    KoboldCpp,
    TensorRtLlm,
    /// mlx-lm's server.
    Mlx,
    /// oobabooga's text-generation-webui.
    TextGenerationWebui,
    /// OpenRouter, or who lists models as it does.
    OpenRouter,
    /// Ray Serve's gateway to engines.
    RayServe,
    /// Speaks the protocol; which program it is, nothing tells.
    Generic,
}

impl ServerKind {
    /// How long a silence within an answer may be. Most send comments meanwhile; of those who do
    /// not, a long one means nothing.
    pub(crate) fn patience(self) -> Duration {
        let seconds = if self.sends_pings() { 120 } else { 300 };
        Duration::from_secs(seconds)
    }

    /// Whether it sends signs of life between pieces of an answer; what is not known counts as
    /// yes.
    fn sends_pings(self) -> bool {
        match self {
            Self::Ollama | Self::Vllm | Self::Sglang | Self::LmStudio | Self::TensorRtLlm => false,
            Self::LlamaCpp
            | Self::LlamaCppPython
            | Self::Tgi
            | Self::LiteLlm
            | Self::LocalAi
            | Self::TabbyApi
            | Self::KoboldCpp
            | Self::Mlx
            | Self::TextGenerationWebui
            | Self::OpenRouter
            | Self::RayServe
            | Self::Generic => true,
        }
    }

    /// A stable identifier for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llama.cpp",
            Self::LlamaCppPython => "llama-cpp-python",
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::LmStudio => "lm-studio",
            Self::Tgi => "tgi",
            Self::LiteLlm => "litellm",
            Self::LocalAi => "localai",
            Self::TabbyApi => "tabbyapi",
            Self::KoboldCpp => "koboldcpp",
            Self::TensorRtLlm => "tensorrt-llm",
            Self::Mlx => "mlx",
            Self::TextGenerationWebui => "text-generation-webui",
            Self::OpenRouter => "openrouter",
            Self::RayServe => "ray-serve",
            Self::Generic => "generic",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// What to send as `model`; opaque.
    pub id: String,
    /// For people; the id where the server has nothing better.
    pub name: String,
    pub description: Option<String>,
    pub parameters: Parameters,
    pub context_window: ContextWindow,
    pub max_input_tokens: Option<u64>,
    pub max_output_tokens: Option<u64>,
    pub capabilities: Capabilities,
    pub state: ModelState,
}

/// A model that a person typed in. `None` is what the server says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypedModel {
    pub id: String,
    pub name: Option<String>,
    /// In tokens.
    pub context_window: Option<u64>,
    pub max_output_tokens: Option<u64>,
    pub tools: Option<bool>,
    pub vision: Option<bool>,
    pub reasoning: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Number of weights.
    pub count: Option<u64>,
    pub quantization: Option<String>,
    pub family: Option<String>,
    pub format: Option<String>,
    pub size_bytes: Option<u64>,
}

/// In tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContextWindow {
    /// What the server accepts now.
    pub effective: Option<u64>,
    /// What the model was made for.
    pub maximum: Option<u64>,
    /// Which field of which route says so.
    pub source: Option<&'static str>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub tools: Option<bool>,
    pub vision: Option<bool>,
    pub reasoning: Option<bool>,
    /// `Some(true)`: makes embeddings and cannot chat.
    pub embedding: Option<bool>,
}

/// An unloaded model is usable: its server loads it when asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ModelState {
    Loaded,
    Unloaded,
    Loading,
    #[default]
    Unknown,
}
