//! A cut stream is a failure with the text so far, at once, and never an answer.

use std::time::{Duration, Instant};

use crate::support::bed::{Bed, prompt};
use crate::support::daemon::{Daemon, Ticket};
use crate::support::llm_server::{Reply, Step, script};

/// The contract's limit.
const TOLD: Duration = Duration::from_secs(1);

async fn talking(bed: &Bed, end: Step) -> (Daemon, Ticket) {
    bed.llm.on_chat(move |_| {
        Reply::Stream(vec![
            script::role(),
            script::text("so "),
            script::text("far"),
            end.clone(),
        ])
    });
    let daemon = bed.configured().await;
    let ticket = daemon
        .send("remote-llm/stream-prompt", prompt("p", "Talk."))
        .await;
    (daemon, ticket)
}

async fn wait_so_far(daemon: &Daemon) {
    daemon
        .wait("both words", |traffic| {
            let chunks = traffic.chunks.get("p")?;
            let text: String = chunks
                .iter()
                .filter_map(|chunk| chunk.event["text"].as_str())
                .collect();
            (text == "so far").then_some(())
        })
        .await;
}

async fn assert_interrupted(daemon: &Daemon, ticket: &Ticket, since: Option<Instant>) {
    let reply = daemon.timed_reply(ticket).await;
    let error = reply.outcome.unwrap_err();
    assert_eq!(error.code(), "STREAM_INTERRUPTED", "{error:?}");
    assert_eq!(error.data["partial"], "so far");
    assert_eq!(error.data["retryable"], false, "nothing is sent twice");
    let chunks = daemon.chunks("p");
    let last = chunks.last().unwrap();
    assert_eq!(last.kind(), "failed");
    assert_eq!(last.event["error"]["data"]["code"], "STREAM_INTERRUPTED");
    assert_eq!(last.event["error"]["data"]["partial"], "so far");
    assert!(chunks.iter().all(|chunk| chunk.kind() != "finished"));
    if let Some(since) = since {
        let took = last.at.saturating_duration_since(since);
        assert!(took <= TOLD, "told after {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_ssh_connection_is_told_within_a_second() {
    let bed = Bed::alone().await;
    let (daemon, ticket) = talking(&bed, Step::Silence).await;
    wait_so_far(&daemon).await;
    let when = Instant::now();
    bed.ssh.cut();
    assert_interrupted(&daemon, &ticket, Some(when)).await;
    assert_eq!(bed.llm.chats().len(), 1, "it was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cut_in_the_middle_of_a_chunk_is_told() {
    let bed = Bed::alone().await;
    let (daemon, ticket) = talking(&bed, Step::Cut).await;
    assert_interrupted(&daemon, &ticket, None).await;
    assert_eq!(bed.llm.chats().len(), 1, "it was sent again");
}

/// A proper end of the HTTP body is not yet the end of an answer: that takes a finish reason.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_finish_reason_is_no_answer() {
    let bed = Bed::start().await;
    let (daemon, ticket) = talking(&bed, Step::End).await;
    assert_interrupted(&daemon, &ticket, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_of_a_lost_connection_is_told() {
    let bed = Bed::alone().await;
    let (daemon, ticket) = talking(&bed, Step::Silence).await;
    let mut others = Vec::new();
    for name in ["q", "r", "s"] {
        let ticket = daemon.send("remote-llm/stream-prompt", prompt(name, "Talk."));
        others.push((name, ticket.await));
        daemon.wait_text(name).await;
    }
    wait_so_far(&daemon).await;
    let when = Instant::now();
    bed.ssh.cut();
    assert_interrupted(&daemon, &ticket, Some(when)).await;
    for (name, ticket) in &others {
        let error = daemon.reply(ticket).await.unwrap_err();
        assert_eq!(error.code(), "STREAM_INTERRUPTED", "{name}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_after_a_lost_connection_gets_its_answer() {
    let bed = Bed::start().await;
    let (daemon, ticket) = talking(&bed, Step::Silence).await;
    wait_so_far(&daemon).await;
    bed.ssh.cut();
    assert_interrupted(&daemon, &ticket, None).await;
    bed.llm.on_chat(|_| Reply::text(&["Here I am."]));
    daemon
        .ok("remote-llm/stream-prompt", prompt("q", "Still there?"))
        .await;
    assert_eq!(daemon.text("q"), "Here I am.");
    assert_eq!(bed.ssh.seen().connections, 2);
}

/// Nothing is read or written any more while TCP stays up; only keepalives can notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_machine_is_noticed_by_keepalives() {
    let bed = Bed::start().await;
    let (daemon, ticket) = {
        bed.llm.on_chat(|_| {
            Reply::Stream(vec![
                script::role(),
                script::text("so "),
                script::text("far"),
                Step::Silence,
            ])
        });
        let daemon = bed.daemon().await;
        let mut ssh = bed.ssh_params();
        ssh["keepaliveInterval"] = 500.into();
        ssh["keepaliveCountMax"] = 2.into();
        bed.configure_with(&daemon, ssh, bed.llm_params()).await;
        let mut params = prompt("p", "Talk.");
        params["model"] = "smol".into();
        let ticket = daemon.send("remote-llm/stream-prompt", params).await;
        (daemon, ticket)
    };
    wait_so_far(&daemon).await;
    bed.ssh.freeze();
    let when = Instant::now();
    assert_interrupted(&daemon, &ticket, None).await;
    assert!(when.elapsed() < Duration::from_secs(15));
}
