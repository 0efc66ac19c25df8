//! Secrets go to the server they are for, and nowhere else.

use std::path::Path;

use serde_json::json;

use crate::support::bed::{Bed, CONFIG, USER, prompt, with};
use crate::support::daemon::Daemon;
use crate::support::llm_server::Reply;
use crate::support::ssh_server::Login;

const PASSWORD: &str = "canary-password-7f3a";
const API_KEY: &str = "sk-canary-key-91bc";
const HEADER: &str = "canary-header-55de";

/// Files below `directory` whose bytes contain `needle`.
fn files_with(directory: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes
                .windows(needle.len())
                .any(|window| window == needle.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_a_file_a_log_or_the_wire() {
    let bed = Bed::with_login(Login::password(USER, PASSWORD)).await;
    let launch = bed.launch().environment("RUST_LOG", "trace");
    let daemon = Daemon::spawn(&launch);
    let hello = with(bed.hello(), &json!({"log": {"level": "trace"}}));
    daemon.ok("initialize", hello).await;
    let ssh = with(bed.ssh_params(), &json!({"password": PASSWORD}));
    let llm = with(
        bed.llm_params(),
        &json!({"apiKey": API_KEY, "secretHeaders": {"X-Gate": HEADER}}),
    );
    bed.configure_with(&daemon, ssh.clone(), llm).await;
    let config = json!({"configId": CONFIG});
    let tested = daemon
        .ok("remote-llm/test-connection", config.clone())
        .await;
    assert_eq!(tested["success"], true, "{tested:#}");
    daemon.ok("remote-llm/get-config", config.clone()).await;
    daemon.ok("remote-llm/list-configs", json!({})).await;
    daemon.ok("remote-llm/list-models", config.clone()).await;
    let params = with(prompt("p", "Hello?"), &json!({"model": "smol"}));
    daemon.ok("remote-llm/stream-prompt", params).await;

    // Failures quote what they know, so these too: a server that echoes the key, a password that
    // is refused, and params that do not parse.
    bed.llm.on_any(|request| {
        let key = request.header("authorization").unwrap_or_default();
        let gate = request.header("x-gate").unwrap_or_default();
        Some(Reply::error(
            401,
            &format!("Incorrect API key provided: {key} {gate}"),
        ))
    });
    let params = with(prompt("q", "Hello?"), &json!({"model": "smol"}));
    let error = daemon.err("remote-llm/stream-prompt", params).await;
    assert_eq!(error.code(), "API_AUTH_FAILED");
    let wrong = with(ssh, &json!({"username": "other"}));
    let tested = daemon
        .ok("remote-llm/test-connection", json!({"ssh": wrong}))
        .await;
    assert_eq!(tested["error"]["data"]["code"], "SSH_AUTH_FAILED");
    let broken = json!({"configId": CONFIG, "ssh": {"host": "h", "password": [PASSWORD]}});
    daemon.err("remote-llm/configure", broken).await;
    daemon
        .send_raw(format!("{{\"password\": \"{PASSWORD}\"\n"))
        .await;
    daemon.ok("remote-llm/status", config).await;

    for secret in [PASSWORD, API_KEY, HEADER] {
        let transcript = daemon.transcript();
        let line = transcript.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} on stdout: {line:?}");
        let stderr = daemon.stderr();
        let line = stderr.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} on stderr: {line:?}");
        for part in ["project", "data", "home"] {
            let files = files_with(&bed.path(part), secret);
            assert!(files.is_empty(), "{secret} in {files:?}");
        }
    }
    daemon.shut_down().await;
}
