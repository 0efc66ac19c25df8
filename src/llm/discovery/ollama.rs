//! Ollama's own routes, which know what its OpenAI-compatible ones leave out.

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{
    Inquiry,
    list::{count, index, number, text},
};
use crate::llm::{
    carrier::Carrier,
    model::{ContextWindow, Model, ModelState},
};

/// Models described in detail; the rest is only listed.
const MAX_SHOWN: usize = 32;

/// Descriptions fetched at a time.
const PARALLEL: usize = 4;

/// Adds what Ollama knows of its models; false if this is not Ollama.
pub(super) async fn add<E: Carrier>(inquiry: &Inquiry<'_, E>, models: &mut [Model]) -> bool {
    let Some(tags) = inquiry.get("/api/tags").await else {
        return false;
    };
    let Some(tags) = tags.get("models").and_then(Value::as_array) else {
        return false;
    };
    if tags.iter().any(is_imitated) {
        return false;
    }
    let running = inquiry.get("/api/ps").await;
    let running = running
        .as_ref()
        .and_then(|ps| ps.get("models"))
        .and_then(Value::as_array);
    let tags = index(tags, "name");
    let running = running.map(|running| index(running, "name"));
    for model in models.iter_mut() {
        if let Some(tag) = tags.get(model.id.as_str()) {
            add_tag(tag, model);
        }
        if let Some(running) = &running {
            let entry = running.get(model.id.as_str());
            model.state = if entry.is_some() {
                ModelState::Loaded
            } else {
                ModelState::Unloaded
            };
            if let Some(context) = entry.and_then(|entry| number(entry, "context_length")) {
                model.context_window.effective = Some(context);
                model.context_window.source = Some("/api/ps context_length");
            }
        }
    }
    let mut shows = Vec::new();
    for model in models.iter_mut().take(MAX_SHOWN) {
        shows.push(ask_show(inquiry, model));
    }
    stream::iter(shows)
        .buffer_unordered(PARALLEL)
        .collect::<()>()
        .await;
    true
}

async fn ask_show<E: Carrier>(inquiry: &Inquiry<'_, E>, model: &mut Model) {
    let show = inquiry.post("/api/show", &json!({"model": model.id})).await;
    if let Some(show) = show {
        add_show(&show, model);
    }
}

/// Whether an answer of `/api/tags` is Ollama's own.
pub(in crate::llm) fn is_ollamas_list(tags: &Value) -> bool {
    let models = tags.get("models").and_then(Value::as_array);
    models.is_some_and(|models| !models.iter().any(is_imitated))
}

/// Others answer `/api/tags` too, with digests that nobody computed.
fn is_imitated(tag: &Value) -> bool {
    let digest = text(tag, "digest").unwrap_or_default();
    let digest = digest.strip_prefix("sha256:").unwrap_or(&digest);
    // Its digest is another one's.
    text(tag, "name").is_some_and(|name| name == "koboldcpp")
        || digest.is_empty()
        || digest.starts_with("sglang")
        || digest.bytes().all(|byte| byte == b'0')
}

fn add_tag(tag: &Value, model: &mut Model) {
    let parameters = &mut model.parameters;
    parameters.size_bytes = number(tag, "size").or(parameters.size_bytes);
    let Some(details) = tag.get("details") else {
        return;
    };
    parameters.family = text(details, "family");
    parameters.format = text(details, "format");
    parameters.quantization = text(details, "quantization_level");
    parameters.count = text(details, "parameter_size").as_deref().and_then(count);
}

fn add_show(show: &Value, model: &mut Model) {
    if let Some(info) = show.get("model_info") {
        model.parameters.count = number(info, "general.parameter_count").or(model.parameters.count);
        if let Some(architecture) = text(info, "general.architecture") {
            model.context_window.maximum = number(info, &format!("{architecture}.context_length"));
        }
    }
    if model.context_window.effective.is_none()
        && let Some(context) = show
            .get("parameters")
            .and_then(Value::as_str)
            .and_then(num_ctx)
    {
        model.context_window = ContextWindow {
            effective: Some(context),
            source: Some("/api/show num_ctx"),
            ..model.context_window
        };
    } else if model.context_window.source.is_none() && model.context_window.maximum.is_some() {
        model.context_window.source = Some("/api/show context_length");
    }
    if let Some(capabilities) = show.get("capabilities").and_then(Value::as_array) {
        let has = |name: &str| capabilities.iter().any(|item| item.as_str() == Some(name));
        model.capabilities.tools = Some(has("tools"));
        model.capabilities.vision = Some(has("vision"));
        model.capabilities.reasoning = Some(has("thinking"));
        model.capabilities.embedding = Some(has("embedding") && !has("completion"));
    }
}

/// The Modelfile's parameters are lines of a name and a value.
pub(in crate::llm) fn num_ctx(parameters: &str) -> Option<u64> {
    parameters.lines().find_map(|line| {
        let (name, value) = line.trim().split_once(char::is_whitespace)?;
        (name == "num_ctx").then(|| value.trim().parse().ok())?
    })
}
