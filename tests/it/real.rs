//! The same main job against real peers: OpenSSH's sshd, dropbear, asyncssh and the in-process
//! server, with llama.cpp's llama-server and a small model answering.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, by_key, prompt, with};
use crate::support::daemon::{Answer, Daemon};
use crate::support::llm_server::{Reply, Step, script};
use crate::support::peer::asyncssh::{self, AsyncSsh};
use crate::support::peer::dropbear::{self, Dropbear};
use crate::support::peer::is_here;
use crate::support::peer::llama::{self, Llama};
use crate::support::peer::sshd::{self, Sshd};

/// What the file says that the model is to read.
pub(crate) const FILE: &str = "The puffin is orange.";

/// Params for a key of a real server, which becomes known.
pub(crate) fn by_sshd(bed: &Bed, sshd: &Sshd) -> Value {
    bed.write_known_hosts(&sshd.host_key_line());
    by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519)
}

/// A host that reads the files it is asked for.
pub(crate) fn read_files(daemon: &Daemon) {
    daemon.answer_with(|question| {
        let path = question.params["input"]["path"].as_str();
        match std::fs::read_to_string(path.unwrap_or_default()) {
            Ok(text) => Answer::text(&text),
            Err(error) => Answer::tool_failure(&error.to_string()),
        }
    });
}

/// Everything a user does, over this SSH server, with a real model.
async fn main_job(bed: &Bed, ssh: Value, llama: &Llama) {
    let file = bed.path("project/notes.txt");
    std::fs::write(&file, FILE).unwrap();
    let daemon = bed.daemon().await;
    read_files(&daemon);
    let llm = json!({"apiEndpoint": format!("http://127.0.0.1:{}", llama.port())});
    bed.configure_with(&daemon, ssh, llm).await;
    let config = json!({"configId": CONFIG});
    let tested = daemon
        .ok("remote-llm/test-connection", config.clone())
        .await;
    assert_eq!(tested["success"], true, "{tested:#}");

    let models = daemon.ok("remote-llm/list-models", config).await;
    assert_eq!(models["server"]["kind"], "llama.cpp");
    let model = &models["models"][0];
    assert_eq!(model["id"], llama::MODEL);
    assert_eq!(
        model["contextWindow"]["effective"],
        llama::CONTEXT_WINDOW,
        "{model:#}"
    );
    daemon
        .ok(
            "remote-llm/select-model",
            json!({"configId": CONFIG, "modelId": llama::MODEL}),
        )
        .await;

    let params = with(
        llama::read_tool_prompt(file.to_str().unwrap()),
        &json!({
            "configId": CONFIG, "requestId": "main", "toolChoice": "required",
            "maxOutputTokens": 200,
        }),
    );
    let result = daemon.ok("remote-llm/stream-prompt", params).await;
    let asked = daemon.questions("host/execute-tool");
    assert_eq!(asked.len(), 1, "{result:#}\n{}", llama.log());
    assert_eq!(
        asked[0].question.params["input"],
        json!({"path": file.to_str().unwrap()})
    );
    assert_eq!(result["stopReason"], "end_turn", "{result:#}");
    assert_eq!(result["rounds"], 2);
    let text = daemon.text("main");
    assert!(text.contains("puffin is orange"), "{text}");
    let deltas = daemon.chunks("main");
    let deltas = deltas.iter().filter(|chunk| chunk.kind() == "text-delta");
    assert!(deltas.count() > 1, "the answer was not streamed: {text}");
    let usage = &result["usage"];
    assert!(usage["outputTokens"].as_u64().unwrap() > 3, "{usage}");
    assert!(usage["inputTokens"].is_u64(), "{usage}");
    daemon.shut_down().await;
}

