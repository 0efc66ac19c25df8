//! Host keys: known, unknown, changed and revoked; nobody logs in before the key is right.

use serde_json::{Value, json};

use crate::support::bed::Bed;
use crate::support::daemon::{Answer, Daemon, RpcError};
use crate::support::ssh_server::Key;

async fn test(bed: &Bed, daemon: &Daemon) -> Value {
    let params = json!({"ssh": bed.ssh_params()});
    daemon.ok("remote-llm/test-connection", params).await
}

async fn fails(bed: &Bed, daemon: &Daemon, code: &str) -> RpcError {
    let result = test(bed, daemon).await;
    let error = RpcError::new(&result["error"]);
    assert_eq!(error.code(), code, "{result:#}");
    assert_eq!(error.data["stage"], "host-key", "{result:#}");
    assert_eq!(error.data["retryable"], false);
    let attempts = bed.ssh.seen().auth_attempts;
    assert!(attempts.is_empty(), "credentials were sent: {attempts:?}");
    error
}

/// A bed whose SSH server nobody knows yet.
async fn stranger() -> Bed {
    let bed = Bed::start().await;
    bed.write_known_hosts("");
    bed
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_fails_where_nobody_can_be_asked() {
    let bed = stranger().await;
    let daemon = bed.daemon_with(bed.hello_with(&json!({}))).await;
    let error = fails(&bed, &daemon, "SSH_HOST_KEY_UNKNOWN").await;
    let fingerprint = bed.ssh.host_key().fingerprint();
    assert_eq!(error.data["fingerprint"], fingerprint);
    assert!(error.message.contains(&fingerprint), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_shown_and_remembered_once_accepted() {
    let bed = stranger().await;
    let daemon = bed.daemon().await;
    daemon.answer_with(|question| Answer::host_key(question, "accept"));
    assert_eq!(test(&bed, &daemon).await["success"], true);
    let asked = daemon.questions("host/verify-host-key");
    let params = &asked[0].question.params;
    assert_eq!(params["host"], "127.0.0.1");
    assert_eq!(params["port"], bed.ssh.port());
    assert_eq!(params["keyType"], "ssh-ed25519");
    assert_eq!(params["fingerprint"], bed.ssh.host_key().fingerprint());
    assert_eq!(params["reason"], "unknown");
    assert_eq!(params["hop"], 1);
    daemon.shut_down().await;

    let daemon = bed.daemon_with(bed.hello_with(&json!({}))).await;
    let result = test(&bed, &daemon).await;
    assert_eq!(result["success"], true, "not remembered: {result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_accepted_once_is_forgotten_with_the_daemon() {
    let bed = stranger().await;
    let daemon = bed.daemon().await;
    daemon.answer_with(|question| Answer::host_key(question, "accept-once"));
    assert_eq!(test(&bed, &daemon).await["success"], true);
    assert_eq!(test(&bed, &daemon).await["success"], true);
    assert_eq!(daemon.questions("host/verify-host-key").len(), 1);
    daemon.shut_down().await;
    let logins = bed.ssh.seen().auth_attempts.len();
    let daemon = bed.daemon_with(bed.hello_with(&json!({}))).await;
    let result = test(&bed, &daemon).await;
    assert_eq!(result["error"]["data"]["code"], "SSH_HOST_KEY_UNKNOWN");
    assert_eq!(bed.ssh.seen().auth_attempts.len(), logins);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_person_rejects_is_not_used() {
    let bed = stranger().await;
    let daemon = bed.daemon().await;
    daemon.answer_with(|question| Answer::host_key(question, "reject"));
    fails(&bed, &daemon, "SSH_HOST_KEY_REJECTED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_another_key_is_a_rejection() {
    let bed = stranger().await;
    let daemon = bed.daemon().await;
    let other = Key::generate().fingerprint();
    daemon
        .answer_with(move |_| Answer::Result(json!({"decision": "accept", "fingerprint": other})));
    fails(&bed, &daemon, "SSH_HOST_KEY_REJECTED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_key_is_refused_without_a_question() {
    let bed = Bed::start().await;
    let before = bed.ssh.host_key().fingerprint();
    bed.ssh.change_host_key();
    let after = bed.ssh.host_key().fingerprint();
    let daemon = bed.daemon().await;
    daemon.answer_with(|question| Answer::host_key(question, "accept"));
    let error = fails(&bed, &daemon, "SSH_HOST_KEY_CHANGED").await;
    for part in [before.as_str(), after.as_str(), "known_hosts"] {
        assert!(error.message.contains(part), "{part}: {}", error.message);
    }
    assert!(daemon.questions("host/verify-host-key").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_without_a_question() {
    let bed = Bed::start().await;
    let line = bed.ssh.known_hosts_line();
    bed.write_known_hosts(&format!("{line}@revoked {line}"));
    let daemon = bed.daemon().await;
    daemon.answer_with(|question| Answer::host_key(question, "accept"));
    fails(&bed, &daemon, "SSH_HOST_KEY_REVOKED").await;
    assert!(daemon.questions("host/verify-host-key").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_policy_asks_nobody_and_accept_new_neither() {
    let bed = stranger().await;
    let daemon = bed.daemon().await;
    let policy = |policy: &str| {
        let mut ssh = bed.ssh_params();
        ssh["hostKeyPolicy"] = json!(policy);
        json!({ "ssh": ssh })
    };
    let strict = daemon.ok("remote-llm/test-connection", policy("strict"));
    assert_eq!(
        strict.await["error"]["data"]["code"],
        "SSH_HOST_KEY_UNKNOWN"
    );
    let new = daemon.ok("remote-llm/test-connection", policy("accept-new"));
    assert_eq!(new.await["success"], true);
    assert!(daemon.questions("host/verify-host-key").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_at_once_ask_about_a_key_once() {
    let bed = stranger().await;
    let daemon = bed.configured().await;
    daemon.answer_with(|question| Answer::host_key(question, "accept"));
    let mut tickets = Vec::new();
    for _ in 0..20 {
        let params = json!({"configId": "lab", "refresh": true});
        tickets.push(daemon.send("remote-llm/list-models", params).await);
    }
    for ticket in &tickets {
        daemon.reply(ticket).await.unwrap();
    }
    assert_eq!(daemon.questions("host/verify-host-key").len(), 1);
}
