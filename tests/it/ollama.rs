//! Ollama by its own API: what is asked of it, and what its answers mean.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, prompt, read_tool, with};
use crate::support::daemon::{Answer, Daemon};
use crate::support::llm_server::{Dialect, Reply, Request, Step, ollama};

async fn stream(daemon: &Daemon, params: Value) -> Value {
    daemon.ok("remote-llm/stream-prompt", params).await
}

fn only_chat(bed: &Bed) -> Request {
    let [chat] = &bed.llm.chats()[..] else {
        panic!("{:?}", bed.llm.chats());
    };
    chat.request.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_asks_ollama_by_its_own_api_for_the_context_that_is_loaded() {
    let bed = Bed::start().await;
    bed.llm.imitate(Dialect::Ollama);
    let daemon = bed.configured_with(&json!({"apiType": "auto"})).await;
    let result = stream(&daemon, prompt("p", "Hi.")).await;
    assert_eq!(
        result["message"]["content"][0]["text"],
        "Hello from Ollama."
    );
    assert_eq!(result["stopReason"], "end_turn");
    assert_eq!(result["rawFinishReason"], "stop");
    assert_eq!(result["usage"]["inputTokens"], 12);
    assert_eq!(result["usage"]["outputTokens"], 3);
    assert_eq!(result["warnings"], json!([]));
    let request = only_chat(&bed);
    assert_eq!(request.path, ollama::CHAT);
    assert_eq!(request.body["options"], json!({"num_ctx": 4096}));
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_asks_everybody_else_by_the_openai_compatible_api() {
    let bed = Bed::start().await;
    for dialect in [Dialect::LlamaCpp, Dialect::Vllm] {
        bed.llm.imitate(dialect);
        let daemon = bed.configured_with(&json!({"apiType": "auto"})).await;
        let result = stream(&daemon, prompt("p", "Hi.")).await;
        assert_eq!(result["stopReason"], "end_turn");
    }
    for chat in bed.llm.chats() {
        assert_eq!(chat.request.path, "/v1/chat/completions");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_run_with_the_object_it_was_called_with_and_its_result_goes_back_by_its_name() {
    let bed = Bed::start().await;
    bed.llm.imitate(Dialect::Ollama);
    bed.llm.on_chat(|request| {
        if request.has_tool_result() {
            return ollama::text(&["Done."]);
        }
        ollama::calls(&[
            ("Read", json!({"path": "a", "lines": [1, 2]})),
            ("Read", json!({"path": "b"})),
        ])
    });
    let daemon = bed.configured_with(&json!({"apiType": "ollama"})).await;
    daemon.answer_with(|question| {
        let path = question.params["input"]["path"].as_str().unwrap();
        Answer::text(&format!("this is {path}"))
    });
    let params = with(prompt("p", "Read them."), &json!({"tools": [read_tool()]}));
    let result = stream(&daemon, params).await;
    assert_eq!(
        (&result["rounds"], &result["toolCalls"]),
        (&json!(2), &json!(2))
    );
    let asked = daemon.questions("host/execute-tool");
    let ids: HashSet<_> = asked
        .iter()
        .map(|asked| asked.question.params["toolCallId"].to_string())
        .collect();
    assert_eq!(ids.len(), 2, "each has an id of its own: {ids:?}");
    let second = bed.llm.chats().pop().unwrap().request;
    assert_eq!(
        second.messages()[1..],
        [
            json!({"role": "assistant", "content": "", "tool_calls": [
                {"function": {"name": "Read", "arguments": {"path": "a", "lines": [1, 2]}}},
                {"function": {"name": "Read", "arguments": {"path": "b"}}},
            ]}),
            json!({"role": "tool", "tool_name": "Read", "content": "this is a"}),
            json!({"role": "tool", "tool_name": "Read", "content": "this is b"}),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_within_an_answer_fails_it_with_the_servers_sentence_and_the_text_so_far() {
    let bed = Bed::start().await;
    bed.llm.imitate(Dialect::Ollama);
    bed.llm.on_chat(|_| {
        Reply::Lines(vec![
            ollama::message(&json!({"content": "Half"})),
            ollama::error("an error was encountered while running the model: CUDA error"),
        ])
    });
    let daemon = bed.configured_with(&json!({"apiType": "ollama"})).await;
    let error = daemon
        .err("remote-llm/stream-prompt", prompt("p", "Hi."))
        .await;
    assert_eq!(error.code(), "API_ERROR");
    assert!(error.message.contains("CUDA error"), "{error:?}");
    assert_eq!(error.data["partial"], "Half");
    assert_eq!(bed.llm.chats().len(), 1, "it is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_profile_asks_for_is_sent_and_what_the_model_thinks_is_told() {
    let bed = Bed::start().await;
    bed.llm.on_any(|request| {
        Some(match request.path.as_str() {
            "/api/version" => Reply::json(200, &json!({"version": "0.12.6"})),
            "/api/show" => Reply::json(
                200,
                &json!({"capabilities": ["completion", "thinking", "vision"]}),
            ),
            "/api/ps" => Reply::json(200, &json!({"models": []})),
            ollama::CHAT => Reply::Lines(vec![
                ollama::message(&json!({"content": "", "thinking": "A cat"})),
                ollama::message(&json!({"content": "", "thinking": "?"})),
                ollama::message(&json!({"content": "A ca"})),
                ollama::done("length", 800, 2),
            ]),
            _ => return None,
        })
    });
    let settings = json!({"numCtx": 8192, "keepAlive": -1, "think": "low"});
    let daemon = bed
        .configured_with(&json!({"apiType": "ollama", "ollama": settings}))
        .await;
    let image = json!({
        "type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
    });
    let question = json!({"type": "text", "text": "What is it?"});
    let messages = json!([{"role": "user", "content": [question, image]}]);
    let params = with(
        prompt("p", ""),
        &json!({"messages": messages, "maxOutputTokens": 2}),
    );
    let result = stream(&daemon, params).await;

    let body = only_chat(&bed).body;
    assert_eq!(
        body,
        json!({
            "model": "smol",
            "messages": [{"role": "user", "content": "What is it?", "images": ["iVBORw0KGgo="]}],
            "think": "low", "keep_alive": -1, "truncate": false, "shift": false, "stream": true,
            "options": {"num_predict": 2, "num_ctx": 8192},
        })
    );
    assert_eq!(result["message"]["content"][0]["thinking"], "A cat?");
    assert_eq!(result["message"]["content"][1]["text"], "A ca");
    assert_eq!(result["stopReason"], "max_tokens");
    assert_eq!(result["rawFinishReason"], "length");
    let chunks = daemon.chunks("p");
    let loading = chunks
        .iter()
        .position(|chunk| chunk.event["phase"] == "loading-model");
    let thought = chunks
        .iter()
        .position(|chunk| chunk.kind() == "reasoning-delta");
    assert!(loading.unwrap() < thought.unwrap(), "{chunks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_will_be_cut_is_warned_of_before_anything_is_said() {
    let bed = Bed::start().await;
    bed.llm.imitate(Dialect::Ollama);
    for (api_type, advice) in [
        ("openai-compatible", "llm.apiType to ollama"),
        // 0.6.2 cannot be told to refuse.
        ("ollama", "llm.ollama.numCtx to 8192"),
    ] {
        let daemon = bed.configured_with(&json!({"apiType": api_type})).await;
        let config = json!({"configId": CONFIG});
        daemon.ok("remote-llm/list-models", config).await;
        let result = stream(&daemon, prompt("p", &"x".repeat(20_000))).await;
        let told = result["warnings"][0].as_str().unwrap();
        assert!(told.contains("a context of 4096"), "{told}");
        assert!(told.contains(advice), "{told}");
        let kinds = daemon.kinds("p");
        let at = |kind: &str| kinds.iter().position(|known| known == kind).unwrap();
        assert!(at("warning") < at("text-delta"), "{kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_ollama_refuses_to_cut_is_an_overflow_with_its_numbers() {
    let bed = Bed::start().await;
    bed.llm.imitate(Dialect::Ollama);
    let inner = json!({"error": {
        "code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 5008, "n_ctx": 4096,
        "message": "request (5008 tokens) exceeds the available context size (4096 tokens), try increasing it",
    }});
    let body = json!({"error": inner.to_string()});
    bed.llm.on_chat(move |_| Reply::json(400, &body));
    let daemon = bed.configured_with(&json!({"apiType": "auto"})).await;
    let error = daemon
        .err("remote-llm/stream-prompt", prompt("p", "Hi."))
        .await;
    assert_eq!(error.code(), "API_CONTEXT_OVERFLOW");
    assert!(
        error.message.contains("5008") && error.message.contains("4096"),
        "{error:?}"
    );
    assert!(!error.message.contains('{'), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_without_done_is_not_finished() {
    let bed = Bed::start().await;
    bed.llm.imitate(Dialect::Ollama);
    bed.llm
        .on_chat(|_| Reply::Lines(vec![ollama::message(&json!({"content": "Half"}))]));
    let daemon = bed.configured_with(&json!({"apiType": "ollama"})).await;
    let error = daemon
        .err("remote-llm/stream-prompt", prompt("p", "Hi."))
        .await;
    assert_eq!(error.code(), "STREAM_INTERRUPTED");
    assert_eq!(error.data["partial"], "Half");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_prompt_closes_its_connection_to_ollama() {
    let bed = Bed::start().await;
    bed.llm.imitate(Dialect::Ollama);
    bed.llm.on_chat(|_| {
        Reply::Lines(vec![
            ollama::message(&json!({"content": "Half"})),
            Step::Silence,
        ])
    });
    let daemon = bed.configured_with(&json!({"apiType": "ollama"})).await;
    let ticket = daemon
        .send("remote-llm/stream-prompt", prompt("p", "Hi."))
        .await;
    daemon.wait_text("p").await;
    daemon.cancel(&ticket).await;
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "CANCELLED");
    let abandoned = bed.llm.wait(Duration::from_secs(10), |all| {
        let chat = all
            .iter()
            .find(|exchange| exchange.request.path == ollama::CHAT);
        chat?.abandoned
    });
    assert!(abandoned.await.is_some(), "Ollama was left talking");
}
