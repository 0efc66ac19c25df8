//! stdout carries the protocol and nothing else, whatever else there is to say.
//!
//! Every other test checks that too, when its daemon is dropped; here everything talks at once.

use serde_json::json;

use crate::support::bed::{Bed, prompt, with};
use crate::support::daemon::Daemon;

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_logs_everything_keeps_stdout_pure() {
    let bed = Bed::start().await;
    let launch = bed.launch().environment("RUST_LOG", "trace");
    let daemon = Daemon::spawn(&launch);
    let hello = with(bed.hello(), &json!({"log": {"level": "trace"}}));
    daemon.ok("initialize", hello).await;
    bed.configure(&daemon).await;
    daemon.send_raw(*b"not JSON\n").await;
    daemon
        .ok("remote-llm/list-models", json!({"configId": "lab"}))
        .await;
    daemon
        .ok("remote-llm/stream-prompt", prompt("p", "Hello?"))
        .await;
    assert_eq!(daemon.text("p"), "Hello from the scripted server.");
    let logs = daemon.read(|traffic| {
        let mut lines = traffic.notifications.iter();
        lines.any(|line| line["method"] == "remote-llm/log")
    });
    assert!(logs, "log notifications were asked for");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_did_not_ask_gets_log_notifications() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    daemon
        .ok("remote-llm/stream-prompt", prompt("p", "Hello?"))
        .await;
    let logs = daemon.read(|traffic| {
        let mut lines = traffic.notifications.iter();
        lines.any(|line| line["method"] == "remote-llm/log")
    });
    assert!(!logs);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_s_level_is_an_option_of_the_daemon_itself() {
    let output = std::process::Command::new(crate::support::daemon::binary())
        .args(["--log", "debug"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(!output.stderr.is_empty(), "nothing was logged");
}
