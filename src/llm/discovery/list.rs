//! Model lists: one shape, with many servers' additions.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::llm::{
    model::{Capabilities, ContextWindow, Model, ModelState, Parameters, ServerKind},
    sanitize::sanitize,
};

/// More models than this are not listed.
const MAX_MODELS: usize = 10_000;

/// Whether this can be a model list at all.
pub(super) fn is_list(json: &Value) -> bool {
    let lists = [Some(json), json.get("data"), json.get("models")];
    // Ollama without a model says null.
    let is_null = json.get("data").is_some_and(Value::is_null) && json.get("object").is_some();
    is_null || lists.into_iter().flatten().any(Value::is_array)
}

fn entries(list: &Value) -> &[Value] {
    let entries = [Some(list), list.get("data"), list.get("models")];
    entries
        .into_iter()
        .flatten()
        .find_map(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// What the list itself says of the program behind it.
pub(super) fn kind(list: &Value) -> ServerKind {
    let entries = entries(list);
    let owner = entries
        .iter()
        .find_map(|entry| text(entry, "owned_by"))
        .unwrap_or_default();
    match owner.as_str() {
        "llamacpp" => ServerKind::LlamaCpp,
        "vllm" => ServerKind::Vllm,
        "sglang" => ServerKind::Sglang,
        "tabbyAPI" => ServerKind::TabbyApi,
        "koboldcpp" => ServerKind::KoboldCpp,
        "tensorrt_llm" => ServerKind::TensorRtLlm,
        "me" => ServerKind::LlamaCppPython,
        _ if entries
            .iter()
            .any(|entry| entry.get("canonical_slug").is_some()) =>
        {
            ServerKind::OpenRouter
        }
        _ => ServerKind::Generic,
    }
}

/// Every model once, in the server's order.
pub(super) fn models(list: &Value) -> Vec<Model> {
    let entries = entries(list);
    let by_id = index(entries, "id");
    // llama.cpp lists its models a second time, in Ollama's shape.
    let twins = index(
        list.get("models")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice),
        "model",
    );
    let mut seen = HashSet::new();
    let mut models = Vec::new();
    for entry in entries {
        let Some(id) = id(entry).filter(|id| seen.insert(*id)) else {
            continue;
        };
        let mut model = model(id, entry, twins.get(id).copied());
        // A LoRA adapter has the window of the model that it sits on.
        if model.context_window.effective.is_none()
            && let Some(parent) = entry.get("parent").and_then(Value::as_str)
            && let Some(window) = by_id
                .get(parent)
                .and_then(|parent| number(parent, "max_model_len"))
        {
            model.context_window.effective = Some(window);
            model.context_window.source = Some("max_model_len of the parent");
        }
        models.push(model);
        if models.len() == MAX_MODELS {
            break;
        }
    }
    models
}

/// Entries by one of their texts.
pub(super) fn index<'a>(entries: &'a [Value], key: &str) -> HashMap<&'a str, &'a Value> {
    let pairs = entries
        .iter()
        .filter_map(|entry| Some((entry.get(key)?.as_str()?, entry)));
    pairs.collect()
}

fn id(entry: &Value) -> Option<&str> {
    let field = |key: &str| {
        entry
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    entry
        .as_str()
        .or_else(|| field("id"))
        .or_else(|| field("model"))
        .or_else(|| field("name"))
}

fn model(id: &str, entry: &Value, twin: Option<&Value>) -> Model {
    Model {
        id: id.to_owned(),
        name: text(entry, "name").unwrap_or_else(|| sanitize(id)),
        description: text(entry, "description"),
        parameters: parameters(entry, twin),
        context_window: context_window(entry),
        max_input_tokens: number(entry, "max_input_tokens"),
        max_output_tokens: number(entry, "max_output_tokens")
            .or_else(|| number(entry.get("top_provider")?, "max_completion_tokens")),
        capabilities: capabilities(entry, twin),
        state: state(entry),
    }
}

fn parameters(entry: &Value, twin: Option<&Value>) -> Parameters {
    let meta = entry.get("meta");
    let details = [Some(entry), twin]
        .into_iter()
        .flatten()
        .find_map(|entry| entry.get("details"));
    let detail = |name| text(details?, name);
    Parameters {
        count: meta
            .and_then(|meta| number(meta, "n_params"))
            .or_else(|| count(&detail("parameter_size")?)),
        quantization: meta
            .and_then(|meta| text(meta, "ftype"))
            .or_else(|| detail("quantization_level")),
        family: detail("family"),
        format: detail("format"),
        size_bytes: meta
            .and_then(|meta| number(meta, "size"))
            .or_else(|| number(entry, "size")),
    }
}

/// `7.6B`, as Ollama writes a number of weights.
pub(super) fn count(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit = text.chars().next_back()?.to_ascii_uppercase();
    let scale = match unit {
        'K' => 1e3,
        'M' => 1e6,
        'B' => 1e9,
        'T' => 1e12,
        _ => return None,
    };
    let number: f64 = text.get(..text.len() - 1)?.trim().parse().ok()?;
    let count = number * scale;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a sane positive number"
    )]
    (1.0..1e18).contains(&count).then_some(count.round() as u64)
}

