//! Models that the user typed in.

use crate::{
    config::{self, LlmProfile},
    llm, protocol,
};

/// What is saved. `known` is what was saved before: fields of other versions stay.
pub(super) fn profile(
    params: &protocol::ModelSettings,
    known: Option<&LlmProfile>,
) -> config::ModelProfile {
    let mut models = known.into_iter().flat_map(|known| &known.models);
    let known = models.find(|known| known.id == params.id);
    config::ModelProfile {
        id: params.id.clone(),
        name: params.name.clone(),
        context_window: params.context_window,
        max_output_tokens: params.max_output_tokens,
        tools: params.tools,
        vision: params.vision,
        reasoning: params.reasoning,
        unknown: known.map(|known| known.unknown.clone()).unwrap_or_default(),
    }
}

/// What is shown.
pub(super) fn settings(profile: &config::ModelProfile) -> protocol::ModelSettings {
    protocol::ModelSettings {
        id: profile.id.clone(),
        name: profile.name.clone(),
        context_window: profile.context_window,
        max_output_tokens: profile.max_output_tokens,
        tools: profile.tools,
        vision: profile.vision,
        reasoning: profile.reasoning,
    }
}

/// What the LLM room is told.
pub(super) fn typed(profile: &config::ModelProfile) -> llm::TypedModel {
    llm::TypedModel {
        id: profile.id.clone(),
        name: profile.name.clone(),
        context_window: profile.context_window,
        max_output_tokens: profile.max_output_tokens,
        tools: profile.tools,
        vision: profile.vision,
        reasoning: profile.reasoning,
    }
}
