//! Ollama by its own API: when it is chosen, what is asked of it, and what its answers mean.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, prompt, read_tool, with};
use crate::support::daemon::{Answer, Daemon};
use crate::support::llm_server::{Dialect, Reply, Request, ollama};

/// A daemon whose profile has these `llm` fields, and `smol` selected.
async fn with_llm(bed: &Bed, llm: &Value) -> Daemon {
    let daemon = bed.daemon().await;
    let llm = with(bed.llm_params(), llm);
    bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    let params = json!({"configId": CONFIG, "modelId": "smol"});
    daemon.ok("remote-llm/select-model", params).await;
    daemon
}

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
async fn what_a_profile_asks_of_ollama_is_kept_shown_and_checked() {
    let bed = Bed::start().await;
    let settings = json!({"numCtx": 8192, "keepAlive": "10m", "think": "high"});
    let daemon = with_llm(&bed, &json!({"apiType": "ollama", "ollama": settings})).await;
    daemon.shut_down().await;
    let daemon = bed.daemon().await;
    let config = json!({"configId": CONFIG});
    let view = daemon.ok("remote-llm/get-config", config).await;
    assert_eq!(view["llm"]["apiType"], "ollama");
    assert_eq!(view["llm"]["ollama"], settings);
    assert_eq!(view["warnings"], json!([]));

    for (wrong, code, field, allowed) in [
        (
            json!({"numCtx": 100}),
            "CONFIG_INVALID",
            "llm.ollama.numCtx",
            "256",
        ),
        (
            json!({"keepAlive": "soon"}),
            "CONFIG_INVALID",
            "llm.ollama.keepAlive",
            "10m",
        ),
        (
            json!({"keepAlive": 1.5}),
            "INVALID_PARAMS",
            "llm.ollama.keepAlive",
            "10m",
        ),
        (
            json!({"think": "loudly"}),
            "INVALID_PARAMS",
            "llm.ollama.think",
            "low, medium, high, max",
        ),
    ] {
        let llm = with(bed.llm_params(), &json!({"ollama": wrong}));
        let params = json!({"configId": CONFIG, "llm": llm});
        let error = daemon.err("remote-llm/configure", params).await;
        assert_eq!(error.code(), code, "{error:?}");
        assert_eq!(error.data["field"], field, "{error:?}");
        assert!(error.message.contains(allowed), "{error:?}");
    }

    let llm = with(bed.llm_params(), &json!({"ollama": settings}));
    let view = bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    let warning = view["warnings"][0].as_str().unwrap();
    assert!(warning.contains("no effect"), "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn which_api_is_used_is_told_with_its_reason() {
    let bed = Bed::start().await;
    for (dialect, asked, used, reason) in [
        (
            Dialect::Ollama,
            "auto",
            "ollama",
            "the server is Ollama 0.6.2",
        ),
        (
            Dialect::Ollama,
            "openai-compatible",
            "openai-compatible",
            "the profile asks for it; the server is Ollama 0.6.2",
        ),
        (
            Dialect::Vllm,
            "auto",
            "openai-compatible",
            "the server is vllm 0.32.0",
        ),
        (Dialect::Vllm, "ollama", "ollama", "looks like vllm"),
    ] {
        bed.llm.imitate(dialect);
        let daemon = with_llm(&bed, &json!({"apiType": asked})).await;
        let config = json!({"configId": CONFIG});
        let models = daemon.ok("remote-llm/list-models", config.clone()).await;
        let tested = daemon.ok("remote-llm/test-connection", config).await;
        for server in [&models["server"], &tested["server"]] {
            assert_eq!(server["apiType"], used, "{asked}: {server}");
            let told = server["apiTypeReason"].as_str().unwrap();
            assert!(told.contains(reason), "{asked}: {told}");
        }
        let stages = tested["stages"].as_array().unwrap();
        let server = stages.iter().find(|stage| stage["name"] == "server");
        let detail = server.unwrap()["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{asked}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_asks_ollama_by_its_own_api_for_the_context_that_is_loaded() {
    let bed = Bed::start().await;
    bed.llm.imitate(Dialect::Ollama);
    let daemon = with_llm(&bed, &json!({"apiType": "auto"})).await;
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
        let daemon = with_llm(&bed, &json!({"apiType": "auto"})).await;
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
    let daemon = with_llm(&bed, &json!({"apiType": "ollama"})).await;
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
    let daemon = with_llm(&bed, &json!({"apiType": "ollama"})).await;
    let error = daemon
        .err("remote-llm/stream-prompt", prompt("p", "Hi."))
        .await;
    assert_eq!(error.code(), "API_ERROR");
    assert!(error.message.contains("CUDA error"), "{error:?}");
    assert_eq!(error.data["partial"], "Half");
    assert_eq!(bed.llm.chats().len(), 1, "it is not asked again");
}