fn context_window(entry: &Value) -> ContextWindow {
    let meta = entry.get("meta");
    let maximum = meta.and_then(|meta| number(meta, "n_ctx_train"));
    let found = |effective, source| ContextWindow {
        effective: Some(effective),
        maximum,
        source: Some(source),
    };
    if let Some(context) = meta.and_then(|meta| number(meta, "n_ctx")) {
        return found(context, "meta.n_ctx");
    }
    if let Some(context) = number(entry, "max_model_len") {
        return found(context, "max_model_len");
    }
    if let Some(context) = entry
        .get("parameters")
        .and_then(|parameters| number(parameters, "max_seq_len"))
    {
        return found(context, "parameters.max_seq_len");
    }
    if let Some(context) = number(entry, "context_length") {
        let provider = entry
            .get("top_provider")
            .and_then(|provider| number(provider, "context_length"));
        return ContextWindow {
            effective: Some(provider.map_or(context, |provider| provider.min(context))),
            maximum: Some(context),
            source: Some("context_length"),
        };
    }
    ContextWindow {
        effective: None,
        maximum,
        source: maximum.map(|_| "meta.n_ctx_train"),
    }
}

fn capabilities(entry: &Value, twin: Option<&Value>) -> Capabilities {
    let names = |value: Option<&Value>| -> Option<Vec<String>> {
        let items = value?.as_array()?;
        Some(
            items
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        )
    };
    let has = |list: &Option<Vec<String>>, name: &str| {
        list.as_ref()
            .map(|list| list.iter().any(|item| item == name))
    };
    let architecture = entry.get("architecture");
    let inputs = names(architecture.and_then(|architecture| architecture.get("input_modalities")));
    let outputs =
        names(architecture.and_then(|architecture| architecture.get("output_modalities")));
    let supported = names(entry.get("supported_parameters"));
    let abilities = names(twin.and_then(|twin| twin.get("capabilities")));
    let embeds = [&outputs, &abilities].into_iter().find_map(|list| {
        has(list, "embedding")
            .filter(|embedding| *embedding)
            .or_else(|| has(list, "embeddings").filter(|embedding| *embedding))
    });
    Capabilities {
        tools: has(&supported, "tools"),
        vision: has(&inputs, "image"),
        reasoning: has(&supported, "reasoning"),
        embedding: embeds,
    }
}

fn state(entry: &Value) -> ModelState {
    match entry
        .get("status")
        .and_then(|status| text(status, "value"))
        .as_deref()
    {
        Some("loaded") => ModelState::Loaded,
        Some("unloaded" | "sleeping") => ModelState::Unloaded,
        Some("loading" | "downloading") => ModelState::Loading,
        Some(_) => ModelState::Unknown,
        // These list only what they run.
        None if matches!(
            text(entry, "owned_by").as_deref(),
            Some("llamacpp" | "vllm" | "sglang")
        ) =>
        {
            ModelState::Loaded
        }
        None => ModelState::Unknown,
    }
}

/// A text to be shown, or to be compared with words we know.
pub(super) fn text(value: &Value, key: &str) -> Option<String> {
    let text = sanitize(value.get(key)?.as_str()?);
    (!text.is_empty()).then_some(text)
}

/// A positive number; servers write 0 for unknown.
pub(super) fn number(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_shown_of_a_model_is_fit_to_be_shown_and_its_id_is_left_alone() {
        let list = json!({"data": [
            {"id": "a\u{1b}b", "description": "one\ntwo\u{202e}"},
            {"id": "c", "name": "C\u{7}"},
        ]});
        let shown: Vec<_> = models(&list)
            .into_iter()
            .map(|model| (model.id, model.name, model.description))
            .collect();
        assert_eq!(
            shown,
            [
                (
                    "a\u{1b}b".into(),
                    "a\\u{1b}b".into(),
                    Some("one two\\u{202e}".into())
                ),
                ("c".into(), "C\\u{7}".into(), None),
            ]
        );
    }
}
