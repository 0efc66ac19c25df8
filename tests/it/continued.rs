//! An answer that was cut short is gone on with, when the user says so.

use serde_json::{Value, json};

use crate::real::llama_is_here;
use crate::support::bed::{Bed, CONFIG, prompt, with};
use crate::support::daemon::{Answer, Daemon};
use crate::support::llm_server::{Call, Dialect, Reply, Step, script};
use crate::support::peer::llama::{self, Llama};

/// Params that go on with the conversation `c`.
fn go_on(request_id: &str) -> Value {
    json!({"configId": CONFIG, "requestId": request_id, "conversationId": "c", "continue": true})
}

/// The beginning of an answer, and no end.
fn half() -> Reply {
    Reply::Stream(vec![script::role(), script::text("Hel"), Step::Silence])
}

/// Asks, and cancels in the middle of the answer.
async fn cut_short(daemon: &Daemon, params: Value) {
    let name = params["requestId"].as_str().unwrap().to_owned();
    let params = with(params, &json!({"conversationId": "c"}));
    let ticket = daemon.send("remote-llm/stream-prompt", params).await;
    daemon.wait_text(&name).await;
    daemon.cancel(&ticket).await;
    daemon.reply(&ticket).await.unwrap_err();
}

async fn messages(daemon: &Daemon) -> Vec<Value> {
    let conversation = json!({"conversationId": "c"});
    let found = daemon.ok("remote-llm/get-conversation", conversation).await;
    found["messages"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cut_short_is_gone_on_with_after_a_restart() {
    let bed = Bed::start().await;
    bed.llm.imitate(Dialect::Vllm);
    bed.llm.on_chat(|_| half());
    let daemon = bed.configured().await;
    cut_short(&daemon, prompt("p", "Greet.")).await;
    daemon.shut_down().await;

    bed.llm.on_chat(|_| Reply::text(&["lo", "."]));
    let daemon = bed.configured().await;
    let result = daemon.ok("remote-llm/stream-prompt", go_on("q")).await;
    assert_eq!(result["message"]["content"][0]["text"], "Hello.");
    assert_eq!(daemon.text("q"), "lo.", "what was told is not told again");
    let body = bed.llm.chats().pop().unwrap().request.body;
    assert_eq!(body["continue_final_message"], true, "{body:#}");
    let last = body["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(*last, json!({"role": "assistant", "content": "Hel"}));

    let kept = messages(&daemon).await;
    assert_eq!(kept.len(), 2, "{kept:#?}");
    assert_eq!(kept[1]["content"][0]["text"], "Hello.");
    assert!(kept[1].get("partial").is_none(), "{kept:#?}");
    // It is whole now.
    let error = daemon.err("remote-llm/stream-prompt", go_on("r")).await;
    assert_eq!(error.code(), "INVALID_PARAMS", "{error:?}");
    assert_eq!(error.data["field"], "continue");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_not_gone_on_with_after_tools_ran_nor_where_the_server_cannot() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|request| match request.has_tool_result() {
        true => half(),
        false => Reply::calls(&[Call {
            id: "1",
            name: "Read",
            arguments: &[r#"{"path":"a"}"#],
        }]),
    });
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::text("a"));
    let tools = json!({"tools": [crate::support::bed::read_tool()]});
    cut_short(&daemon, with(prompt("p", "Read a."), &tools)).await;
    let error = daemon.err("remote-llm/stream-prompt", go_on("q")).await;
    assert_eq!(error.code(), "INVALID_PARAMS", "{error:?}");
    assert!(error.message.contains("tools had run"), "{error:?}");

    daemon
        .ok("remote-llm/delete-conversation", json!({"all": true}))
        .await;
    daemon.shut_down().await;
    let list = json!({"data": [{"id": "smol", "owned_by": "somebody"}]});
    bed.llm.on_any(move |request| match request.path.as_str() {
        "/v1/models" => Some(Reply::json(200, &list)),
        "/v1/chat/completions" => Some(half()),
        _ => Some(Reply::json(404, &json!({}))),
    });
    let daemon = bed.configured().await;
    cut_short(&daemon, prompt("r", "Greet.")).await;
    let asked = bed.llm.chats().len();
    let error = daemon.err("remote-llm/stream-prompt", go_on("s")).await;
    assert_eq!(error.code(), "API_CONTINUE_UNSUPPORTED", "{error:?}");
    assert_eq!(bed.llm.chats().len(), asked);
    assert_eq!(messages(&daemon).await[1]["partial"], true);
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn llama_server_goes_on_with_its_own_words() {
    if !llama_is_here() {
        return;
    }
    let bed = Bed::start().await;
    let llama = Llama::start(&[]);
    let daemon = bed.daemon_for(llama.port(), &json!({})).await;
    let count = with(
        prompt("p", "Count from one to one hundred in words."),
        &json!({"model": llama::MODEL, "temperature": 0, "maxOutputTokens": 200}),
    );
    cut_short(&daemon, count).await;
    let begun = messages(&daemon).await[1]["content"][0]["text"].clone();
    let begun = begun.as_str().unwrap().to_owned();
    let params = with(
        go_on("q"),
        &json!({"model": llama::MODEL, "temperature": 0, "maxOutputTokens": 10}),
    );
    let result = daemon.ok("remote-llm/stream-prompt", params).await;
    let whole = result["message"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(whole, format!("{begun}{}", daemon.text("q")));
    assert!(whole.len() > begun.len(), "{whole:?}");
    let kept = messages(&daemon).await;
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[1]["content"][0]["text"], whole);
    // The server read the beginning of the answer as one, not as something said before.
    let read = result["usage"]["inputTokens"].as_u64().unwrap_or_default()
        + result["usage"]["cacheReadTokens"]
            .as_u64()
            .unwrap_or_default();
    assert!(read < 200, "{}", result["usage"]);
    daemon.shut_down().await;
}
