//! Model lists: one shape, with many servers' additions.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    field::{count, has, index, items, number, text},
    name,
};
use crate::llm::{
    model::{Capabilities, ContextWindow, Model, ModelState, Parameters, ServerKind},
    sanitize::{is_unsafe, sanitize},
};

/// More models than this are not listed.
const MAX_MODELS: usize = 10_000;
/// Bytes of the longest id; no profile could name a longer one.
const MAX_ID: usize = 512;

/// Whether this can be a model list at all.
pub(super) fn is_list(json: &Value) -> bool {
    let lists = [Some(json), json.get("data"), json.get("models")];
    // Ollama without a model says null.
    let is_null = json.get("data").is_some_and(Value::is_null) && json.get("object").is_some();
    is_null || lists.into_iter().flatten().any(Value::is_array)
}

pub(super) fn entries(list: &Value) -> &[Value] {
    let entries = [Some(list), list.get("data"), list.get("models")];
    entries
        .into_iter()
        .flatten()
        .find_map(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// What there is to say about models that are not listed.
pub(super) fn warnings(list: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let entries = entries(list);
    let nameless = entries.iter().filter_map(id).filter(|id| !is_usable(id));
    match nameless.count() {
        0 => {}
        count => warnings.push(format!(
            "{count} of the server's models are left out: their names have characters that can't be \
             shown, or are longer than {MAX_ID} bytes."
        )),
    }
    if entries.len() > MAX_MODELS {
        warnings.push(format!(
            "Only the first {MAX_MODELS} of the server's {} models are listed.",
            entries.len()
        ));
    }
    warnings
}

/// Every model once, in the server's order; those whose id can be shown as it is.
pub(super) fn models(list: &Value) -> Vec<Model> {
    let entries = entries(list);
    let by_id = index(entries, "id");
    // llama.cpp lists its models a second time, in Ollama's shape.
    let twins = index(items(list, "models"), "model");
    let mut seen = HashSet::new();
    let mut models = Vec::new();
    for entry in entries {
        let id = id(entry).filter(|id| is_usable(id));
        let Some(id) = id.filter(|id| seen.insert(*id)) else {
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

/// Adds what follows for models of a program of this kind.
pub(super) fn add(kind: ServerKind, list: &Value, models: &mut [Model]) {
    let entries = index(entries(list), "id");
    for model in models {
        let entry = entries.get(model.id.as_str());
        let has = |key: &str| entry.and_then(|entry| entry.get(key));
        if lists_what_it_runs(kind) && has("status").is_none() {
            model.state = ModelState::Loaded;
        }
        if names_files(kind) {
            // An alias is no name, where its root is told.
            let root = has("root").and_then(Value::as_str);
            name::add(root.unwrap_or(&model.id), &mut model.parameters);
        }
    }
}

/// Whether a model that is listed is in memory.
fn lists_what_it_runs(kind: ServerKind) -> bool {
    matches!(
        kind,
        ServerKind::LlamaCpp | ServerKind::Sglang | ServerKind::TensorRtLlm | ServerKind::Vllm
    )
}

/// Whether the ids of models are names of files or repositories, and no aliases.
fn names_files(kind: ServerKind) -> bool {
    matches!(
        kind,
        ServerKind::KoboldCpp
            | ServerKind::LlamaCpp
            | ServerKind::Mlx
            | ServerKind::Sglang
            | ServerKind::TabbyApi
            | ServerKind::TensorRtLlm
            | ServerKind::TextGenerationWebui
            | ServerKind::Tgi
            | ServerKind::Vllm
    )
}

/// An id is sent as it was told, and shown as it is sent.
fn is_usable(id: &str) -> bool {
    id.len() <= MAX_ID && !id.contains(is_unsafe)
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

/// Where the window is told, the surest first: inside which field, as what, and how we call it.
const WINDOWS: &[(Option<&str>, &str, &str)] = &[
    (Some("meta"), "n_ctx", "meta.n_ctx"),
    (None, "max_model_len", "max_model_len"),
    (Some("parameters"), "max_seq_len", "parameters.max_seq_len"),
    (None, "max_context_length", "max_context_length"),
    (None, "max_context", "max_context"),
    (None, "context_window", "context_window"),
    (
        Some("metadata"),
        "max_request_context_length",
        "metadata.max_request_context_length",
    ),
    (None, "max_input_tokens", "max_input_tokens"),
];

fn context_window(entry: &Value) -> ContextWindow {
    let within = |field: Option<&str>| field.map_or(Some(entry), |field| entry.get(field));
    let maximum = within(Some("meta")).and_then(|meta| number(meta, "n_ctx_train"));
    // What a gateway tells is the model's; one of those who run it may have less.
    if let Some(context) = number(entry, "context_length") {
        let provider = within(Some("top_provider"));
        let provider = provider.and_then(|provider| number(provider, "context_length"));
        return ContextWindow {
            effective: Some(provider.map_or(context, |provider| provider.min(context))),
            maximum: maximum.or(Some(context)),
            source: Some("context_length"),
        };
    }
    let found = WINDOWS
        .iter()
        .find_map(|(field, key, source)| Some((number(within(*field)?, key)?, *source)));
    ContextWindow {
        effective: found.map(|(context, _)| context),
        maximum,
        source: found
            .map(|(_, source)| source)
            .or(maximum.map(|_| "meta.n_ctx_train")),
    }
}

fn capabilities(entry: &Value, twin: Option<&Value>) -> Capabilities {
    const EMBEDDING: &[&str] = &["embedding", "embeddings"];
    let architecture = entry.get("architecture");
    let modality = |key, words| architecture.and_then(|made| has(made, key, words));
    let is_embedding = |key| text(entry, key).is_some_and(|kind| EMBEDDING.contains(&&*kind));
    // That it is none, nobody says by leaving it out.
    let embeds = modality("output_modalities", EMBEDDING) == Some(true)
        || twin.and_then(|twin| has(twin, "capabilities", EMBEDDING)) == Some(true)
        || is_embedding("mode")
        || is_embedding("type");
    Capabilities {
        tools: has(entry, "supported_parameters", &["tools"]),
        vision: modality("input_modalities", &["image"]),
        reasoning: has(entry, "supported_parameters", &["reasoning"]),
        embedding: embeds.then_some(true),
    }
}

fn state(entry: &Value) -> ModelState {
    let status = entry.get("status");
    let failed = status.is_some_and(|status| status.get("failed").is_some_and(|it| it == true));
    match status.and_then(|status| text(status, "value")).as_deref() {
        // It can be tried again.
        _ if failed => ModelState::Unloaded,
        Some("loaded") => ModelState::Loaded,
        Some("unloaded" | "sleeping") => ModelState::Unloaded,
        Some("loading" | "downloading") => ModelState::Loading,
        _ => ModelState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_shown_of_a_model_is_fit_to_be_shown() {
        let list = json!({"data": [
            {"id": "a\u{1b}b"},
            {"id": "x".repeat(513)},
            {"id": "a b", "description": "one\ntwo\u{202e}"},
            {"id": "c", "name": "C\u{7}"},
        ]});
        let warnings = warnings(&list);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("2 of"), "{warnings:?}");
        let shown: Vec<_> = models(&list)
            .into_iter()
            .map(|model| (model.id, model.name, model.description))
            .collect();
        assert_eq!(
            shown,
            [
                ("a b".into(), "a b".into(), Some("one two\\u{202e}".into())),
                ("c".into(), "C\\u{7}".into(), None),
            ]
        );
    }

    #[test]
    fn a_window_is_read_wherever_it_is_told() {
        for (entry, effective, maximum, source) in [
            (
                json!({"meta": {"n_ctx": 2048, "n_ctx_train": 8192}}),
                Some(2048),
                Some(8192),
                Some("meta.n_ctx"),
            ),
            (
                json!({"meta": {"n_ctx": 0, "n_ctx_train": 8192}}),
                None,
                Some(8192),
                Some("meta.n_ctx_train"),
            ),
            (
                json!({"max_model_len": "4096"}),
                Some(4096),
                None,
                Some("max_model_len"),
            ),
            (
                json!({"context_window": 131_072}),
                Some(131_072),
                None,
                Some("context_window"),
            ),
            (
                json!({"context_length": 9, "top_provider": {"context_length": 7}}),
                Some(7),
                Some(9),
                Some("context_length"),
            ),
            (
                json!({"context_length": 7, "top_provider": {"context_length": null}}),
                Some(7),
                Some(7),
                Some("context_length"),
            ),
            (
                json!({"metadata": "none", "parameters": [1], "meta": 5}),
                None,
                None,
                None,
            ),
        ] {
            let window = ContextWindow {
                effective,
                maximum,
                source,
            };
            assert_eq!(context_window(&entry), window, "{entry}");
        }
    }
}
