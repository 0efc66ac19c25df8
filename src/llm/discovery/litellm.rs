//! LiteLLM's `/v1/model/info`. Its `/health` calls every model behind it and is never asked.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    Inquiry, Told,
    field::{flag, items, number, text},
};
use crate::llm::{carrier::Carrier, model::Model};

pub(super) async fn ask<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    models: &mut [Model],
) -> Option<Told> {
    if let Some(info) = inquiry.get("/v1/model/info").await
        && is_info(&info)
    {
        add(&info, models);
        return Some(Told::default());
    }
    // Not everybody may see that.
    let alive = inquiry.get("/health/liveliness").await?;
    let is_alive = alive.as_str().is_some_and(|said| said.contains("alive"));
    is_alive.then(Told::default)
}

fn is_info(info: &Value) -> bool {
    let is_entry = |entry: &Value| {
        ["model_name", "model_info"]
            .iter()
            .all(|key| entry.get(*key).is_some())
    };
    info.get("data").is_some_and(Value::is_array) && items(info, "data").iter().all(is_entry)
}

/// Adds what is known of the deployments behind each model. Any of them may answer, so what counts
/// is what all can do.
pub(super) fn add(info: &Value, models: &mut [Model]) {
    let mut deployments: HashMap<&str, Vec<&Value>> = HashMap::new();
    for entry in items(info, "data") {
        let name = entry.get("model_name").and_then(Value::as_str);
        if let (Some(name), Some(info)) = (name, entry.get("model_info")) {
            deployments.entry(name).or_default().push(info);
        }
    }
    for model in models {
        if let Some(deployments) = deployments.get(model.id.as_str()) {
            add_deployments(deployments, model);
        }
    }
}

fn add_deployments(deployments: &[&Value], model: &mut Model) {
    let least = |key: &str| {
        deployments
            .iter()
            .filter_map(|info| number(info, key))
            .min()
    };
    model.max_input_tokens = least("max_input_tokens").or(model.max_input_tokens);
    model.max_output_tokens = least("max_output_tokens").or(model.max_output_tokens);
    if let Some(context) = least("max_input_tokens") {
        let window = &mut model.context_window;
        window.effective = Some(context);
        window.source = Some("/v1/model/info max_input_tokens");
    }
    let all = |key: &str| {
        let flags = deployments.iter().map(|info| flag(info, key));
        flags.reduce(|all, flag| match (all, flag) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            (None, _) | (_, None) => None,
        })?
    };
    let can = &mut model.capabilities;
    can.tools = all("supports_function_calling").or(can.tools);
    can.vision = all("supports_vision").or(can.vision);
    can.reasoning = all("supports_reasoning").or(can.reasoning);
    let modes = deployments.iter().filter_map(|info| text(info, "mode"));
    can.embedding = modes
        .map(|mode| mode == "embedding")
        .next()
        .or(can.embedding);
}
