//! Requests that fail are sent again where that is harmless, told before it happens, and never
//! where anything was said or done.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::{Bed, prompt, read_tool, with};
use crate::support::daemon::{Answer, Daemon, RpcError};
use crate::support::llm_server::{Call, Reply, Step, script};
use crate::support::ssh_server::Forwarding;

/// Each request is answered by the next reply, all after the last one by that.
fn replies(bed: &Bed, replies: Vec<Reply>) {
    let next = AtomicUsize::new(0);
    bed.llm.on_chat(move |_| {
        let number = next.fetch_add(1, Ordering::SeqCst);
        replies[number.min(replies.len() - 1)].clone()
    });
}

fn hello() -> Reply {
    Reply::text(&["Hello", " again."])
}

fn busy(status: u16, retry_after: &str) -> Reply {
    let Reply::Full {
        status,
        content_type,
        body,
        ..
    } = Reply::error(status, "one after the other")
    else {
        unreachable!("an error is told at once");
    };
    Reply::Full {
        status,
        content_type,
        headers: vec![("Retry-After", retry_after.to_owned())],
        body,
    }
}

/// Saves the profile anew with these fields: what the daemon remembers of the server is gone, the
/// resends of the last minute among it.
async fn configure(bed: &Bed, daemon: &Daemon, llm: &Value) {
    let llm = with(bed.llm_params(), llm);
    bed.configure_with(daemon, bed.ssh_params(), llm).await;
}

/// A prompt that names its model.
fn ask(name: &str) -> Value {
    with(prompt(name, "Hello?"), &json!({"model": "smol"}))
}

async fn fails(daemon: &Daemon, name: &str) -> RpcError {
    daemon.err("remote-llm/stream-prompt", ask(name)).await
}

fn warnings(daemon: &Daemon, name: &str) -> Vec<String> {
    daemon
        .chunks(name)
        .iter()
        .filter(|chunk| chunk.kind() == "warning")
        .map(|chunk| chunk.event["message"].as_str().unwrap().to_owned())
        .collect()
}

