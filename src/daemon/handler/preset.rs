//! Starting points for the servers that people run.

use std::sync::Arc;

use crate::{
    protocol::{ApiType, Empty, ErrorObject, ListPresetsResult, LlmParams},
    rpc::Call,
};

use super::super::state::Daemon;

/// What there is to know about a kind of server before it has been asked anything.
struct Preset {
    id: &'static str,
    name: &'static str,
    /// Where it listens unless it is told otherwise.
    endpoint: &'static str,
    api_type: ApiType,
    notes: &'static [&'static str],
}

/// The common ones first.
const PRESETS: &[Preset] = &[
    Preset {
        id: "ollama",
        name: "Ollama",
        endpoint: "http://localhost:11434",
        api_type: ApiType::Ollama,
        notes: &[
            "Its own API is used: by the OpenAI-compatible one the context window can't be set, and \
             a prompt that is too long loses its beginning in silence.",
            "Without llm.ollama.numCtx the server's default context counts (OLLAMA_CONTEXT_LENGTH, \
             often 4096 tokens), which is short for work with tools.",
            "It loads a model with the first prompt and unloads it after five minutes \
             (llm.ollama.keepAlive).",
        ],
    },
    Preset {
        id: "vllm",
        name: "vLLM",
        endpoint: "http://localhost:8000",
        api_type: ApiType::OpenaiCompatible,
        notes: &[
            "For tools start it with --enable-auto-tool-choice and --tool-call-parser for the model.",
            "A server that was started with --api-key wants it as the API key here.",
        ],
    },
    Preset {
        id: "llama-cpp",
        name: "llama.cpp (llama-server)",
        endpoint: "http://localhost:8080",
        api_type: ApiType::OpenaiCompatible,
        notes: &[
            "For tools start it with --jinja. The context (-c) is shared by its slots (-np).",
            "While a model loads it answers 503; that is waited for.",
        ],
    },
    Preset {
        id: "lm-studio",
        name: "LM Studio",
        endpoint: "http://localhost:1234",
        api_type: ApiType::OpenaiCompatible,
        notes: &[
            "Start its server on the Developer page, or with `lms server start`.",
            "Models are loaded with 4096 tokens of context unless their settings say more.",
        ],
    },
    Preset {
        id: "sglang",
        name: "SGLang",
        endpoint: "http://localhost:30000",
        api_type: ApiType::OpenaiCompatible,
        notes: &["For tools start it with --tool-call-parser for the model."],
    },
    Preset {
        id: "litellm",
        name: "LiteLLM proxy",
        endpoint: "http://localhost:4000",
        api_type: ApiType::OpenaiCompatible,
        notes: &[
            "It wants a key: the master key, or a virtual one.",
            "The conversation's id goes along in X-Session-Id (llm.affinityHeader), so that it can \
             stay with one server.",
        ],
    },
    Preset {
        id: "tgi",
        name: "Text Generation Inference",
        endpoint: "http://localhost:3000",
        api_type: ApiType::OpenaiCompatible,
        notes: &["In its container it listens on port 80; use the port that was published."],
    },
    Preset {
        id: "tabbyapi",
        name: "TabbyAPI",
        endpoint: "http://localhost:5000",
        api_type: ApiType::OpenaiCompatible,
        notes: &["It wants a key unless authentication is switched off: see its api_tokens.yml."],
    },
    Preset {
        id: "koboldcpp",
        name: "KoboldCpp",
        endpoint: "http://localhost:5001",
        api_type: ApiType::OpenaiCompatible,
        notes: &["It has one model, whatever name is sent."],
    },
    Preset {
        id: "localai",
        name: "LocalAI",
        endpoint: "http://localhost:8080",
        api_type: ApiType::OpenaiCompatible,
        notes: &["It has the same port as llama.cpp and MLX."],
    },
    Preset {
        id: "mlx",
        name: "MLX (mlx_lm.server)",
        endpoint: "http://localhost:8080",
        api_type: ApiType::OpenaiCompatible,
        notes: &[
            "It says nothing about its models' context windows: enter one in llm.models if you need \
             it.",
        ],
    },
    Preset {
        id: "tensorrt-llm",
        name: "TensorRT-LLM (trtllm-serve)",
        endpoint: "http://localhost:8000",
        api_type: ApiType::OpenaiCompatible,
        notes: &["For tools start it with --tool_parser for the model."],
    },
    Preset {
        id: "text-generation-webui",
        name: "text-generation-webui",
        endpoint: "http://localhost:5000",
        api_type: ApiType::OpenaiCompatible,
        notes: &["Start it with --api. Its list is empty as long as no model is loaded."],
    },
    Preset {
        id: "other",
        name: "Another OpenAI-compatible server",
        endpoint: "http://localhost:8000",
        api_type: ApiType::Auto,
        notes: &[
            "Set the port and, where there is one, the path before /v1. What the server is will be \
             found out.",
        ],
    },
];

pub(in crate::daemon) async fn list(
    _: Arc<Daemon>,
    _: Empty,
    _: Call,
) -> Result<ListPresetsResult, ErrorObject> {
    Ok(ListPresetsResult {
        presets: PRESETS.iter().map(told).collect(),
    })
}

fn told(preset: &Preset) -> crate::protocol::Preset {
    crate::protocol::Preset {
        id: preset.id.to_owned(),
        name: preset.name.to_owned(),
        llm: LlmParams {
            api_endpoint: preset.endpoint.to_owned(),
            api_type: preset.api_type,
            ..LlmParams::default()
        },
        notes: preset.notes.iter().map(|&note| note.to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{config, daemon::wire};

    #[test]
    fn each_preset_is_a_profile_that_can_be_saved() {
        let ids: BTreeSet<_> = PRESETS.iter().map(|preset| preset.id).collect();
        assert_eq!(ids.len(), PRESETS.len());
        for preset in PRESETS {
            let profile = config::Profile {
                id: preset.id.to_owned(),
                name: preset.name.to_owned(),
                ssh: config::SshProfile {
                    host: "gpu".to_owned(),
                    ..config::SshProfile::default()
                },
                llm: wire::config::llm_profile(&told(preset).llm, None),
                ..config::Profile::default()
            };
            assert_eq!(config::validate(&profile).unwrap(), [], "{}", preset.id);
            preset.endpoint.parse::<crate::llm::Endpoint>().unwrap();
            assert!(!preset.notes.is_empty(), "{}", preset.id);
        }
    }
}
