//! What an OpenSSH does on its own account: new keys in the middle of a stream, no room for
//! another connection, questions whether we are still there.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::bed::{Bed, CONFIG, by_key, prompt, with};
use crate::support::daemon::{Daemon, PATIENCE, RpcError};
use crate::support::llm_server::{Reply, Step, script};
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};

/// A bed and a daemon whose profile leads to this sshd.
async fn configured(sshd: &Sshd, more: serde_json::Value) -> (Bed, Daemon) {
    let bed = Bed::start().await;
    bed.write_known_hosts(&sshd.host_key_line());
    let daemon = bed.daemon().await;
    let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
    bed.configure_with(&daemon, with(ssh, &more), bed.llm_params())
        .await;
    (bed, daemon)
}

async fn answer(daemon: &Daemon, name: &str) -> String {
    let params = with(prompt(name, "Talk."), &json!({"model": "smol"}));
    daemon.ok("remote-llm/stream-prompt", params).await;
    daemon.text(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_every_megabyte_lose_nothing_of_a_stream() {
    const WORDS: u64 = 12_000;
    fn word(number: u64) -> String {
        format!("{number:08} is followed by the next number; ")
    }
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let sshd = Sshd::start(&["RekeyLimit 1M", "LogLevel DEBUG"]);
    let (bed, daemon) = configured(&sshd, json!({})).await;
    bed.llm.on_chat(|_| {
        let mut steps = vec![
            script::role(),
            Step::Tokens {
                count: Some(WORDS),
                every: Duration::ZERO,
                text: word,
            },
        ];
        steps.extend(script::finish("stop", 12, WORDS));
        Reply::Stream(steps)
    });
    let whole: String = (0..WORDS).map(word).collect();
    let text = answer(&daemon, "long").await;
    assert!(text == whole, "{} of {} bytes", text.len(), whole.len());
    let often = |log: &str| log.matches("SSH2_MSG_NEWKEYS received").count() > 2;
    sshd.wait_log("key exchanges after the first", often).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sshd_without_room_for_another_login_says_so() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let sshd = Sshd::start(&["MaxStartups 1:100:1"]);
    let (_bed, daemon) = configured(&sshd, json!({})).await;
    let waiting = occupy(sshd.port());
    let params = json!({"configId": CONFIG});
    let result = daemon
        .ok("remote-llm/test-connection", params.clone())
        .await;
    let error = RpcError::new(&result["error"]);
    assert_eq!(error.code(), "SSH_DISCONNECTED", "{result:#}");
    assert_eq!(error.data["retryable"], true, "{error:?}");
    assert!(error.message.contains("overloaded"), "{}", error.message);
    assert!(error.message.contains("MaxStartups"), "{}", error.message);
    drop(waiting);
    // As a person does; sshd takes a moment to see that the place is free.
    let end = Instant::now() + PATIENCE;
    loop {
        let again = daemon
            .ok("remote-llm/test-connection", params.clone())
            .await;
        if again["success"] == true {
            break;
        }
        assert_eq!(again["error"]["data"]["code"], "SSH_DISCONNECTED");
        assert!(Instant::now() < end, "{again:#}");
    }
}

/// A client that never logs in, and has the one place there is.
fn occupy(port: u16) -> TcpStream {
    loop {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut greeting = [0; 8];
        stream.read_exact(&mut greeting).unwrap();
        // Until the lab's own look at the server is over, there is no place.
        if &greeting == b"SSH-2.0-" {
            return stream;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_answers_sshd_and_is_used_again() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let sshd = Sshd::start(&[
        "ClientAliveInterval 1",
        "ClientAliveCountMax 1",
        "LogLevel DEBUG",
    ]);
    // Whatever we say counts as a sign of life, so we must not speak first.
    let (_bed, daemon) = configured(&sshd, json!({"keepaliveInterval": 0})).await;
    assert!(!answer(&daemon, "first").await.is_empty());
    let answered = |log: &str| log.matches("for keepalive").count();
    let before = answered(&sshd.log());
    sshd.wait_log("three answers of ours", |log| answered(log) >= before + 3)
        .await;
    assert!(!answer(&daemon, "second").await.is_empty());
    let logins = sshd.log().matches("Accepted publickey").count();
    assert_eq!(logins, 1, "the connection was lost: {}", sshd.log());
}
