//! What a request to an LLM server says besides the prompt.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::bed::{Bed, prompt, with};
use crate::support::llm_server::{Exchange, Reply};

/// The requests for an answer of one prompt, the first of which is refused for now.
async fn chats(bed: &Bed, llm: &Value) -> Vec<Exchange> {
    let asked = AtomicUsize::new(0);
    bed.llm
        .on_chat(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::json(503, &json!({"error": {"message": "the queue is full"}})),
            _ => Reply::text(&["hi"]),
        });
    let daemon = bed.daemon().await;
    let llm = with(bed.llm_params(), llm);
    bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    let params = json!({"model": "smol", "conversationId": "c1"});
    let params = with(prompt("p", "Hi."), &params);
    daemon.ok("remote-llm/submit-prompt", params).await;
    bed.llm.chats()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conversation_is_named_alike_in_every_attempt() {
    let bed = Bed::start().await;
    let llm = json!({"headers": {"X-Dynamo-Session-ID": "puffin/{conversationId}"}});
    let chats = chats(&bed, &llm).await;
    assert_eq!(chats.len(), 2);
    for chat in chats {
        let header = |name| chat.request.header(name);
        assert_eq!(header("x-session-id"), Some("c1"));
        assert_eq!(header("x-dynamo-session-id"), Some("puffin/c1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_can_switch_the_affinity_header_off_and_name_the_host() {
    let bed = Bed::start().await;
    let llm = json!({"affinityHeader": "", "hostHeader": "llm.internal"});
    for chat in chats(&bed, &llm).await {
        assert_eq!(chat.request.header("x-session-id"), None);
        assert_eq!(chat.request.header("host"), Some("llm.internal"));
    }
}