pub(crate) fn llama_is_here() -> bool {
    is_here("llama-server", llama::available())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_runs_over_openssh() {
    if !is_here("sshd", sshd::available()) || !llama_is_here() {
        return;
    }
    let bed = Bed::start().await;
    let (sshd, llama) = (Sshd::start(&[]), Llama::start(&[]));
    main_job(&bed, by_sshd(&bed, &sshd), &llama).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_runs_over_dropbear() {
    if !is_here("dropbear", dropbear::available()) || !llama_is_here() {
        return;
    }
    let bed = Bed::start().await;
    let (dropbear, llama) = (Dropbear::start(&[]), Llama::start(&[]));
    bed.write_known_hosts(&dropbear.host_key_line());
    let ssh = by_key(dropbear.username(), dropbear.port(), &dropbear.keys.ed25519);
    main_job(&bed, ssh, &llama).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_runs_over_asyncssh() {
    if !is_here("asyncssh", asyncssh::available()) || !llama_is_here() {
        return;
    }
    let bed = Bed::start().await;
    let (server, llama) = (AsyncSsh::start(&json!({})), Llama::start(&[]));
    bed.write_known_hosts(&server.host_key_line());
    let ssh = by_key(asyncssh::USER, server.port(), &server.keys.ed25519);
    main_job(&bed, ssh, &llama).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_runs_over_the_in_process_server() {
    if !llama_is_here() {
        return;
    }
    let bed = Bed::start().await;
    let llama = Llama::start(&[]);
    main_job(&bed, bed.ssh_params(), &llama).await;
}

// --- what sshd does besides -----------------------------------------------------------------

async fn talking_over(bed: &Bed, ssh: Value) -> (Daemon, crate::support::daemon::Ticket) {
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
    let daemon = bed.daemon().await;
    bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    let params = with(prompt("p", "Talk."), &json!({"model": "smol"}));
    let ticket = daemon.send("remote-llm/stream-prompt", params).await;
    daemon
        .wait_chunk("p", "some words", |chunk| {
            chunk.kind() == "text-delta" && chunk.seq > 4
        })
        .await;
    (daemon, ticket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_openssh_session_interrupts_the_stream_within_a_second() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::alone().await;
    let sshd = Sshd::start(&[]);
    let (daemon, ticket) = talking_over(&bed, by_sshd(&bed, &sshd)).await;
    sshd.kill_sessions();
    let when = Instant::now();
    let reply = daemon.timed_reply(&ticket).await;
    let error = reply.outcome.unwrap_err();
    assert_eq!(error.code(), "STREAM_INTERRUPTED", "{error:?}");
    assert_eq!(error.data["partial"], daemon.text("p"));
    let took = reply.at.saturating_duration_since(when);
    assert!(took <= Duration::from_secs(1), "{took:?}");
    assert_eq!(daemon.chunks("p").last().unwrap().kind(), "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asyncssh_that_cuts_the_connection_interrupts_the_stream() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let abort = bed.path("abort");
    let server = AsyncSsh::start(&json!({"abortFile": abort}));
    bed.write_known_hosts(&server.host_key_line());
    let ssh = by_key(asyncssh::USER, server.port(), &server.keys.ed25519);
    let (daemon, ticket) = talking_over(&bed, ssh).await;
    std::fs::write(&abort, "").unwrap();
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "STREAM_INTERRUPTED", "{error:?}");
    assert_eq!(error.data["partial"], daemon.text("p"));
    assert_eq!(server.count("login"), 1, "nothing is sent twice");
    assert_eq!(bed.llm.chats().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_the_server_through_openssh_within_200_ms() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::alone().await;
    let sshd = Sshd::start(&[]);
    let (daemon, ticket) = talking_over(&bed, by_sshd(&bed, &sshd)).await;
    let when = Instant::now();
    daemon.cancel(&ticket).await;
    let abandoned = bed.llm.wait(Duration::from_secs(10), |all| {
        all.iter().find_map(|exchange| exchange.abandoned)
    });
    let took = abandoned.await.unwrap().saturating_duration_since(when);
    assert!(took <= Duration::from_millis(200), "{took:?}");
    assert_eq!(daemon.reply(&ticket).await.unwrap_err().code(), "CANCELLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_prompts_share_one_openssh_connection() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::alone().await;
    let sshd = Sshd::start(&[]);
    let daemon = bed.daemon().await;
    let ssh = by_sshd(&bed, &sshd);
    bed.configure_with(&daemon, ssh, bed.llm_params()).await;
    let mut tickets = Vec::new();
    for number in 0..200 {
        let params = prompt(&format!("p{number}"), "Hello?");
        let params = with(params, &json!({"model": "smol"}));
        tickets.push(daemon.send("remote-llm/stream-prompt", params).await);
    }
    for ticket in &tickets {
        daemon.reply(ticket).await.unwrap();
    }
    for number in 0..200 {
        let text = daemon.text(&format!("p{number}"));
        assert_eq!(text, "Hello from the scripted server.");
    }
    let log = sshd.log();
    let logins = log
        .lines()
        .filter(|line| line.contains("Accepted publickey"));
    assert_eq!(logins.count(), 1, "{log}");
}
