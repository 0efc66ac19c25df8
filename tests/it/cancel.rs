//! Stop means stop, on both sides and at once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::bed::{Bed, CONFIG, PASSWORD, prompt, read_tool, with};
use crate::support::daemon::{Answer, Daemon, Ticket};
use crate::support::llm_server::{Call, Reply, Step, script};
use crate::support::ssh_server::Greeting;

/// The contract's limit for the LLM server to see the end.
const CLOSE: Duration = Duration::from_millis(200);

/// A model that talks for ever, twenty words a second.
fn endless(bed: &Bed) {
    bed.llm.on_chat(|_| {
        Reply::Stream(vec![
            script::role(),
            Step::Tokens {
                count: None,
                every: Duration::from_millis(50),
                text: |number| format!("word{number} "),
            },
        ])
    });
}

async fn talking(bed: &Bed) -> (Daemon, Ticket) {
    endless(bed);
    let daemon = bed.configured().await;
    let ticket = daemon
        .send("remote-llm/stream-prompt", prompt("p", "Talk."))
        .await;
    daemon
        .wait_chunk("p", "the third word", |chunk| {
            chunk.kind() == "text-delta" && chunk.seq > 3
        })
        .await;
    (daemon, ticket)
}

/// What must be true once a talking prompt was cancelled at `when`.
async fn assert_cancelled(bed: &Bed, daemon: &Daemon, ticket: &Ticket, when: Instant) {
    let abandoned = bed.llm.wait(Duration::from_secs(10), |all| {
        all.iter().find_map(|exchange| exchange.abandoned)
    });
    let abandoned = abandoned.await.expect("the LLM server was left talking");
    let took = abandoned.saturating_duration_since(when);
    assert!(took <= CLOSE, "the LLM server saw it after {took:?}");

    let error = daemon.reply(ticket).await.unwrap_err();
    assert_eq!((error.number, error.code()), (-32800, "CANCELLED"));
    let partial = daemon.text("p");
    assert!(partial.starts_with("word0 word1 "), "{partial}");
    assert_eq!(error.data["partial"], partial);
    assert_eq!(error.data["requestId"], "p");
    assert!(error.data["conversationId"].is_string());
    let last = daemon.chunks("p").last().unwrap().clone();
    assert_eq!(last.kind(), "finished");
    let result = &last.event["result"];
    assert_eq!(result["stopReason"], "cancelled");
    assert_eq!(result["message"]["content"][0]["text"], partial);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_prompt_stops_the_server_within_200_ms() {
    let bed = Bed::alone().await;
    let (daemon, ticket) = talking(&bed).await;
    let when = Instant::now();
    daemon.cancel(&ticket).await;
    assert_cancelled(&bed, &daemon, &ticket, when).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_tracks_no_ids_can_cancel_too() {
    let bed = Bed::alone().await;
    let (daemon, ticket) = talking(&bed).await;
    let when = Instant::now();
    let params = json!({"requestId": "p"});
    let result = daemon.ok("remote-llm/cancel", params.clone()).await;
    assert_eq!(result["cancelled"], true);
    assert_cancelled(&bed, &daemon, &ticket, when).await;
    let again = daemon.ok("remote-llm/cancel", params).await;
    assert_eq!(again["cancelled"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_submit_prompt_tells_its_text_too() {
    let bed = Bed::start().await;
    endless(&bed);
    let daemon = bed.configured().await;
    let ticket = daemon
        .send("remote-llm/submit-prompt", prompt("p", "Talk."))
        .await;
    let asked = bed.llm.wait(Duration::from_secs(20), |all| {
        all.iter()
            .any(|exchange| !exchange.request.messages().is_empty())
            .then_some(())
    });
    asked.await.expect("the prompt reaches the server");
    // Until here no sign of the answer can be seen from outside, so it may still be empty.
    daemon.cancel(&ticket).await;
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "CANCELLED");
    assert!(error.data["partial"].is_string(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_cancelled_before_its_first_token_ends_too() {
    let bed = Bed::alone().await;
    bed.llm.on_chat(|_| Reply::Silence);
    let daemon = bed.configured().await;
    let ticket = daemon
        .send("remote-llm/stream-prompt", prompt("p", "Think."))
        .await;
    let asked = bed.llm.wait(Duration::from_secs(20), |all| {
        all.iter()
            .any(|exchange| !exchange.request.messages().is_empty())
            .then_some(())
    });
    asked.await.expect("the prompt reaches the server");
    let when = Instant::now();
    daemon.cancel(&ticket).await;
    let abandoned = bed.llm.wait(Duration::from_secs(10), |all| {
        all.iter().find_map(|exchange| exchange.abandoned)
    });
    let took = abandoned.await.unwrap().saturating_duration_since(when);
    assert!(took <= CLOSE, "the LLM server saw it after {took:?}");
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "CANCELLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_prompt_cancels_its_tool() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| {
        Reply::calls(&[Call {
            id: "a",
            name: "Read",
            arguments: &["{\"path\":\"a\"}"],
        }])
    });
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::Later);
    let params = with(prompt("p", "Read a."), &json!({"tools": [read_tool()]}));
    let ticket = daemon.send("remote-llm/stream-prompt", params).await;
    daemon.wait_question("host/execute-tool", 1).await;
    daemon.cancel(&ticket).await;
    let cancelled = daemon
        .wait("the tool to be cancelled", |traffic| {
            traffic.questions.iter().find_map(|asked| asked.cancelled)
        })
        .await;
    let reply = daemon.timed_reply(&ticket).await;
    assert_eq!(reply.outcome.unwrap_err().code(), "CANCELLED");
    assert!(cancelled <= reply.at);
    assert_eq!(bed.llm.chats().len(), 1, "nothing was sent after it");
    // A host that did not notice answers all the same.
    let asked = &daemon.questions("host/execute-tool")[0];
    daemon.answer(asked, Answer::text("too late")).await;
    daemon.ok("remote-llm/list-configs", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_cancelled_while_connecting_ends_at_once() {
    let bed = Bed::start().await;
    bed.ssh.greet(Greeting::Silent);
    let daemon = bed.configured().await;
    let ticket = daemon
        .send("remote-llm/stream-prompt", prompt("p", "Hello?"))
        .await;
    let connecting = bed.ssh.wait(Duration::from_secs(10), |seen| {
        (seen.connections == 1).then_some(())
    });
    connecting.await.expect("it connects");
    let when = Instant::now();
    daemon.cancel(&ticket).await;
    assert_eq!(daemon.reply(&ticket).await.unwrap_err().code(), "CANCELLED");
    assert!(when.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_to_the_person_is_taken_back_with_its_request() {
    let bed = Bed::start().await;
    bed.write_known_hosts("");
    let daemon = bed.configured().await;
    daemon.answer_with(|_| Answer::Later);
    let params = json!({"configId": CONFIG});
    let ticket = daemon.send("remote-llm/test-connection", params).await;
    daemon.wait_question("host/verify-host-key", 1).await;
    daemon.cancel(&ticket).await;
    assert_eq!(daemon.reply(&ticket).await.unwrap_err().code(), "CANCELLED");
    daemon
        .wait("the question to be taken back", |traffic| {
            traffic.questions.iter().find_map(|asked| asked.cancelled)
        })
        .await;
    assert!(bed.ssh.seen().auth_attempts.is_empty(), "{PASSWORD}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_prompts_go_on_when_one_is_cancelled() {
    let bed = Bed::start().await;
    let (daemon, ticket) = talking(&bed).await;
    let other = daemon
        .send("remote-llm/stream-prompt", prompt("q", "Talk too."))
        .await;
    daemon.wait_text("q").await;
    daemon.cancel(&ticket).await;
    assert_eq!(daemon.reply(&ticket).await.unwrap_err().code(), "CANCELLED");
    let before = daemon.chunks("q").len();
    daemon
        .wait_chunk("q", "more text", |chunk| chunk.seq as usize > before + 2)
        .await;
    assert_eq!(bed.ssh.seen().connections, 1);
    daemon.cancel(&other).await;
    assert_eq!(daemon.reply(&other).await.unwrap_err().code(), "CANCELLED");
    let closed = bed.ssh.wait(Duration::from_secs(5), |seen| {
        (seen.open_channels <= 1).then_some(())
    });
    assert!(closed.await.is_some(), "{:?}", bed.ssh.seen());
}
