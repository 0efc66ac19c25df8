//! What servers are and have: a folder of raw answers for each, and what discovery makes of them.
//!
//! `v1+models.res.txt` is the answer to `GET /v1/models`, `api+show@a-b.res.txt` the one to
//! `POST /api/show` about the model `a:b`; any other request is answered with 404. `expected.json`
//! has the server, the requests that it cost, and the models without what is unknown of them.
//! `UPDATE_EXPECT=1` writes it anew.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::peer::{self, server};
use crate::llm::{Discovery, Model, ModelState, Options, ServerKind};

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/discovery");
    let mut folders: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    folders
}

/// A server's answers, by method, route, and the model asked about.
fn answers(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut answers = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some(name) = name.strip_suffix(".res.txt") {
            let name = name.replace('+', "/");
            let method = if name.contains('@') { "POST" } else { "GET" };
            answers.insert(format!("{method} /{name}"), fs::read(&path).unwrap());
        }
    }
    answers
}

/// What a request is answered by.
fn key(request: &str) -> String {
    let line = request.lines().next().unwrap_or_default();
    let route = line.trim_end_matches(" HTTP/1.1").to_owned();
    let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let model = serde_json::from_str::<Value>(body).ok();
    match model.as_ref().and_then(|body| body["model"].as_str()) {
        None => route,
        Some(model) => {
            let plain = |c: char| {
                if c.is_ascii_alphanumeric() || c == '.' {
                    c
                } else {
                    '-'
                }
            };
            let model: String = model.chars().map(plain).collect();
            format!("{route}@{model}")
        }
    }
}

async fn discover(answers: BTreeMap<String, Vec<u8>>) -> (Discovery, Vec<String>) {
    let (server, peer) = server(Options::default());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    tokio::spawn(peer.serve_whole(move |request| {
        let key = key(request);
        log.lock().unwrap().push(key.clone());
        let none = || peer::json(404, r#"{"detail":"Not Found"}"#).into();
        answers.get(&key).cloned().unwrap_or_else(none)
    }));
    let discovery = server.discover().await.unwrap();
    let mut asked = asked.lock().unwrap().clone();
    // These go out together.
    let shows = asked.iter().position(|request| request.starts_with("POST"));
    if let Some(shows) = shows {
        asked[shows..].sort();
    }
    (discovery, asked)
}

fn describe(discovery: &Discovery, asked: &[String]) -> Value {
    let models: Vec<_> = discovery.models.iter().map(describe_model).collect();
    json!({
        "server": known(json!({
            "kind": discovery.server.kind.as_str(), "version": discovery.server.version,
        })),
        "asked": asked,
        "models": models,
    })
}

fn describe_model(model: &Model) -> Value {
    let (parameters, window, can) = (
        &model.parameters,
        &model.context_window,
        &model.capabilities,
    );
    known(json!({
        "id": model.id,
        "name": model.name,
        "description": model.description,
        "state": match model.state {
            ModelState::Loaded => Some("loaded"),
            ModelState::Unloaded => Some("unloaded"),
            ModelState::Loading => Some("loading"),
            ModelState::Unknown => None,
        },
        "contextWindow": known(json!({
            "effective": window.effective, "maximum": window.maximum, "source": window.source,
        })),
        "maxInputTokens": model.max_input_tokens,
        "maxOutputTokens": model.max_output_tokens,
        "parameters": known(json!({
            "count": parameters.count, "quantization": parameters.quantization,
            "family": parameters.family, "format": parameters.format,
            "sizeBytes": parameters.size_bytes,
        })),
        "capabilities": known(json!({
            "tools": can.tools, "vision": can.vision, "reasoning": can.reasoning,
            "embedding": can.embedding,
        })),
    }))
}

/// Leaves out what is unknown.
fn known(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, field| !field.is_null() && *field != json!({}));
    }
    value
}

#[tokio::test(start_paused = true)]
async fn every_server_is_found_for_what_it_is_with_few_requests() {
    let mut wrong = Vec::new();
    for folder in folders() {
        let (discovery, asked) = discover(answers(&folder)).await;
        let found = describe(&discovery, &asked);
        let path = folder.join("expected.json");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&path, format!("{found:#}\n")).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let name = folder.file_name().unwrap().display();
        match serde_json::from_str::<Value>(&expected) {
            Ok(expected) if expected == found => {}
            _ => wrong.push(format!("{name}: {found:#}")),
        }
        let gets = asked.iter().filter(|request| request.starts_with("GET"));
        assert!(gets.count() <= 4, "{name}: {asked:?}");
        // It calls every model behind a gateway.
        assert!(!asked.contains(&"GET /health".to_owned()), "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_is_a_server_of_every_kind() {
    let found: Vec<_> = folders()
        .iter()
        .map(|folder| {
            let expected = fs::read_to_string(folder.join("expected.json")).unwrap();
            let expected: Value = serde_json::from_str(&expected).unwrap();
            expected["server"]["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    for kind in [
        ServerKind::Ollama,
        ServerKind::LlamaCpp,
        ServerKind::LlamaCppPython,
        ServerKind::Vllm,
        ServerKind::Sglang,
        ServerKind::LmStudio,
        ServerKind::Tgi,
        ServerKind::LiteLlm,
        ServerKind::LocalAi,
        ServerKind::TabbyApi,
        ServerKind::KoboldCpp,
        ServerKind::TensorRtLlm,
        ServerKind::Mlx,
        ServerKind::TextGenerationWebui,
        ServerKind::OpenRouter,
        ServerKind::RayServe,
        ServerKind::Generic,
    ] {
        assert!(found.iter().any(|found| found == kind.as_str()), "{kind:?}");
    }
}
