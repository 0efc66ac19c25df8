//! What servers are and have, from their captured and documented answers.

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::{
    captures::capture,
    peer::{clocks, json, prompt, server},
};
use crate::llm::{Discovery, Error, Options, RefusalKind, ServerKind};

/// Discovers a server that gives these answers, and 404 to all else. Lists the requests too.
async fn discover(routes: &[(&'static str, Vec<u8>)]) -> (Discovery, Vec<String>) {
    let (server, peer) = server(Options::default());
    let routes = routes.to_vec();
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = std::sync::Arc::clone(&asked);
    tokio::spawn(peer.serve(move |line| {
        log.lock()
            .unwrap()
            .push(line.trim_end_matches(" HTTP/1.1").to_owned());
        let found = routes
            .iter()
            .find(|(route, _)| line.contains(&format!(" {route} ")));
        found.map_or_else(
            || json(404, "{\"detail\":\"Not Found\"}").into(),
            |(_, answer)| answer.clone(),
        )
    }));
    let discovery = server.discover().await.unwrap();
    let asked = asked.lock().unwrap().clone();
    (discovery, asked)
}

fn describe(discovery: &Discovery) -> String {
    let mut out = format!(
        "{} {:?}\n",
        discovery.server.kind.as_str(),
        discovery.server.version
    );
    for model in &discovery.models {
        let parameters = &model.parameters;
        let window = &model.context_window;
        let can = &model.capabilities;
        let flags: Vec<_> = [
            ("tools", can.tools),
            ("vision", can.vision),
            ("reasoning", can.reasoning),
            ("embedding", can.embedding),
        ]
        .into_iter()
        .filter_map(|(name, flag)| {
            flag.map(|flag| format!("{}{name}", if flag { "" } else { "no " }))
        })
        .collect();
        let number =
            |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
        writeln!(
            out,
            "  {} ({}) {:?}: context {} of {} by {}; {} weights, {}, {}, {}, {} bytes; {}",
            model.id,
            model.name,
            model.state,
            number(window.effective),
            number(window.maximum),
            window.source.unwrap_or("?"),
            number(parameters.count),
            text(&parameters.quantization),
            text(&parameters.family),
            text(&parameters.format),
            number(parameters.size_bytes),
            flags.join(", "),
        )
        .unwrap();
    }
    out
}

async fn check(routes: &[(&'static str, Vec<u8>)], asked: &[&str], expected: Expect) {
    let (discovery, requests) = discover(routes).await;
    expected.assert_eq(&describe(&discovery));
    assert_eq!(requests, asked);
}

fn body(body: &str) -> Vec<u8> {
    json(200, body).into()
}

#[tokio::test(start_paused = true)]
async fn llama_server_tells_its_window_and_its_props() {
    check(
        &[
            ("/v1/models", capture("llama-server/models")),
            ("/props", capture("llama-server/props")),
        ],
        &["GET /v1/models", "GET /props"],
        expect![[r#"
            llama.cpp Some("b0-unknown")
              smol (smol) Loaded: context 2048 of 8192 by meta.n_ctx; 134515008 weights, Q4_1, ?, gguf, 96576768 bytes; tools, no vision
        "#]],
    )
    .await;
    check(
        &[("/v1/models", capture("llama-server/gemma-models"))],
        &["GET /v1/models", "GET /props"],
        expect![[r#"
            llama.cpp None
              models/gemma.gguf (models/gemma.gguf) Loaded: context 2048 of 32768 by meta.n_ctx; 268098176 weights, Q4_K - Medium, ?, gguf, 246587904 bytes; no vision
        "#]],
    )
    .await;
    check(
        &[
            ("/v1/models", capture("xllamacpp/models")),
            ("/props", capture("xllamacpp/props")),
        ],
        &["GET /v1/models", "GET /props"],
        expect![[r#"
            llama.cpp Some("b0-unknown")
              smol (smol) Loaded: context 2048 of 8192 by meta.n_ctx; 134515008 weights, Q4_1, ?, gguf, 96576768 bytes; no tools, no vision
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_llama_server_without_meta_is_asked_for_its_props() {
    let list = r#"{"object":"list","data":[{"id":"m","object":"model","owned_by":"llamacpp"}]}"#;
    check(
        &[
            ("/v1/models", body(list)),
            ("/props", capture("llama-server/props")),
        ],
        &["GET /v1/models", "GET /props"],
        expect![[r#"
            llama.cpp Some("b0-unknown")
              m (m) Loaded: context 2048 of ? by /props n_ctx; ? weights, ?, ?, ?, ? bytes; tools, no vision
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_router_lists_models_that_are_not_loaded() {
    for list in [
        "llama-server/router-models",
        "llama-server/router-models-loaded",
    ] {
        let routes = [
            ("/v1/models", capture(list)),
            ("/props", capture("llama-server/router-props")),
        ];
        let (discovery, _) = discover(&routes).await;
        let expected = match list {
            "llama-server/router-models" => expect![[r#"
                llama.cpp Some("b0-unknown")
                  gemma-b (gemma-b) Unloaded: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; no vision
                  smol-a (smol-a) Unloaded: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; no vision
            "#]],
            _ => expect![[r#"
                llama.cpp Some("b0-unknown")
                  gemma-b (gemma-b) Unloaded: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; no vision
                  smol-a (smol-a) Loaded: context 1024 of 8192 by meta.n_ctx; 134515008 weights, Q4_1, ?, ?, 96576768 bytes; no vision
            "#]],
        };
        expected.assert_eq(&describe(&discovery));
    }
}

#[tokio::test(start_paused = true)]
async fn vllm_tells_max_model_len_and_an_adapter_has_its_parents() {
    check(
        &[
            ("/v1/models", capture("vllm/models")),
            ("/version", capture("vllm/version")),
        ],
        &["GET /v1/models", "GET /version"],
        expect![[r#"
            vllm Some("0.32.0")
              smol (smol) Loaded: context 2048 of ? by max_model_len; ? weights, ?, ?, ?, ? bytes; 
        "#]],
    )
    .await;
    let list = r#"{"data":[
        {"id":"base","owned_by":"vllm","root":"org/base","parent":null,"max_model_len":4096},
        {"id":"lora","owned_by":"vllm","root":"/adapters/l","parent":"base","max_model_len":null}]}"#;
    check(
        &[("/v1/models", body(list))],
        &["GET /v1/models", "GET /version"],
        expect![[r#"
            vllm None
              base (base) Loaded: context 4096 of ? by max_model_len; ? weights, ?, ?, ?, ? bytes; 
              lora (lora) Loaded: context 4096 of ? by max_model_len of the parent; ? weights, ?, ?, ?, ? bytes; 
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn servers_that_say_nothing_of_windows_stay_unknown() {
    check(
        &[("/v1/models", capture("llama-cpp-python/models"))],
        &["GET /v1/models"],
        expect![[r#"
            llama-cpp-python None
              smol (smol) Unknown: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; 
        "#]],
    )
    .await;
    check(
        &[("/v1/models", capture("litellm/pool-models"))],
        &["GET /v1/models", "GET /api/version"],
        expect![[r#"
            generic None
              mock-ok (mock-ok) Unknown: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; 
              mock-ratelimit (mock-ratelimit) Unknown: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; 
              mock-ctx (mock-ctx) Unknown: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; 
              mock-500 (mock-500) Unknown: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; 
              smol-pool (smol-pool) Unknown: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; 
              dead-backend (dead-backend) Unknown: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; 
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn ollama_is_asked_by_its_own_routes() {
    let list = r#"{"object":"list","data":[
        {"id":"qwen3:4b","object":"model","created":1,"owned_by":"library"},
        {"id":"nomic-embed-text:latest","object":"model","created":1,"owned_by":"library"}]}"#;
    let tags = r#"{"models":[
        {"name":"qwen3:4b","model":"qwen3:4b","size":2620788019,"digest":"2bfd38a7daaf","details":{"format":"gguf","family":"qwen3","parameter_size":"4.0B","quantization_level":"Q4_K_M"}},
        {"name":"nomic-embed-text:latest","model":"nomic-embed-text:latest","size":274302450,"digest":"0a109f422b47","details":{"format":"gguf","family":"nomic-bert","parameter_size":"137M","quantization_level":"F16"}}]}"#;
    let ps = r#"{"models":[{"name":"qwen3:4b","model":"qwen3:4b","context_length":8192}]}"#;
    let show = r#"{"parameters":"stop  \"<|im_end|>\"\nnum_ctx                        16384","model_info":{"general.architecture":"qwen3","general.parameter_count":4022468096,"qwen3.context_length":40960},"capabilities":["completion","tools","thinking"]}"#;
    check(
        &[
            ("/v1/models", body(list)),
            ("/api/version", body(r#"{"version":"0.12.6"}"#)),
            ("/api/tags", body(tags)),
            ("/api/ps", body(ps)),
            ("/api/show", body(show)),
        ],
        &[
            "GET /v1/models",
            "GET /api/version",
            "GET /api/tags",
            "GET /api/ps",
            "POST /api/show",
            "POST /api/show",
        ],
        expect![[r#"
            ollama Some("0.12.6")
              qwen3:4b (qwen3:4b) Loaded: context 8192 of 40960 by /api/ps context_length; 4022468096 weights, Q4_K_M, qwen3, gguf, 2620788019 bytes; tools, no vision, reasoning, no embedding
              nomic-embed-text:latest (nomic-embed-text:latest) Unloaded: context 16384 of 40960 by /api/show num_ctx; 4022468096 weights, F16, nomic-bert, gguf, 274302450 bytes; tools, no vision, reasoning, no embedding
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_imitation_of_ollama_is_not_taken_for_it() {
    let list = r#"{"data":[{"id":"m","owned_by":"someone"}]}"#;
    let tags = r#"{"models":[{"name":"m","model":"m","digest":"sha256:0000000000","size":1}]}"#;
    check(
        &[
            ("/v1/models", body(list)),
            ("/api/version", body(r#"{"version":"0.0.0"}"#)),
            ("/api/tags", body(tags)),
        ],
        &["GET /v1/models", "GET /api/version", "GET /api/tags"],
        expect![[r#"
            generic None
              m (m) Unknown: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; 
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn other_shapes_of_lists_are_read() {
    for (list, expected) in [
        (
            r#"{"object":"list","data":[]}"#,
            expect![[r#"
            generic None
        "#]],
        ),
        (
            r#"{"models":[{"name":"only-here","details":{"parameter_size":"7.6B"}}]}"#,
            expect![[r#"
                generic None
                  only-here (only-here) Unknown: context ? of ? by ?; 7600000000 weights, ?, ?, ?, ? bytes; 
            "#]],
        ),
        (
            r#"[{"id":"a"},"b",{"id":"a"},{"no":"id"},7]"#,
            expect![[r#"
                generic None
                  a (a) Unknown: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; 
                  b (b) Unknown: context ? of ? by ?; ? weights, ?, ?, ?, ? bytes; 
            "#]],
        ),
        (
            r#"{"data":[{"id":"org/m","canonical_slug":"m","name":"M","context_length":200000,"top_provider":{"context_length":131072,"max_completion_tokens":8192},"supported_parameters":["tools"],"architecture":{"input_modalities":["text","image"]}}]}"#,
            expect![[r#"
                openrouter None
                  org/m (M) Unknown: context 131072 of 200000 by context_length; ? weights, ?, ?, ?, ? bytes; tools, vision, no reasoning
            "#]],
        ),
        (
            r#"{"data":[{"id":"exl","owned_by":"tabbyAPI","parameters":{"max_seq_len":32768}}]}"#,
            expect![[r#"
                tabbyapi None
                  exl (exl) Unknown: context 32768 of ? by parameters.max_seq_len; ? weights, ?, ?, ?, ? bytes; 
            "#]],
        ),
    ] {
        let (discovery, _) = discover(&[("/v1/models", body(list))]).await;
        expected.assert_eq(&describe(&discovery));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_may_be_under_the_base_itself() {
    let (discovery, asked) = discover(&[("/models", body(r#"{"data":[{"id":"m"}]}"#))]).await;
    assert_eq!(discovery.models.len(), 1);
    assert_eq!(asked, ["GET /v1/models", "GET /models", "GET /api/version"]);
}

#[tokio::test(start_paused = true)]
async fn no_list_is_an_error_that_says_why() {
    for (reply, kind) in [
        (capture("llama-server/loading-health"), RefusalKind::Loading),
        (capture("llama-server/apikey-missing"), RefusalKind::Auth),
        (capture("litellm/nokey-models"), RefusalKind::Other),
        (capture("llama-server/not-found"), RefusalKind::WrongPath),
        (
            b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_vec(),
            RefusalKind::HostHeader,
        ),
    ] {
        let (server, peer) = server(Options::default());
        tokio::spawn(peer.serve(move |_| reply.clone()));
        match server.discover().await {
            Err(Error::Refused(refusal)) => assert_eq!(refusal.kind, kind),
            other => panic!("{other:?}"),
        }
    }
    let (server, peer) = server(Options::default());
    let page =
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<html>hi</html>";
    tokio::spawn(peer.serve(move |_| page.into()));
    let error = server.discover().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected JSON or an event stream, got text/html (it said: <html>hi</html>)"
    );
}

#[tokio::test(start_paused = true)]
async fn details_that_do_not_come_in_time_are_missing_and_the_list_is_not() {
    let (server, mut peer) = server(clocks(10, 600, 120, None));
    let (discovery, _connection) = tokio::join!(server.discover(), async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.write(capture("vllm/models")).await;
        connection.request().await;
        connection
    });
    let discovery = discovery.unwrap();
    assert_eq!(
        (discovery.models.len(), discovery.server.version),
        (1, None)
    );
}

#[tokio::test(start_paused = true)]
async fn an_embedding_model_is_flagged_and_an_empty_ollama_is_no_error() {
    let list = r#"{"data":[{"id":"e:latest","owned_by":"library"}]}"#;
    let tags = r#"{"models":[{"name":"e:latest","digest":"0a109f422b47"}]}"#;
    let version = r#"{"version":"0.12.6"}"#;
    let (discovery, _) = discover(&[
        ("/v1/models", body(list)),
        ("/api/version", body(version)),
        ("/api/tags", body(tags)),
        ("/api/show", body(r#"{"capabilities":["embedding"]}"#)),
    ])
    .await;
    assert_eq!(discovery.models[0].capabilities.embedding, Some(true));

    let (discovery, _) = discover(&[
        ("/v1/models", body(r#"{"object":"list","data":null}"#)),
        ("/api/version", body(version)),
        ("/api/tags", body(r#"{"models":[]}"#)),
    ])
    .await;
    assert_eq!(
        (discovery.server.kind, discovery.models.len()),
        (ServerKind::Ollama, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn progress_is_asked_for_once_the_server_is_known_to_tell_it() {
    let (server, mut peer) = server(Options::default());
    let (discovery, mut connection) = tokio::join!(server.discover(), async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.write(capture("llama-server/models")).await;
        connection.request().await;
        connection.write(capture("llama-server/props")).await;
        connection
    });
    discovery.unwrap();
    let (_stream, ()) = tokio::join!(server.chat(prompt()), async {
        assert!(
            connection
                .request()
                .await
                .contains(r#""return_progress":true"#)
        );
        connection.stream_head().await;
    });
}
