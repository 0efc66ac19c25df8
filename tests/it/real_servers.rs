//! LiteLLM's proxy in front of real llama-servers, and what llama-server itself refuses.

use serde_json::{Value, json};

use crate::real::{FILE, llama_is_here, read_files};
use crate::support::bed::{Bed, CONFIG, prompt, with};
use crate::support::daemon::Daemon;
use crate::support::peer::is_here;
use crate::support::peer::llama::{self, Llama};
use crate::support::peer::python::{self, POOL, Server};

/// Longer than any context here.
pub(crate) fn endless() -> String {
    "hello world ".repeat(6000)
}

/// A short question to a model.
pub(crate) fn question(name: &str, model: &str) -> Value {
    let params = prompt(name, "Say hello.");
    with(params, &json!({"model": model, "maxOutputTokens": 24}))
}

/// The whole main job of a tool, with a prompt that makes this model call it.
async fn reads_a_file(bed: &Bed, daemon: &Daemon, model: &str) -> Value {
    let file = bed.path("project/notes.txt");
    std::fs::write(&file, FILE).unwrap();
    read_files(daemon);
    let params = with(
        llama::read_tool_prompt(file.to_str().unwrap()),
        &json!({
            "configId": CONFIG, "requestId": "tool", "toolChoice": "required", "model": model,
            "maxOutputTokens": 200,
        }),
    );
    daemon.ok("remote-llm/stream-prompt", params).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_behind_litellm_answers_calls_tools_and_refuses_in_its_own_words() {
    if !is_here("litellm", python::litellm_available()) || !llama_is_here() {
        return;
    }
    let bed = Bed::start().await;
    let llama = Llama::start(&[]);
    let proxy = Server::litellm(&[llama.port()]);
    let daemon = bed
        .daemon_for(proxy.port(), &json!({"apiKey": python::KEY}))
        .await;

    let models = daemon
        .ok("remote-llm/list-models", json!({"configId": CONFIG}))
        .await;
    assert_eq!(models["server"]["kind"], "litellm", "{models:#}");
    assert_eq!(models["models"][0]["id"], POOL, "{models:#}");

    let result = daemon
        .ok("remote-llm/stream-prompt", question("p", POOL))
        .await;
    assert!(!daemon.text("p").is_empty(), "{result:#}\n{}", proxy.log());
    assert!(result["usage"]["outputTokens"].is_u64(), "{result:#}");

    let result = reads_a_file(&bed, &daemon, POOL).await;
    assert_eq!(result["rounds"], 2, "{result:#}\n{}", proxy.log());
    assert!(
        daemon.text("tool").contains("puffin is orange"),
        "{result:#}"
    );

    let error = daemon
        .err("remote-llm/stream-prompt", question("q", "poool"))
        .await;
    assert_eq!(error.code(), "API_INVALID_MODEL", "{error:?}");
    assert!(
        error.data["hint"].as_str().unwrap().contains(POOL),
        "{error:?}"
    );

    let long = with(prompt("r", &endless()), &json!({"model": POOL}));
    let error = daemon.err("remote-llm/stream-prompt", long).await;
    assert_eq!(error.code(), "API_CONTEXT_OVERFLOW", "{error:?}");

    bed.configure_with(
        &daemon,
        bed.ssh_params(),
        json!({
            "apiEndpoint": format!("http://127.0.0.1:{}", proxy.port()), "apiKey": "sk-wrong",
        }),
    )
    .await;
    let error = daemon
        .err("remote-llm/stream-prompt", question("s", POOL))
        .await;
    assert_eq!(error.code(), "API_AUTH_FAILED", "{error:?}");
    assert!(!format!("{error:?}").contains("sk-wrong"), "{error:?}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_of_litellm_killed_in_mid_stream_is_no_end_and_the_other_one_goes_on() {
    if !is_here("litellm", python::litellm_available()) || !llama_is_here() {
        return;
    }
    let bed = Bed::start().await;
    let mut backends = vec![Llama::start(&[]), Llama::start(&[])];
    let ports: Vec<_> = backends.iter().map(Llama::port).collect();
    let proxy = Server::litellm(&ports);
    let daemon = bed
        .daemon_for(proxy.port(), &json!({"apiKey": python::KEY}))
        .await;

    let params = with(
        prompt("p", "Count from one to a thousand, in words."),
        &json!({"model": POOL, "maxOutputTokens": 3000, "extra": {"ignore_eos": true}}),
    );
    let ticket = daemon.send("remote-llm/stream-prompt", params).await;
    daemon
        .wait_chunk("p", "some words", |chunk| {
            chunk.kind() == "text-delta" && chunk.seq > 4
        })
        .await;
    // Which of the two it is, its own log tells.
    let working = backends
        .iter()
        .position(|llama| llama.log().contains("processing task"))
        .expect("one of them works");
    drop(backends.remove(working));
    let error = daemon.reply(&ticket).await.unwrap_err();
    let code = error.code().to_owned();
    assert!(
        ["STREAM_INTERRUPTED", "API_ERROR", "API_UNAVAILABLE"].contains(&code.as_str()),
        "{error:?}"
    );
    assert_eq!(error.data["partial"], daemon.text("p"));
    assert_eq!(daemon.chunks("p").last().unwrap().kind(), "failed");

    // The proxy may try the dead one once more before it leaves it out.
    let mut told = Vec::new();
    for number in 0..3 {
        let ticket = daemon
            .send(
                "remote-llm/stream-prompt",
                question(&format!("q{number}"), POOL),
            )
            .await;
        told.push(daemon.reply(&ticket).await.is_ok());
    }
    assert!(told.contains(&true), "{told:?}\n{}", proxy.log());
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_llama_server_refuses_is_told_with_its_numbers_and_what_to_do() {
    if !llama_is_here() {
        return;
    }
    let bed = Bed::start().await;
    let llama = Llama::start(&["--api-key", "sk-lab-1"]);
    let daemon = bed
        .daemon_for(llama.port(), &json!({"apiKey": "sk-lab-1"}))
        .await;

    let long = with(prompt("p", &endless()), &json!({"model": llama::MODEL}));
    let error = daemon.err("remote-llm/stream-prompt", long).await;
    assert_eq!(error.code(), "API_CONTEXT_OVERFLOW", "{error:?}");
    let window = llama::CONTEXT_WINDOW.to_string();
    assert!(error.message.contains(&window), "{error:?}");
    // It counted the prompt, and was not sent it.
    assert!(error.message.ends_with("It was not sent."), "{error:?}");
    assert!(error.data.get("httpStatus").is_none(), "{error:?}");

    let image = json!([
        {"type": "text", "text": "What is this?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
    ]);
    let params = json!({
        "configId": CONFIG, "requestId": "q", "model": llama::MODEL,
        "messages": [{"role": "user", "content": image}],
    });
    let error = daemon.err("remote-llm/stream-prompt", params).await;
    assert_eq!(error.code(), "API_ERROR", "{error:?}");
    assert!(error.message.contains("can't see images"), "{error:?}");

    bed.configure_with(
        &daemon,
        bed.ssh_params(),
        json!({"apiEndpoint": format!("http://127.0.0.1:{}", llama.port()), "apiKey": "sk-no"}),
    )
    .await;
    let error = daemon
        .err("remote-llm/stream-prompt", question("r", llama::MODEL))
        .await;
    assert_eq!(error.code(), "API_AUTH_FAILED", "{error:?}");
    daemon.shut_down().await;
}

/// A PNG of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

#[tokio::test(flavor = "multi_thread")]
async fn a_llama_server_that_is_only_starting_is_waited_for() {
    if !llama_is_here() {
        return;
    }
    let bed = Bed::start().await;
    let llama = Llama::start_loading(&[]);
    let daemon = bed.daemon_for(llama.port(), &json!({})).await;
    let result = daemon
        .ok("remote-llm/stream-prompt", question("p", llama::MODEL))
        .await;
    assert_eq!(result["message"]["role"], "assistant", "{result:#}");
    assert!(!daemon.text("p").is_empty(), "{}", llama.log());
    daemon.shut_down().await;
}
