//! Ollama's own routes, which know what its OpenAI-compatible ones leave out.

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{
    Inquiry, Told,
    field::{count, index, items, number, text},
};
use crate::llm::{
    carrier::Carrier,
    model::{Model, ModelState},
};

/// Models described in detail; the rest is only listed.
const MAX_SHOWN: usize = 32;

/// Descriptions fetched at a time.
const PARALLEL: usize = 4;

/// Adds what Ollama knows of its models; `None` if this is not Ollama.
pub(super) async fn ask<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    models: &mut [Model],
) -> Option<Told> {
    let version = inquiry.get("/api/version").await?;
    let version = text(&version, "version")?;
    let tags = inquiry.get("/api/tags").await?;
    if !is_ollamas_list(&tags) {
        return None;
    }
    let running = inquiry.get("/api/ps").await.unwrap_or_default();
    add(&tags, &running, models);
    let mut shows = Vec::new();
    for model in models.iter_mut().take(MAX_SHOWN) {
        shows.push(ask_show(inquiry, model));
    }
    stream::iter(shows)
        .buffer_unordered(PARALLEL)
        .collect::<()>()
        .await;
    Some(Told {
        version: Some(version),
    })
}

/// Adds what the answers of `/api/tags` and `/api/ps` say.
pub(super) fn add(tags: &Value, running: &Value, models: &mut [Model]) {
    let tags = index(items(tags, "models"), "name");
    let is_told = running.get("models").is_some_and(Value::is_array);
    let running = is_told.then(|| index(items(running, "models"), "name"));
    for model in models.iter_mut() {
        if let Some(tag) = tags.get(model.id.as_str()) {
            add_tag(tag, model);
        }
        if let Some(running) = &running {
            let entry = running.get(model.id.as_str());
            model.state = match entry {
                Some(_) => ModelState::Loaded,
                None if is_remote(tags.get(model.id.as_str())) => ModelState::Unknown,
                None => ModelState::Unloaded,
            };
            if let Some(context) = entry.and_then(|entry| number(entry, "context_length")) {
                model.context_window.effective = Some(context);
                model.context_window.source = Some("/api/ps context_length");
            }
        }
    }
}

/// Whether it runs elsewhere, and is only named here.
fn is_remote(tag: Option<&&Value>) -> bool {
    tag.is_some_and(|tag| text(tag, "remote_host").is_some())
}

async fn ask_show<E: Carrier>(inquiry: &Inquiry<'_, E>, model: &mut Model) {
    let show = inquiry.post("/api/show", &json!({"model": model.id})).await;
    if let Some(show) = show {
        add_show(&show, model);
    }
}

/// Whether an answer of `/api/tags` is Ollama's own.
pub(in crate::llm) fn is_ollamas_list(tags: &Value) -> bool {
    tags.get("models").is_some_and(Value::is_array)
        && !items(tags, "models").iter().any(is_imitated)
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
    if !is_remote(Some(&tag)) {
        parameters.size_bytes = number(tag, "size").or(parameters.size_bytes);
    }
    let Some(details) = tag.get("details") else {
        return;
    };
    parameters.family = text(details, "family");
    parameters.format = text(details, "format");
    parameters.quantization = text(details, "quantization_level");
    parameters.count = text(details, "parameter_size").as_deref().and_then(count);
}

pub(super) fn add_show(show: &Value, model: &mut Model) {
    if let Some(info) = show.get("model_info") {
        model.parameters.count = number(info, "general.parameter_count").or(model.parameters.count);
    }
    let window = &mut model.context_window;
    window.maximum = maximum_context(show).or(window.maximum);
    if window.effective.is_none()
        && let Some(context) = num_ctx(show)
    {
        // It is never loaded with more than it was made for.
        window.effective = Some(window.maximum.map_or(context, |most| most.min(context)));
        window.source = Some("/api/show num_ctx");
    } else if window.source.is_none() && window.maximum.is_some() {
        window.source = Some("/api/show context_length");
    }
    if let Some(capabilities) = show.get("capabilities").and_then(Value::as_array) {
        let has = |name: &str| capabilities.iter().any(|item| item.as_str() == Some(name));
        model.capabilities.tools = Some(has("tools"));
        model.capabilities.vision = Some(has("vision"));
        model.capabilities.reasoning = Some(has("thinking"));
        model.capabilities.embedding = Some(has("embedding") && !has("completion"));
    }
}

/// The context that a model was made for, by the answer of `/api/show`.
pub(in crate::llm) fn maximum_context(show: &Value) -> Option<u64> {
    let info = show.get("model_info")?;
    let architecture = text(info, "general.architecture")?;
    number(info, &format!("{architecture}.context_length"))
}

/// The context that a model's Modelfile asks for, by the answer of `/api/show`. The parameters are
/// lines of a name and a value.
pub(in crate::llm) fn num_ctx(show: &Value) -> Option<u64> {
    let parameters = show.get("parameters")?.as_str()?;
    parameters.lines().find_map(|line| {
        let (name, value) = line.trim().split_once(char::is_whitespace)?;
        (name == "num_ctx").then(|| value.trim().parse().ok())?
    })
}
