//! What is found out before a prompt is sent, what is told of it, and what is asked for.

use serde_json::{Value, json};

use super::{super::peer, Ollama, ask, options, question, user, warnings};
use crate::llm::{
    ApiType::{self, Auto, OpenAiCompatible},
    Block, ChatEvent, ChatRequest, ImageSource, KeepAlive, Message, OllamaSettings, Options, Phase,
    Role, ServerKind, Think,
};

const OWN: &str = "POST /api/chat";
const COMPATIBLE: &str = "POST /v1/chat/completions";

fn with(settings: OllamaSettings) -> Options {
    Options {
        api_type: ApiType::Ollama,
        ollama: settings,
        ..Options::default()
    }
}

#[tokio::test(start_paused = true)]
async fn auto_finds_out_once_that_the_server_is_an_ollama() {
    let ollama = Ollama::new();
    let server = ollama.client(options(Auto));
    warnings(&server, question(1)).await;
    assert_eq!(
        ollama.asked(),
        [
            "GET /api/version",
            "GET /api/tags",
            "POST /api/show",
            "GET /api/ps",
            OWN
        ]
    );
    // What is loaded may be another thing each time.
    warnings(&server, question(1)).await;
    assert_eq!(ollama.asked(), ["GET /api/ps", OWN]);
}

#[tokio::test(start_paused = true)]
async fn auto_believes_discovery() {
    let ollama = Ollama::new();
    let server = ollama.client(options(Auto));
    let found = server.discover().await.unwrap();
    assert_eq!(found.server.kind, ServerKind::Ollama);
    ollama.asked();
    warnings(&server, question(1)).await;
    assert!(!ollama.asked().contains(&"GET /api/tags".to_owned()));

    let server = ollama.client(options(Auto));
    server.recall(&peer::found_to_be(ServerKind::Vllm));
    warnings(&server, question(1)).await;
    assert_eq!(ollama.asked(), [COMPATIBLE]);
}

#[tokio::test(start_paused = true)]
async fn auto_asks_who_is_no_ollama_by_the_compatible_api() {
    let imitated = json!({"models": [{"name": "a", "digest": "sha256:sglang000"}]});
    let unwilling = || peer::json(401, "{}");
    for (ollama, asked) in [
        (
            Ollama::new().without("GET /api/version"),
            &["GET /api/version"][..],
        ),
        (
            Ollama::new().with("GET /api/tags", imitated),
            &["GET /api/version", "GET /api/tags"],
        ),
        (
            Ollama::new().says("GET /api/version", unwilling()),
            &["GET /api/version"],
        ),
    ] {
        let server = ollama.client(options(Auto));
        warnings(&server, question(1)).await;
        assert_eq!(ollama.asked(), [asked, &[COMPATIBLE]].concat());
        // Who answered this way is not asked again what it is.
        warnings(&server, question(1)).await;
        assert_eq!(ollama.asked(), [COMPATIBLE]);
    }
}

