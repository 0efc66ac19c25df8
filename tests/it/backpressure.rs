//! A host that does not read: the daemon keeps its size, goes on reading from SSH, loses nothing.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::bed::{Bed, CONFIG, prompt};
use crate::support::llm_server::{Exchange, Reply, Step, script};

const STREAMS: usize = 4;
/// Per stream, at a thousand a second: as many as come while the host does not read.
const TOKENS: u64 = 10_000;
const PAUSE: Duration = Duration::from_secs(10);
const MEMORY: u64 = 64 * 1024 * 1024;
/// The longest message.
const LINE: usize = 16 * 1024 * 1024;

fn token(number: u64) -> String {
    format!("token number {number:06} of a long and steady stream; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_reading_costs_no_memory_blocks_nobody_and_loses_nothing() {
    let bed = Bed::alone().await;
    bed.llm.on_chat(|request| {
        if request.last("user") == Some("Be short.") {
            return Reply::text(&["Short."]);
        }
        let mut steps = vec![
            script::role(),
            Step::Tokens {
                count: Some(TOKENS),
                every: Duration::from_millis(1),
                text: token,
            },
        ];
        steps.extend(script::finish("stop", 5, TOKENS));
        Reply::Stream(steps)
    });
    let daemon = bed.configured().await;
    let mut tickets = Vec::new();
    for number in 0..STREAMS {
        let params = prompt(&format!("p{number}"), "Talk.");
        tickets.push(daemon.send("remote-llm/stream-prompt", params).await);
    }
    for number in 0..STREAMS {
        daemon.wait_text(&format!("p{number}")).await;
    }

    daemon.pause_stdout();
    let paused = Instant::now();
    let mut peak = 0;
    let watch = |peak: &mut u64| *peak = (*peak).max(daemon.memory().0);
    while paused.elapsed() < PAUSE / 2 {
        watch(&mut peak);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Now that stdout has long been full: a new channel needs an answer on the SSH connection, and
    // a whole answer through it needs that connection to be read all the time.
    let short = daemon
        .send("remote-llm/submit-prompt", prompt("short", "Be short."))
        .await;
    let models = json!({"configId": CONFIG, "refresh": true});
    let models = daemon.send("remote-llm/list-models", models).await;
    let served = bed.llm.wait(Duration::from_secs(3), |all| {
        let answered = |exchange: &&Exchange| exchange.answered.is_some();
        let mut answered = all.iter().filter(answered);
        let short = |exchange: &Exchange| exchange.request.last("user") == Some("Be short.");
        answered.clone().any(short).then_some(())?;
        let models = |exchange: &Exchange| exchange.request.path.ends_with("/models");
        answered.any(models).then_some(())
    });
    assert!(
        served.await.is_some(),
        "the SSH connection is not read while the host does not read"
    );
    while paused.elapsed() < PAUSE {
        watch(&mut peak);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let read_while_paused = daemon.read(|traffic| traffic.lines.len());
    let (now, ever) = daemon.memory();
    assert!(peak.max(now) < MEMORY, "{} MiB", peak.max(now) >> 20);
    assert!(ever < MEMORY, "at its largest {} MiB", ever >> 20);

    daemon.resume_stdout();
    daemon.reply(&short).await.unwrap();
    daemon.reply(&models).await.unwrap();
    let whole: String = (0..TOKENS).map(token).collect();
    for (number, ticket) in tickets.iter().enumerate() {
        let result = daemon.reply(ticket).await.unwrap();
        let name = format!("p{number}");
        assert!(daemon.text(&name) == whole, "{name} lost or doubled text");
        assert_eq!(result["message"]["content"][0]["text"], whole, "{name}");
    }
    assert!(daemon.read(|traffic| traffic.lines.len()) > read_while_paused);
    let (_, ever) = daemon.memory();
    assert!(ever < MEMORY, "at its largest {} MiB", ever >> 20);
}

/// Far more than may be kept: the stream fails or the server is slowed, the daemon stays small, and
/// the text that did come is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_nobody_reads_does_not_fill_the_memory() {
    let bed = Bed::alone().await;
    bed.llm.on_chat(|_| {
        Reply::Stream(vec![
            script::role(),
            Step::Tokens {
                count: None,
                every: Duration::ZERO,
                text: token,
            },
        ])
    });
    let daemon = bed.configured().await;
    let mut tickets = Vec::new();
    for number in 0..4 * STREAMS {
        let params = prompt(&format!("p{number}"), "Flood.");
        tickets.push(daemon.send("remote-llm/stream-prompt", params).await);
    }
    daemon.wait_text("p0").await;
    daemon.pause_stdout();
    let paused = Instant::now();
    while paused.elapsed() < Duration::from_secs(5) {
        let (now, _) = daemon.memory();
        assert!(now < MEMORY, "{} MiB", now >> 20);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    daemon.resume_stdout();
    for ticket in &tickets {
        daemon.cancel(ticket).await;
    }
    for ticket in &tickets {
        let error = daemon.reply(ticket).await.unwrap_err();
        assert!(
            matches!(error.code(), "CANCELLED" | "SLOW_CONSUMER"),
            "{error:?}"
        );
        assert!(error.data["partial"].is_string());
    }
    daemon
        .ok("remote-llm/list-models", json!({"configId": CONFIG}))
        .await;
}

/// Pieces of 8 KiB, each of which JSON makes a little longer.
fn page(number: u64) -> String {
    format!("{number:08}\n{}", "\"eight\" KiB ".repeat(680))
}

/// A model that writes pages.
fn write_pages(bed: &Bed, count: u64) -> String {
    bed.llm.on_chat(move |_| {
        let mut steps = vec![
            script::role(),
            Step::Tokens {
                count: Some(count),
                every: Duration::from_millis(3),
                text: page,
            },
        ];
        steps.extend(script::finish("stop", 5, count));
        Reply::Stream(steps)
    });
    (0..count).map(page).collect()
}

fn json_bytes(text: &str) -> usize {
    json!(text).to_string().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_event_and_the_reply_have_the_whole_answer_up_to_the_longest_line() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    // Twice in one line, once in one line, and nearly as much as a line may hold.
    for (name, pages) in [("short", 800), ("long", 1200), ("longest", 1730)] {
        let whole = write_pages(&bed, pages);
        assert!(json_bytes(&whole) < LINE);
        let result = daemon
            .ok("remote-llm/stream-prompt", prompt(name, "Write."))
            .await;
        assert!(daemon.text(name) == whole, "{name}: the deltas");
        let chunks = daemon.chunks(name);
        let last = &chunks.last().unwrap().event["result"];
        for result in [&result, last] {
            assert!(result["message"]["content"][0]["text"] == whole, "{name}");
            let twice = 2 * json_bytes(&whole) < LINE;
            let messages = result["messages"].as_array().unwrap();
            assert_eq!(messages.len(), usize::from(twice), "{name}");
            let warnings = result["warnings"].as_array().unwrap();
            assert_eq!(warnings.is_empty(), twice, "{warnings:?}");
        }
        let params = json!({"conversationId": result["conversationId"]});
        let kept = daemon.call("remote-llm/get-conversation", params).await;
        if let Ok(kept) = kept {
            assert!(kept["messages"][1]["content"][0]["text"] == whole, "{name}");
        }
    }
    let (_, ever) = daemon.memory();
    crate::support::measured(&format!("answers to 15 MiB: at most {} KiB", ever / 1024));
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_longer_than_a_line_is_told_by_its_deltas_and_never_called_empty() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let whole = write_pages(&bed, 2200);
    assert!(json_bytes(&whole) > LINE);
    let result = daemon
        .ok("remote-llm/stream-prompt", prompt("p", "Write."))
        .await;
    assert!(daemon.text("p") == whole, "the deltas");
    assert_eq!(result["stopReason"], "end_turn");
    assert_eq!(result["message"]["content"], json!([]));
    assert_eq!(result["warnings"].as_array().unwrap().len(), 2);
    let error = daemon
        .err("remote-llm/submit-prompt", prompt("q", "Write."))
        .await;
    assert_eq!((error.number, error.code()), (-32008, "RESPONSE_TOO_BIG"));
    assert!(error.message.contains("stream-prompt"), "{error:?}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_answer_longer_than_a_line_is_still_called_cut() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    bed.llm.on_chat(|_| {
        Reply::Stream(vec![
            script::role(),
            Step::Tokens {
                count: Some(2200),
                every: Duration::from_millis(3),
                text: page,
            },
            Step::Cut,
        ])
    });
    let error = daemon
        .err("remote-llm/stream-prompt", prompt("p", "Write."))
        .await;
    assert_eq!(error.code(), "STREAM_INTERRUPTED");
    assert!(error.data["partial"].is_null());
    assert_eq!(daemon.chunks("p").last().unwrap().kind(), "failed");
    daemon.shut_down().await;
}
