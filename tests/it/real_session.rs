//! A whole session with a real model: turns, a forced tool call in each, and a new daemon in the
//! middle.

use serde_json::{Value, json};

use crate::real::{llama_is_here, read_files};
use crate::support::bed::{Bed, CONFIG, with};
use crate::support::daemon::Daemon;
use crate::support::peer::llama::{self, Llama};

async fn daemon(bed: &Bed, llama: &Llama) -> Daemon {
    let daemon = bed.daemon_for(llama.port(), &json!({})).await;
    read_files(&daemon);
    daemon
}

fn read_tokens(usage: &Value) -> (u64, u64) {
    let count = |field: &str| usage[field].as_u64().unwrap_or_default();
    (count("inputTokens"), count("cacheReadTokens"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_forced_tool_calls_goes_on_in_another_daemon() {
    if !llama_is_here() {
        return;
    }
    let bed = Bed::start().await;
    let llama = Llama::start(&[]);
    let file = bed.path("project/notes.txt");
    let path = file.to_str().unwrap();
    let turn = |request_id: &str, tool_choice: &str, messages: Value| {
        let session = json!({
            "configId": CONFIG, "requestId": request_id, "conversationId": "c",
            "model": llama::MODEL, "toolChoice": tool_choice, "maxOutputTokens": 200,
            "messages": messages,
        });
        with(llama::read_tool_prompt(path), &session)
    };
    let examples = llama::read_tool_prompt(path)["messages"].clone();

    std::fs::write(&file, "The puffin is orange.").unwrap();
    let first = daemon(&bed, &llama).await;
    let result = first
        .ok(
            "remote-llm/stream-prompt",
            turn("one", "required", examples),
        )
        .await;
    assert_eq!(result["rounds"], 2, "{result:#}");
    assert!(first.text("one").contains("orange"), "{result:#}");
    first.shut_down().await;

    std::fs::write(&file, "The puffin is green.").unwrap();
    let second = daemon(&bed, &llama).await;
    let again = json!([{"role": "user", "content": format!("Read the file {path}.")}]);
    let result = second
        .ok("remote-llm/stream-prompt", turn("two", "required", again))
        .await;
    assert_eq!(result["rounds"], 2, "{result:#}");
    let calls = second.questions("host/execute-tool");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].question.params["input"], json!({"path": path}));
    assert!(second.text("two").contains("green"), "{result:#}");
    // The server finds all that the first daemon sent as it was, and reads only what is new.
    let (new, cached) = read_tokens(&result["usage"]["perRound"][0]);
    assert!(cached > 3 * new, "{}", result["usage"]);

    let thanks = json!([{"role": "user", "content": "Thank you."}]);
    let result = second
        .ok("remote-llm/stream-prompt", turn("three", "none", thanks))
        .await;
    assert_eq!(result["rounds"], 1, "{result:#}");
    let kept = second
        .ok(
            "remote-llm/get-conversation",
            json!({"conversationId": "c"}),
        )
        .await;
    let blocks = |kind: &str| {
        let messages = kept["messages"].as_array().unwrap().iter();
        let blocks = messages.flat_map(|message| message["content"].as_array().unwrap());
        blocks.filter(|block| block["type"] == kind).count()
    };
    // Three examples, and a call in each of two turns.
    assert_eq!((blocks("tool_use"), blocks("tool_result")), (5, 5));
    second.shut_down().await;
}
