//! Models and servers, for the host.

use super::ollama::api_type;
use crate::{llm, protocol};

/// What discovery found.
pub(in crate::daemon) fn discovery(found: &llm::Discovery) -> protocol::ListModelsResult {
    protocol::ListModelsResult {
        server: server(found),
        models: found.models.iter().map(model).collect(),
        warnings: found.warnings.clone(),
    }
}

/// Which software serves, and how it is asked.
pub(in crate::daemon) fn server(found: &llm::Discovery) -> protocol::ServerInfo {
    protocol::ServerInfo {
        kind: found.server.kind.as_str().to_owned(),
        version: found.server.version.clone(),
        api_type: api_type(found.api.dialect),
        api_type_reason: found.api.reason.clone(),
    }
}

/// One model.
pub(in crate::daemon) fn model(model: &llm::Model) -> protocol::Model {
    protocol::Model {
        id: model.id.clone(),
        name: model.name.clone(),
        description: model.description.clone(),
        parameters: protocol::ModelParameters {
            count: model.parameters.count,
            quantization: model.parameters.quantization.clone(),
            family: model.parameters.family.clone(),
            format: model.parameters.format.clone(),
            size_bytes: model.parameters.size_bytes,
        },
        context_window: protocol::ContextWindow {
            effective: model.context_window.effective,
            maximum: model.context_window.maximum,
            source: model
                .context_window
                .source
                .as_ref()
                .map(ToString::to_string),
        },
        max_input_tokens: model.max_input_tokens,
        max_output_tokens: model.max_output_tokens,
        capabilities: protocol::ModelCapabilities {
            tools: model.capabilities.tools,
            vision: model.capabilities.vision,
            reasoning: model.capabilities.reasoning,
            embedding: model.capabilities.embedding,
        },
        state: match model.state {
            llm::ModelState::Loaded => protocol::ModelState::Loaded,
            llm::ModelState::Unloaded => protocol::ModelState::Unloaded,
            llm::ModelState::Loading => protocol::ModelState::Loading,
            llm::ModelState::Unknown => protocol::ModelState::Unknown,
        },
    }
}
