//! `/v1/models` and its neighbours, as three real servers answer them.

use serde_json::{Value, json};

use super::{Reply, Request};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Context 4096 of 8192, in `meta`.
    #[default]
    LlamaCpp,
    /// Context 2048, in `max_model_len`.
    Vllm,
    /// Context 4096 loaded of 131072, in `/api/ps` and `/api/show`; a second model is not loaded.
    Ollama,
}

impl Dialect {
    /// Answers everything that is not a chat completion.
    pub(super) fn answer(self, request: &Request) -> Reply {
        let path = request.path.split('?').next().unwrap_or_default();
        let body = match (self, path) {
            (Self::LlamaCpp, "/v1/models" | "/models") => llama_cpp_models(),
            (Self::LlamaCpp, "/props") => json!({
                "default_generation_settings": {"n_ctx": 4096}, "total_slots": 1, "model_alias": "smol",
                "model_ftype": "Q4_1", "model_path": "models/smol.gguf", "build_info": "b11434-test",
                "modalities": {"vision": false, "audio": false}, "chat_template": "",
            }),
            (Self::LlamaCpp, "/health") => json!({"status": "ok"}),
            (Self::Vllm, "/v1/models") => json!({
                "object": "list",
                "data": [{
                    "id": "smol", "object": "model", "created": 1, "owned_by": "vllm", "root": "hf-smol",
                    "parent": null, "max_model_len": 2048, "permission": [],
                }],
            }),
            (Self::Vllm, "/version") => json!({"version": "0.32.0"}),
            (Self::Ollama, "/v1/models") => json!({
                "object": "list",
                "data": [
                    {"id": "smol:latest", "object": "model", "created": 1, "owned_by": "library"},
                    {"id": "large:70b", "object": "model", "created": 1, "owned_by": "library"},
                ],
            }),
            (Self::Ollama, "/api/version") => json!({"version": "0.6.2"}),
            (Self::Ollama, "/api/tags") => json!({"models": [
                ollama_tag("smol:latest", "llama", "134.52M", 96_576_768_u64),
                ollama_tag("large:70b", "llama", "70.6B", 40_000_000_000_u64),
            ]}),
            (Self::Ollama, "/api/ps") => json!({"models": [{
                "name": "smol:latest", "model": "smol:latest", "size": 96_576_768, "context_length": 4096,
            }]}),
            (Self::Ollama, "/api/show") => json!({
                "details": {"family": "llama", "format": "gguf", "parameter_size": "134.52M", "quantization_level": "Q4_1"},
                "model_info": {
                    "general.architecture": "llama", "general.parameter_count": 134_515_008,
                    "llama.context_length": 131_072,
                },
                "capabilities": ["completion", "tools"],
            }),
            _ => return Reply::error(404, "File Not Found"),
        };
        let headers = match self {
            Self::LlamaCpp => vec![("Server", "llama.cpp".to_owned())],
            Self::Vllm => vec![("server", "uvicorn".to_owned())],
            Self::Ollama => Vec::new(),
        };
        Reply::Full {
            status: 200,
            content_type: "application/json",
            headers,
            body: body.to_string(),
        }
    }
}

fn llama_cpp_models() -> Value {
    json!({
        "models": [{
            "name": "smol", "model": "smol", "modified_at": "", "size": "", "digest": "", "type": "model",
            "details": {"format": "gguf", "family": "", "parameter_size": "", "quantization_level": ""},
            "capabilities": ["completion"],
        }],
        "object": "list",
        "data": [{
            "id": "smol", "aliases": ["smol"], "tags": [], "object": "model", "created": 1, "owned_by": "llamacpp",
            "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
            "meta": {
                "vocab_type": 2, "n_vocab": 49152, "n_ctx": 4096, "n_ctx_train": 8192, "n_embd": 576,
                "n_params": 134_515_008, "size": 96_576_768, "ftype": "Q4_1",
            },
        }],
    })
}

fn ollama_tag(name: &str, family: &str, parameters: &str, size: u64) -> Value {
    json!({
        "name": name, "model": name, "size": size, "digest": "8934d96d3f08",
        "details": {
            "format": "gguf", "family": family, "parameter_size": parameters, "quantization_level": "Q4_1",
        },
    })
}
