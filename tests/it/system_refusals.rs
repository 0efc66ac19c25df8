//! How the system's `ssh` fails, and what it trusts: every failure under its own code, and nobody
//! is asked anything.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::{Bed, by_key, with};
use crate::support::daemon::{Daemon, RpcError};
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};
use crate::support::processes::wait_gone;
use crate::support::ssh_server::Key;

/// Where keys that were accepted are recorded.
const OWN_KNOWN_HOSTS: &str = "data/remote-llm/known_hosts";

fn system(ssh: Value) -> Value {
    with(ssh, &json!({"transport": "system"}))
}

fn way(sshd: &Sshd) -> Value {
    system(by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519))
}

/// A test that fails, without a question to anybody.
async fn fails(bed: &Bed, daemon: &Daemon, ssh: Value, stage: &str) -> RpcError {
    let result = bed.test(daemon, ssh).await;
    assert_eq!(result["success"], false, "{result:#}");
    let stages = result["stages"].as_array().unwrap();
    let failed = stages.iter().find(|stage| stage["status"] == "failed");
    assert_eq!(failed.unwrap()["name"], stage, "{result:#}");
    for question in ["host/verify-host-key", "host/answer-prompt"] {
        assert!(daemon.questions(question).is_empty(), "{question}");
    }
    assert!(bed.llm.exchanges().is_empty());
    RpcError::new(&result["error"])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_and_a_changed_host_key_are_refused_unasked() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&["LogLevel DEBUG"]);
    bed.write_known_hosts("");
    // Whatever ssh_config says: there is no "off".
    bed.write_ssh_config("Host *\n  StrictHostKeyChecking no\n");
    let daemon = bed.daemon().await;
    for file in [false, true] {
        let ssh = with(way(&sshd), &json!({"useSshConfig": file}));
        let error = fails(&bed, &daemon, ssh, "host-key").await;
        assert_eq!(error.code(), "SSH_HOST_KEY_UNKNOWN", "{error:?}");
        assert!(error.message.contains("known"), "{}", error.message);
    }
    let other = Key::generate().public_line();
    bed.write_known_hosts(&format!("[127.0.0.1]:{} {other}\n", sshd.port()));
    let error = fails(&bed, &daemon, way(&sshd), "host-key").await;
    assert_eq!(error.code(), "SSH_HOST_KEY_CHANGED", "{error:?}");
    daemon.shut_down().await;
    let log = sshd.log();
    assert!(!log.contains("userauth-request"), "{log}");
    assert!(!bed.path(OWN_KNOWN_HOSTS).exists(), "a key was accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_be_accepted_is_known_to_both_transports_then() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    bed.write_known_hosts("");
    let daemon = bed.daemon().await;
    for policy in ["accept-new", "strict"] {
        for transport in ["system", "auto"] {
            let choice = json!({"hostKeyPolicy": policy, "transport": transport});
            let result = bed.test(&daemon, with(way(&sshd), &choice)).await;
            assert_eq!(result["success"], true, "{choice}: {result:#}");
        }
    }
    assert!(bed.path(OWN_KNOWN_HOSTS).exists());
    let users = std::fs::read_to_string(bed.known_hosts()).unwrap();
    assert_eq!(users, "", "the user's own file is left alone");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_forbidden_forwarding_and_a_closed_port_are_told_apart() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&["AllowTcpForwarding no"]);
    bed.write_known_hosts(&sshd.host_key_line());
    let daemon = bed.daemon().await;
    let stranger = bed.write_private("stranger", &Key::generate().private_file(None).unwrap());
    let ssh = with(way(&sshd), &json!({ "privateKeyPath": stranger }));
    let error = fails(&bed, &daemon, ssh, "auth").await;
    assert_eq!(error.code(), "SSH_AUTH_FAILED", "{error:?}");

    let error = fails(&bed, &daemon, way(&sshd), "forward").await;
    assert_eq!(error.code(), "SSH_FORWARD_DENIED", "{error:?}");

    let port = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let ssh = with(way(&sshd), &json!({ "port": port }));
    let error = fails(&bed, &daemon, ssh, "tcp").await;
    assert_eq!(error.code(), "SSH_UNREACHABLE", "{error:?}");

    let ssh = with(way(&sshd), &json!({"host": "no-such-host.invalid"}));
    let error = fails(&bed, &daemon, ssh, "tcp").await;
    assert_eq!(error.code(), "SSH_UNREACHABLE", "{error:?}");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_ssh_says_so() {
    let bed = Bed::start().await;
    let daemon = bed.launched(&bed.launch_with_nothing()).await;
    let ssh = system(bed.ssh_params());
    let error = fails(&bed, &daemon, ssh, "tcp").await;
    assert_eq!(error.code(), "SSH_SYSTEM_FAILED", "{error:?}");
    assert!(error.message.contains("auto"), "{}", error.message);
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_that_hangs_or_fails_does_not_hang_a_connect() {
    let bed = Bed::start().await;
    let ssh = with(system(bed.ssh_params()), &json!({"connectTimeout": 1500}));
    for (program, code) in [
        ("exec /bin/sleep 1000", "SSH_CONNECTION_TIMEOUT"),
        ("while :; do echo flood >&2; done", "SSH_CONNECTION_TIMEOUT"),
        ("echo something odd >&2; exit 3", "SSH_SYSTEM_FAILED"),
        ("exit 0", "SSH_SYSTEM_FAILED"),
    ] {
        let daemon = bed.launched(&bed.launch_with_ssh(program)).await;
        let begun = Instant::now();
        let result = bed.test(&daemon, ssh.clone()).await;
        let error = RpcError::new(&result["error"]);
        assert_eq!(error.code(), code, "{program}: {error:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{program}");
        let children = daemon.children();
        daemon.shut_down().await;
        wait_gone(&children, Duration::from_secs(5)).await;
    }
}
