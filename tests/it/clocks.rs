//! The clocks of a request to an LLM server, and what is told while they run.

use std::time::Duration;

use serde_json::json;

use crate::support::bed::{Bed, CONFIG, prompt, with};
use crate::support::llm_server::{Reply, Step, script};
use crate::support::ssh_server::Forwarding;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_say_what_it_has_runs_into_the_discovery_clock() {
    let bed = Bed::start().await;
    bed.llm.on_any(|_| Some(Reply::Silence));
    let daemon = bed.daemon().await;
    let clocks = json!({"timeouts": {"discoveryMs": 500}});
    let llm = with(bed.llm_params(), &clocks);
    bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    let params = json!({"configId": CONFIG});
    let error = daemon.err("remote-llm/list-models", params.clone()).await;
    assert_eq!(error.code(), "TIMEOUT_DISCOVERY", "{error:?}");
    let tested = daemon.ok("remote-llm/test-connection", params).await;
    assert_eq!(tested["error"]["data"]["code"], "TIMEOUT_DISCOVERY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_wait_for_the_first_token_is_told_while_it_lasts() {
    let bed = Bed::start().await;
    bed.llm.on_chat(|_| {
        let mut steps = vec![script::role(), Step::Pause(Duration::from_secs(6))];
        steps.push(script::text("at last"));
        steps.extend(script::finish("stop", 3, 3));
        Reply::Stream(steps)
    });
    let daemon = bed.configured().await;
    daemon
        .ok("remote-llm/stream-prompt", prompt("p", "Hello?"))
        .await;
    assert_eq!(daemon.text("p"), "at last");
    let chunks = daemon.chunks("p");
    let told = chunks
        .iter()
        .find(|chunk| chunk.event["elapsedMs"].is_u64())
        .expect("a wait of six seconds is told");
    assert_eq!(told.kind(), "status");
    assert_eq!(told.event["phase"], "waiting");
    assert!(told.event["elapsedMs"].as_u64().unwrap() >= 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_clock_of_a_profile_runs_out_with_a_code_of_its_own() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    for (clock, code, partial) in [
        ("connectMs", "TIMEOUT_CONNECT", ""),
        ("firstTokenMs", "TIMEOUT_FIRST_TOKEN", ""),
        ("idleMs", "TIMEOUT_IDLE", "word "),
        ("totalMs", "TIMEOUT_TOTAL", "word "),
    ] {
        let timeouts = json!({"timeouts": {clock: 1500}, "maxRetries": 0});
        let llm = with(bed.llm_params(), &timeouts);
        bed.configure_with(&daemon, bed.ssh_params(), llm).await;
        bed.ssh.forward(match clock {
            "connectMs" => Forwarding::Unanswered,
            _ => Forwarding::Allowed,
        });
        bed.llm.on_chat(move |_| match clock {
            "idleMs" => Reply::Stream(vec![script::role(), script::text("word "), Step::Silence]),
            "totalMs" => Reply::Stream(vec![
                script::role(),
                Step::Tokens {
                    count: None,
                    every: Duration::from_millis(50),
                    text: |_| "word ".to_owned(),
                },
            ]),
            _ => Reply::Silence,
        });
        let params = with(prompt(clock, "Hello?"), &json!({"model": "smol"}));
        let error = daemon.err("remote-llm/stream-prompt", params).await;
        assert_eq!(error.code(), code, "{clock}: {error:?}");
        let told = error.data["partial"].as_str().unwrap();
        assert!(told.starts_with(partial), "{clock}: {error:?}");
        assert_eq!(told.is_empty(), partial.is_empty(), "{clock}: {error:?}");
    }
}