#[tokio::test(start_paused = true)]
async fn auto_turns_to_the_compatible_api_where_ollamas_is_missing() {
    let missing = peer::json(404, "404 page not found");
    let ollama = Ollama::new().says(OWN, missing);
    let server = ollama.client(options(Auto));
    server.discover().await.unwrap();
    warnings(&server, question(1)).await;
    assert_eq!(ollama.asked().pop().unwrap(), COMPATIBLE);
    warnings(&server, question(1)).await;
    assert_eq!(ollama.asked(), [COMPATIBLE], "it is remembered");
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_says_ollama_needs_nothing_but_the_chat() {
    let ollama = Ollama::new()
        .without("GET /api/version")
        .without("POST /api/show")
        .without("GET /api/ps");
    let server = ollama.client(options(ApiType::Ollama));
    assert_eq!(warnings(&server, question(1)).await, [""; 0]);
    assert_eq!(ollama.prompts()[0].get("options"), None);
}

#[tokio::test(start_paused = true)]
async fn the_loaded_context_is_asked_for_unless_more_is_wanted() {
    for (loaded, wanted, num_ctx, loads) in [
        (Some(4096), None, json!(4096), false),
        (Some(4096), Some(2048), json!(4096), false),
        (Some(4096), Some(8192), json!(8192), false),
        (None, Some(8192), json!(8192), true),
        (None, None, Value::Null, true),
    ] {
        let ollama = Ollama::new().loaded(loaded);
        let server = ollama.client(with(OllamaSettings {
            num_ctx: wanted,
            ..OllamaSettings::default()
        }));
        let (events, completion) = ask(&server, question(1)).await;
        completion.unwrap();
        let prompt = ollama.prompts().remove(0);
        assert_eq!(
            prompt["options"]["num_ctx"], num_ctx,
            "{loaded:?} {wanted:?}"
        );
        let status = ChatEvent::Status {
            phase: Phase::LoadingModel,
            progress: None,
        };
        assert_eq!(events.contains(&status), loads, "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_prompt_itself_asks_for_comes_first() {
    let ollama = Ollama::new();
    let server = ollama.client(options(ApiType::Ollama));
    let mut request = question(1);
    let given = json!({"num_ctx": 1024});
    request.extra.insert("options".into(), given.clone());
    warnings(&server, request).await;
    assert_eq!(ollama.prompts()[0]["options"], given);
}

#[tokio::test(start_paused = true)]
async fn a_model_thinks_if_it_can_and_nobody_says_no() {
    for (setting, can, sent) in [
        (None, true, json!(true)),
        (None, false, Value::Null),
        (Some(Think::High), true, json!("high")),
        (Some(Think::High), false, Value::Null),
        (Some(Think::Off), true, json!(false)),
    ] {
        let ollama = match can {
            true => Ollama::new().thinking(),
            false => Ollama::new(),
        };
        let server = ollama.client(with(OllamaSettings {
            think: setting,
            keep_alive: Some(KeepAlive::Duration("10m".into())),
            ..OllamaSettings::default()
        }));
        warnings(&server, question(1)).await;
        let prompt = ollama.prompts().remove(0);
        assert_eq!(prompt["think"], sent, "{setting:?} {can}");
        assert_eq!(prompt["keep_alive"], "10m");
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_refuses_to_think_is_not_asked_to_again() {
    let refused = peer::json(400, r#"{"error":"\"smol\" does not support thinking"}"#);
    let ollama = Ollama::new().thinking().answers(refused);
    let server = ollama.client(options(ApiType::Ollama));
    assert_eq!(warnings(&server, question(1)).await, [""; 0]);
    warnings(&server, question(1)).await;
    let asked: Vec<_> = ollama
        .prompts()
        .iter()
        .map(|prompt| prompt["think"].clone())
        .collect();
    assert_eq!(asked, [json!(true), Value::Null, Value::Null]);
}

#[tokio::test(start_paused = true)]
async fn a_server_is_told_not_to_cut_and_where_it_is_harmless_not_to_shift() {
    for (version, shift) in [
        ("0.6.2", Value::Null),
        ("0.12.6", json!(false)),
        ("0.24.0", json!(false)),
        ("0.30.0", Value::Null),
        ("0.0.0", Value::Null),
    ] {
        let ollama = Ollama::new().version(version);
        warnings(&ollama.client(options(Auto)), question(1)).await;
        let prompt = ollama.prompts().remove(0);
        assert_eq!(prompt["truncate"], false, "{version}");
        assert_eq!(prompt["shift"], shift, "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_truncate_is_asked_without_it_from_then_on() {
    let refused = peer::json(400, r#"{"error":"json: unknown field \"truncate\""}"#);
    let ollama = Ollama::new().answers(refused);
    let server = ollama.client(options(ApiType::Ollama));
    assert_eq!(warnings(&server, question(1)).await, [""; 0]);
    // Now it may cut.
    let told = warnings(&server, question(5000)).await;
    assert!(told[0].contains("will leave out"), "{told:?}");
    let asked: Vec<_> = ollama
        .prompts()
        .iter()
        .map(|prompt| {
            (
                prompt.get("truncate").cloned(),
                prompt.get("shift").cloned(),
            )
        })
        .collect();
    let both = (Some(json!(false)), Some(json!(false)));
    assert_eq!(asked, [both, (None, None), (None, None)]);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_will_be_cut_is_warned_of_before_it_is_sent() {
    // By Ollama's own API only where the server cannot be told to refuse.
    for (version, warns) in [("0.12.5", true), ("0.12.6", false)] {
        let ollama = Ollama::new().version(version);
        let server = ollama.client(options(ApiType::Ollama));
        let mut stream = server.chat(question(5000)).await.unwrap();
        let first = stream.next().await.unwrap().unwrap();
        let sent = ollama.asked().contains(&OWN.to_owned());
        match first {
            ChatEvent::Warning(text) if warns => {
                assert!(text.contains("about 5008 tokens"), "{text}");
                assert!(
                    text.contains("a context of 4096 (as it is loaded)"),
                    "{text}"
                );
                assert!(text.contains("llm.ollama.numCtx to 8192"), "{text}");
                assert!(!sent, "it was sent first");
            }
            other => assert!(!warns, "{version}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_compatible_api_is_warned_of_where_the_server_may_be_ollama() {
    // By its port, and asked only about prompts that are large enough for any context to matter.
    let ollama = Ollama::new();
    let server = ollama.client_at("http://localhost:11434", options(OpenAiCompatible));
    assert_eq!(warnings(&server, question(100)).await, [""; 0]);
    assert_eq!(ollama.asked(), [COMPATIBLE]);
    assert_eq!(warnings(&server, question(3000)).await, [""; 0]);
    let told = warnings(&server, question(5000)).await;
    assert!(told[0].contains("llm.apiType to ollama"), "{told:?}");

    // On another port nobody is asked what it is …
    let ollama = Ollama::new();
    let server = ollama.client(options(OpenAiCompatible));
    assert_eq!(warnings(&server, question(100)).await, [""; 0]);
    assert_eq!(ollama.asked(), [COMPATIBLE]);
    // … until it matters, and then once.
    assert_eq!(warnings(&server, question(5000)).await.len(), 1);
    assert_eq!(ollama.asked()[..2], ["GET /api/version", "GET /api/tags"]);
    assert_eq!(warnings(&server, question(5000)).await.len(), 1);
    assert!(!ollama.asked().contains(&"GET /api/tags".to_owned()));
    // Another client of the same server may have been it.
    let server = ollama.client(options(OpenAiCompatible));
    server.recall(&peer::found_to_be(ServerKind::Ollama));
    assert_eq!(warnings(&server, question(5000)).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn images_that_are_left_out_are_told_of_once_a_prompt() {
    let ollama = Ollama::new();
    let server = ollama.client(options(ApiType::Ollama));
    let mut request = question(1);
    request.messages.push(user(Block::Image {
        source: ImageSource::Url {
            url: "https://example.com/a.png".into(),
        },
    }));
    let told = warnings(&server, request.clone()).await;
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("1 image(s) were left out"), "{told:?}");
    request.messages.push(Message {
        role: Role::Assistant,
        content: vec![Block::ToolUse {
            id: "1".into(),
            name: "f".into(),
            input: json!({}),
        }],
    });
    request.messages.push(user(Block::ToolResult {
        tool_use_id: "1".into(),
        content: vec![Block::Text { text: "a".into() }],
        is_error: false,
    }));
    assert_eq!(warnings(&server, request).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_loaded_here_of_a_model_that_runs_elsewhere() {
    let show = json!({"remote_host": "https://ollama.com:443", "capabilities": ["completion"]});
    let ollama = Ollama::new()
        .version("0.12.5")
        .with("POST /api/show", show)
        .loaded(None);
    let server = ollama.client(with(OllamaSettings {
        num_ctx: Some(8192),
        ..OllamaSettings::default()
    }));
    let (events, completion) = ask(&server, question(50_000)).await;
    completion.unwrap();
    let is_status = |event: &ChatEvent| matches!(event, ChatEvent::Status { .. });
    let is_warning = |event: &ChatEvent| matches!(event, ChatEvent::Warning(_));
    assert!(
        !events
            .iter()
            .any(|event| is_status(event) || is_warning(event)),
        "{events:?}"
    );
    assert_eq!(ollama.prompts()[0].get("options"), None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_is_an_error_before_anything_is_sent() {
    let once = Options {
        api_type: Auto,
        ..peer::never_again()
    };
    let (server, peer) = peer::server(once);
    drop(peer);
    let result = server.chat(ChatRequest::default()).await;
    assert!(matches!(result, Err(crate::llm::Error::Open(_))));
}
