//! The example host on plain Node does the main job.

use std::process::{Output, Stdio};
use std::time::Duration;

use crate::support::bed::{Bed, USER};
use crate::support::daemon::binary;
use crate::support::llm_server::{Call, Reply};
use crate::support::peer::is_here;
use crate::support::ssh_server::{Key, Login};

async fn run(bed: &Bed, key: &std::path::Path, more: &[&str]) -> Option<Output> {
    let file = bed.path("notes.txt");
    std::fs::write(&file, "remember the milk").unwrap();
    let child = tokio::process::Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/host.mjs"))
        .args(["--ssh", &format!("{USER}@127.0.0.1:{}", bed.ssh.port())])
        .args(["--endpoint", &bed.llm.endpoint()])
        .arg("--key")
        .arg(key)
        .arg("--file")
        .arg(&file)
        .args(more)
        .env("REMOTE_LLM_BIN", binary())
        .env("HOME", bed.home())
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let started = child.as_ref().map(drop).map_err(ToString::to_string);
    if !is_here("node", started) {
        return None;
    }
    let child = child.unwrap();
    let output = tokio::time::timeout(Duration::from_secs(40), child.wait_with_output());
    Some(output.await.expect("the host ends").unwrap())
}

async fn with_a_reading_model() -> (Bed, std::path::PathBuf) {
    let key = Key::generate();
    let bed = Bed::with_login(Login::key(USER, &key)).await;
    let path = bed.write_private("id", &key.private_file(None).unwrap());
    let arguments = serde_json::json!({"path": bed.path("notes.txt")}).to_string();
    bed.llm.on_chat(move |request| {
        if request.has_tool_result() {
            let seen = request.last("tool").unwrap_or_default();
            return Reply::text(&["It says: ", seen]);
        }
        Reply::calls(&[Call {
            id: "call-1",
            name: "Read",
            arguments: &[&arguments],
        }])
    });
    (bed, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_host_does_the_main_job() {
    let (bed, key) = with_a_reading_model().await;
    let Some(output) = run(&bed, &key, &[]).await else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for part in [
        "auth: passed",
        "llama.cpp: smol (4096 tokens)",
        "[Read ",
        "It says: remember the milk",
        "end_turn: ",
        "1 tool calls",
    ] {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_host_rejects_an_unknown_host_key_unless_told_otherwise() {
    let (bed, key) = with_a_reading_model().await;
    bed.write_known_hosts("");
    let Some(output) = run(&bed, &key, &[]).await else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(&bed.ssh.host_key().fingerprint()), "{said}");

    let output = run(&bed, &key, &["--accept-host-key"]).await.unwrap();
    assert!(output.status.success(), "{output:?}");
}
