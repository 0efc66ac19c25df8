//! llama.cpp's `/props`.

use serde_json::Value;

use super::{
    Inquiry, Told,
    field::{flag, number, text},
};
use crate::llm::{
    carrier::Carrier,
    model::{ContextWindow, Model},
};

pub(super) async fn ask<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    models: &mut [Model],
) -> Option<Told> {
    let props = inquiry.get("/props").await?;
    add(&props, models);
    let version = text(&props, "build_info");
    Some(Told { version })
}

/// Adds what the props say of the one model that is loaded. A router's props are about nothing.
pub(super) fn add(props: &Value, models: &mut [Model]) {
    let [model] = models else { return };
    if text(props, "role").is_some_and(|role| role == "router") {
        return;
    }
    if model.context_window.effective.is_none()
        && let Some(context) = props
            .get("default_generation_settings")
            .and_then(|settings| number(settings, "n_ctx"))
    {
        model.context_window = ContextWindow {
            effective: Some(context),
            source: Some("/props n_ctx"),
            ..model.context_window
        };
    }
    let parameters = &mut model.parameters;
    parameters.quantization = parameters
        .quantization
        .take()
        .or_else(|| text(props, "model_ftype"));
    let can = &mut model.capabilities;
    let within = |of: &str, name: &str| flag(props.get(of)?, name);
    can.tools = within("chat_template_caps", "supports_tools").or(can.tools);
    can.vision = within("modalities", "vision").or(can.vision);
}
