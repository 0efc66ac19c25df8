//! LM Studio's own lists: `/api/v1/models`, and the older `/api/v0/models`. What it does not know
//! it answers with 200, so an answer counts by its shape.

use serde_json::Value;

use super::{
    Inquiry, Told,
    field::{count, flag, items, number, text},
};
use crate::llm::{
    carrier::Carrier,
    model::{Model, ModelState},
};

pub(super) async fn ask<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    models: &mut [Model],
) -> Option<Told> {
    if let Some(list) = inquiry.get("/api/v1/models").await
        && is_list(&list)
    {
        add(&list, models);
        return Some(Told::default());
    }
    let list = inquiry.get("/api/v0/models").await?;
    is_old_list(&list).then(|| {
        add_old(&list, models);
        Told::default()
    })
}

fn is_list(list: &Value) -> bool {
    let is_entry = |entry: &Value| entry.get("key").is_some() && entry.get("type").is_some();
    list.get("models").is_some_and(Value::is_array) && items(list, "models").iter().all(is_entry)
}

fn is_old_list(list: &Value) -> bool {
    let is_entry = |entry: &Value| entry.get("state").is_some() && entry.get("type").is_some();
    list.get("data").is_some_and(Value::is_array) && items(list, "data").iter().all(is_entry)
}

pub(super) fn add(list: &Value, models: &mut [Model]) {
    for model in models {
        let entries = items(list, "models");
        if let Some(entry) = entries.iter().find(|entry| is_about(entry, &model.id)) {
            add_entry(entry, model);
        }
    }
}

/// A model goes by its key, by one of its variants, and by the instances of it that are loaded.
fn is_about(entry: &Value, id: &str) -> bool {
    let has = |value: Option<&Value>| value.and_then(Value::as_str) == Some(id);
    has(entry.get("key"))
        || has(entry.get("selected_variant"))
        || items(entry, "variants").iter().any(|name| has(Some(name)))
        || items(entry, "loaded_instances")
            .iter()
            .any(|instance| has(instance.get("id")))
}

fn add_entry(entry: &Value, model: &mut Model) {
    if let Some(name) = text(entry, "display_name") {
        model.name = name;
    }
    model.description = text(entry, "description").or(model.description.take());
    let parameters = &mut model.parameters;
    parameters.count = text(entry, "params_string").as_deref().and_then(count);
    parameters.quantization = entry
        .get("quantization")
        .and_then(|quantization| text(quantization, "name"));
    parameters.family = text(entry, "architecture");
    parameters.format = text(entry, "format");
    parameters.size_bytes = number(entry, "size_bytes");

    let window = &mut model.context_window;
    window.maximum = number(entry, "max_context_length");
    window.source = window.maximum.map(|_| "/api/v1/models max_context_length");
    if let Some(instances) = entry.get("loaded_instances").and_then(Value::as_array) {
        let named = |instance: &&Value| {
            instance.get("id").and_then(Value::as_str) == Some(model.id.as_str())
        };
        let instance = instances.iter().find(named).or(instances.first());
        model.state = match instance {
            Some(_) => ModelState::Loaded,
            None => ModelState::Unloaded,
        };
        let context = instance
            .and_then(|instance| instance.get("config"))
            .and_then(|config| number(config, "context_length"));
        if context.is_some() {
            window.effective = context;
            window.source = Some("/api/v1/models context_length");
        }
    }

    let can = &mut model.capabilities;
    can.embedding = kind(entry);
    if let Some(capabilities) = entry.get("capabilities") {
        can.vision = flag(capabilities, "vision");
        can.tools = flag(capabilities, "trained_for_tool_use");
        can.reasoning = match capabilities.get("reasoning") {
            Some(Value::Bool(reasoning)) => Some(*reasoning),
            Some(Value::Object(_)) => Some(true),
            _ => None,
        };
    }
}

pub(super) fn add_old(list: &Value, models: &mut [Model]) {
    for model in models {
        let is_it = |entry: &&Value| entry.get("id").and_then(Value::as_str) == Some(&model.id);
        if let Some(entry) = items(list, "data").iter().find(is_it) {
            add_old_entry(entry, model);
        }
    }
}

fn add_old_entry(entry: &Value, model: &mut Model) {
    let parameters = &mut model.parameters;
    parameters.quantization = text(entry, "quantization");
    parameters.family = text(entry, "arch");
    parameters.format = text(entry, "compatibility_type");
    model.state = match text(entry, "state").as_deref() {
        Some("loaded") => ModelState::Loaded,
        Some("not-loaded") => ModelState::Unloaded,
        Some("loading") => ModelState::Loading,
        _ => ModelState::Unknown,
    };
    let window = &mut model.context_window;
    window.maximum = number(entry, "max_context_length");
    window.source = window.maximum.map(|_| "/api/v0/models max_context_length");
    if let Some(context) = number(entry, "loaded_context_length") {
        window.effective = Some(context);
        window.source = Some("/api/v0/models loaded_context_length");
    }
    let can = &mut model.capabilities;
    can.embedding = kind(entry);
    can.vision = match text(entry, "type").as_deref() {
        Some("vlm") => Some(true),
        Some("llm") => Some(false),
        _ => None,
    };
    can.tools = super::field::has(entry, "capabilities", &["tool_use"]);
}

/// Whether it makes embeddings.
fn kind(entry: &Value) -> Option<bool> {
    match text(entry, "type")?.as_str() {
        "embedding" | "embeddings" => Some(true),
        "llm" | "vlm" => Some(false),
        _ => None,
    }
}
