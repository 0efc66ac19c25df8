//! SGLang's `/model_info` and `/server_info`; older ones have them under other names.

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
    let mut info = inquiry.get("/model_info").await;
    if info.is_none() {
        info = inquiry.get("/get_model_info").await;
    }
    if let Some(info) = info {
        add(&info, models);
    }
    let server = inquiry.get("/server_info").await?;
    add(&server, models);
    let version = text(&server, "version");
    Some(Told { version })
}

/// Adds what either answer says. All models of a server are the same one, with adapters.
pub(super) fn add(info: &Value, models: &mut [Model]) {
    for model in models {
        if model.context_window.effective.is_none()
            && let Some(context) = number(info, "context_length")
        {
            model.context_window = ContextWindow {
                effective: Some(context),
                source: Some("/server_info context_length"),
                ..model.context_window
            };
        }
        let parameters = &mut model.parameters;
        parameters.quantization = parameters
            .quantization
            .take()
            .or_else(|| text(info, "quantization"));
        parameters.family = parameters
            .family
            .take()
            .or_else(|| text(info, "model_type"));
        let can = &mut model.capabilities;
        can.vision = flag(info, "has_image_understanding").or(can.vision);
        // Without a parser, calls and thoughts come as text. Of thoughts that says nothing: they
        // may be none.
        if let Some(parser) = info.get("tool_call_parser") {
            can.tools = Some(!parser.is_null());
        }
        if text(info, "reasoning_parser").is_some() {
            can.reasoning = Some(true);
        }
        if flag(info, "is_embedding") == Some(true) || flag(info, "is_generation") == Some(false) {
            can.embedding = Some(true);
        }
    }
}
