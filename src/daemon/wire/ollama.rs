//! What a profile asks of Ollama: from the wire, to the wire, and to the LLM room.

use crate::{
    config::{self, Ollama},
    llm,
    protocol::{self, OllamaSettings},
};

/// Params to what is saved. `known` is what was saved before: fields of other versions stay.
pub(super) fn profile(params: Option<&OllamaSettings>, known: Option<&Ollama>) -> Ollama {
    let unknown = known.map(|known| known.unknown.clone()).unwrap_or_default();
    let Some(params) = params else {
        return Ollama {
            unknown,
            ..Ollama::default()
        };
    };
    Ollama {
        num_ctx: params.num_ctx,
        keep_alive: params
            .keep_alive
            .as_ref()
            .map(|keep_alive| match keep_alive {
                protocol::KeepAlive::Seconds(seconds) => config::KeepAlive::Seconds(*seconds),
                protocol::KeepAlive::Duration(text) => config::KeepAlive::Duration(text.clone()),
            }),
        think: params.think.map(|think| match think {
            protocol::Think::Switch(switch) => config::Think::Switch(switch),
            protocol::Think::Level(level) => config::Think::Level(match level {
                protocol::ThinkLevel::Low => config::ThinkLevel::Low,
                protocol::ThinkLevel::Medium => config::ThinkLevel::Medium,
                protocol::ThinkLevel::High => config::ThinkLevel::High,
                protocol::ThinkLevel::Max => config::ThinkLevel::Max,
            }),
        }),
        unknown,
    }
}

/// What is saved, for the host; `None`: nothing is.
pub(super) fn view(profile: &Ollama) -> Option<OllamaSettings> {
    let view = OllamaSettings {
        num_ctx: profile.num_ctx,
        keep_alive: profile
            .keep_alive
            .as_ref()
            .map(|keep_alive| match keep_alive {
                config::KeepAlive::Seconds(seconds) => protocol::KeepAlive::Seconds(*seconds),
                config::KeepAlive::Duration(text) => protocol::KeepAlive::Duration(text.clone()),
            }),
        think: profile.think.map(|think| match think {
            config::Think::Switch(switch) => protocol::Think::Switch(switch),
            config::Think::Level(level) => protocol::Think::Level(match level {
                config::ThinkLevel::Low => protocol::ThinkLevel::Low,
                config::ThinkLevel::Medium => protocol::ThinkLevel::Medium,
                config::ThinkLevel::High => protocol::ThinkLevel::High,
                config::ThinkLevel::Max => protocol::ThinkLevel::Max,
            }),
        }),
    };
    let is_anything = view.num_ctx.is_some() || view.keep_alive.is_some() || view.think.is_some();
    is_anything.then_some(view)
}

/// What is saved, for the LLM room.
pub(super) fn settings(profile: &Ollama) -> llm::OllamaSettings {
    llm::OllamaSettings {
        num_ctx: profile.num_ctx,
        keep_alive: profile
            .keep_alive
            .as_ref()
            .map(|keep_alive| match keep_alive {
                config::KeepAlive::Seconds(seconds) => llm::KeepAlive::Seconds(*seconds),
                config::KeepAlive::Duration(text) => llm::KeepAlive::Duration(text.clone()),
            }),
        think: profile.think.map(|think| match think {
            config::Think::Switch(false) => llm::Think::Off,
            config::Think::Switch(true) => llm::Think::On,
            config::Think::Level(level) => match level {
                config::ThinkLevel::Low => llm::Think::Low,
                config::ThinkLevel::Medium => llm::Think::Medium,
                config::ThinkLevel::High => llm::Think::High,
                config::ThinkLevel::Max => llm::Think::Max,
            },
        }),
    }
}

/// Which API an answer of the LLM room means.
pub(super) fn api_type(dialect: llm::Dialect) -> protocol::ApiType {
    match dialect {
        llm::Dialect::OpenAi => protocol::ApiType::OpenaiCompatible,
        llm::Dialect::Ollama => protocol::ApiType::Ollama,
    }
}