fn position(bytes: &[u8], part: &str) -> usize {
    let part = part.as_bytes();
    let mut windows = bytes.windows(part.len());
    windows.position(|window| window == part).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cut_before_its_first_word_is_asked_for_once_more() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let whole = hello().into_bytes().await;
    let head = position(&whole, "\r\n\r\n");
    let word = position(&whole, "Hello");
    for after in [0, 1, 12, head, head + 4, head + 10, word - 1, word + 5] {
        configure(&bed, &daemon, &json!({})).await;
        let before = bed.llm.chats().len();
        replies(&bed, vec![Reply::Broken(whole[..after].to_vec()), hello()]);
        let name = format!("once-{after}");
        let result = daemon.ok("remote-llm/stream-prompt", ask(&name)).await;
        assert_eq!(daemon.text(&name), "Hello again.");
        assert_eq!(result["message"]["content"][0]["text"], "Hello again.");
        assert_eq!(result["rounds"], 1);
        let told = warnings(&daemon, &name);
        assert_eq!(result["warnings"], json!(told));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("sent again at once (attempt 2)"),
            "{told:?}"
        );
        let chats = bed.llm.chats().split_off(before);
        let [first, second] = &chats[..] else {
            panic!("cut after {after}: {} requests", chats.len());
        };
        assert_eq!(first.request.body, second.request.body);
        let id = |chat: &crate::support::llm_server::Exchange| {
            chat.request.header("x-request-id").unwrap().to_owned()
        };
        assert_eq!(id(first), id(second));

        replies(&bed, vec![Reply::Broken(whole[..after].to_vec())]);
        let error = fails(&daemon, &format!("always-{after}")).await;
        let code = match after {
            after if after < head + 4 => "API_UNAVAILABLE",
            _ => "STREAM_INTERRUPTED",
        };
        assert_eq!(error.code(), code, "cut after {after}: {error:?}");
        assert_eq!(error.data["partial"], "");
        assert_eq!(bed.llm.chats().len(), before + 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cut_after_its_first_word_is_not_asked_for_again() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let whole = hello().into_bytes().await;
    // The event with the word ends with its chunk.
    let word = position(&whole, "Hello");
    let told = word + position(&whole[word..], "\n\n") + 2;
    let finish = position(&whole, "\"finish_reason\":\"stop\"");
    for (number, after) in [told, told + 30, finish].into_iter().enumerate() {
        replies(&bed, vec![Reply::Broken(whole[..after].to_vec())]);
        let name = format!("p{number}");
        let error = fails(&daemon, &name).await;
        assert_eq!(error.code(), "STREAM_INTERRUPTED", "{error:?}");
        let partial = error.data["partial"].as_str().unwrap();
        assert!(partial.starts_with("Hello") && "Hello again.".starts_with(partial));
        assert_eq!(daemon.text(&name), partial);
        assert_eq!(bed.llm.chats().len(), number + 1);
        assert_eq!(warnings(&daemon, &name), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_not_read_to_its_end_is_sent_once_more() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| hello());
    let daemon = bed.daemon().await;
    for after in [0, 1, 40, 200, 400] {
        configure(&bed, &daemon, &json!({})).await;
        let (chats, hung_up) = (bed.llm.chats().len(), bed.llm.hung_up());
        bed.llm.hang_up(&[after]);
        let name = format!("once-{after}");
        daemon.ok("remote-llm/stream-prompt", ask(&name)).await;
        assert_eq!(daemon.text(&name), "Hello again.");
        assert_eq!(warnings(&daemon, &name).len(), 1);
        assert_eq!(bed.llm.hung_up(), hung_up + 1);
        assert_eq!(bed.llm.chats().len(), chats + 1);

        bed.llm.hang_up(&[after, after]);
        let error = fails(&daemon, &format!("always-{after}")).await;
        assert_eq!(error.code(), "API_UNAVAILABLE", "{error:?}");
        assert_eq!(error.data["retryable"], true);
        assert_eq!(bed.llm.hung_up(), hung_up + 3);
        assert_eq!(bed.llm.chats().len(), chats + 1);
    }
}

/// The model's first answer calls a tool; the request with its result is the one that fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_tool_runs_once_however_often_its_result_is_sent() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    daemon.answer_with(|_| Answer::text("remember the milk"));
    let whole = hello().into_bytes().await;
    let head = position(&whole, "\r\n\r\n") + 4;
    let broken = |after: usize| Reply::Broken(whole[..after].to_vec());
    let failures = [broken(0), broken(head), busy(429, "0"), busy(503, "0.1")];
    for (number, failure) in failures.into_iter().enumerate() {
        configure(&bed, &daemon, &json!({})).await;
        let before = bed.llm.chats().len();
        let call = Reply::calls(&[Call {
            id: "call-1",
            name: "Read",
            arguments: &["{\"path\":\"notes.txt\"}"],
        }]);
        replies(&bed, vec![call, failure, hello()]);
        let name = format!("p{number}");
        let params = with(ask(&name), &json!({"tools": [read_tool()]}));
        let result = daemon.ok("remote-llm/stream-prompt", params).await;
        assert_eq!(daemon.text(&name), "Hello again.");
        assert_eq!(
            (&result["rounds"], &result["toolCalls"]),
            (&json!(2), &json!(1))
        );
        assert_eq!(result["messages"].as_array().unwrap().len(), 3);
        assert_eq!(daemon.questions("host/execute-tool").len(), number + 1);
        let chats = bed.llm.chats().split_off(before);
        assert_eq!(chats.len(), 3);
        assert_eq!(chats[1].request.body, chats[2].request.body);
        let results = chats[2].request.messages();
        let results: Vec<_> = results
            .iter()
            .filter(|said| said["role"] == "tool")
            .collect();
        assert_eq!(results.len(), 1, "{results:?}");
        assert_eq!(results[0]["content"], "remember the milk");
        let chunks = daemon.chunks(&name);
        let kinds: Vec<_> = chunks
            .iter()
            .map(super::support::daemon::Chunk::kind)
            .collect();
        for once in [
            "tool-call-started",
            "tool-call-ready",
            "tool-result",
            "warning",
        ] {
            let times = kinds.iter().filter(|kind| **kind == once).count();
            assert_eq!(times, 1, "{once}: {kinds:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_asked_again_when_it_says_so() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    replies(&bed, vec![busy(429, "1"), hello()]);
    let ticket = daemon.send("remote-llm/stream-prompt", ask("p")).await;
    let warning = daemon
        .wait_chunk("p", "a warning", |chunk| chunk.kind() == "warning")
        .await;
    let message = warning.event["message"].as_str().unwrap();
    assert_eq!(
        message,
        "the server answered HTTP 429 (one after the other); the request is sent again in 1 s \
         (attempt 2)"
    );
    let result = daemon.reply(&ticket).await.unwrap();
    assert_eq!(result["warnings"], json!([message]));
    assert_eq!(daemon.text("p"), "Hello again.");
    let chats = bed.llm.chats();
    assert_eq!(chats.len(), 2);
    assert!(chats[1].received - chats[0].received >= Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stays_busy_is_given_up() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let cases = [
        (busy(429, "0"), "API_RATE_LIMITED", 3),
        (busy(503, "0"), "API_UNAVAILABLE", 3),
        // Longer than anybody is to be kept waiting.
        (busy(429, "61"), "API_RATE_LIMITED", 1),
        (busy(422, "0"), "API_ERROR", 1),
    ];
    for (number, (reply, code, requests)) in cases.into_iter().enumerate() {
        configure(&bed, &daemon, &json!({})).await;
        let before = bed.llm.chats().len();
        replies(&bed, vec![reply]);
        let error = fails(&daemon, &format!("p{number}")).await;
        assert_eq!(error.code(), code, "{error:?}");
        assert_eq!(error.data["retryable"], code != "API_ERROR");
        assert_eq!(bed.llm.chats().len(), before + requests, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_does_not_wait_for_a_busy_server() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    replies(&bed, vec![busy(503, "40"), hello()]);
    let ticket = daemon.send("remote-llm/stream-prompt", ask("p")).await;
    daemon
        .wait_chunk("p", "a warning", |chunk| chunk.kind() == "warning")
        .await;
    let when = Instant::now();
    daemon.cancel(&ticket).await;
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "CANCELLED");
    assert!(
        when.elapsed() < Duration::from_secs(2),
        "{:?}",
        when.elapsed()
    );
    assert_eq!(bed.llm.chats().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_says_how_often_and_whether_in_doubt() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let cut = || Reply::Broken(Vec::new());
    let empty = Reply::Stream(vec![script::role(), Step::Cut]);
    let cases = [
        (json!({"maxRetries": 0}), cut(), 1),
        (json!({"maxRetries": 0}), empty.clone(), 1),
        (json!({"maxRetries": 0}), busy(429, "0"), 1),
        (json!({"maxRetries": 1}), busy(429, "0"), 2),
        (json!({"maxRetries": 4}), busy(429, "0"), 5),
        (json!({"retryAmbiguous": false}), cut(), 1),
        (json!({"retryAmbiguous": false}), empty, 2),
        (json!({"retryAmbiguous": true}), cut(), 2),
    ];
    for (number, (llm, reply, requests)) in cases.into_iter().enumerate() {
        let llm_params = with(bed.llm_params(), &llm);
        let saved = bed
            .configure_with(&daemon, bed.ssh_params(), llm_params)
            .await;
        assert_eq!(saved["warnings"], json!([]), "{saved:#}");
        for (field, value) in llm.as_object().unwrap() {
            assert_eq!(&saved["llm"][field], value, "{saved:#}");
        }
        let before = bed.llm.chats().len();
        replies(&bed, vec![reply]);
        fails(&daemon, &format!("p{number}")).await;
        assert_eq!(bed.llm.chats().len(), before + requests, "{llm}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_before_the_answer_is_made_anew() {
    let bed = Bed::start().await;
    replies(&bed, vec![Reply::Silence, hello()]);
    let daemon = bed.configured().await;
    let ticket = daemon.send("remote-llm/stream-prompt", ask("p")).await;
    let asked = bed.llm.wait(Duration::from_secs(20), |all| {
        let mut chats = all.iter().map(|exchange| exchange.request.messages());
        chats.any(|messages| !messages.is_empty()).then_some(())
    });
    asked.await.unwrap();
    bed.ssh.cut();
    daemon.reply(&ticket).await.unwrap();
    assert_eq!(daemon.text("p"), "Hello again.");
    assert_eq!(bed.llm.chats().len(), 2);
    assert_eq!(bed.ssh.seen().connections, 2);
    assert_eq!(warnings(&daemon, "p").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_just_restarts_is_waited_for() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| hello());
    let daemon = bed.daemon().await;
    configure(&bed, &daemon, &json!({"maxRetries": 3})).await;
    bed.ssh.forward(Forwarding::Refused);
    let ticket = daemon.send("remote-llm/stream-prompt", ask("p")).await;
    daemon
        .wait_chunk("p", "a warning", |chunk| chunk.kind() == "warning")
        .await;
    bed.ssh.forward(Forwarding::Allowed);
    daemon.reply(&ticket).await.unwrap();
    assert_eq!(daemon.text("p"), "Hello again.");
    assert_eq!(bed.llm.chats().len(), 1);
    let told = warnings(&daemon, "p");
    assert!(
        told[0].starts_with("no connection to the server ("),
        "{told:?}"
    );
}
