//! The audit trail: what is noted, what is not, and that a change shows.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, prompt, read_tool, with};
use crate::support::daemon::{Answer, Daemon, binary};
use crate::support::llm_server::{Call, Reply};

const KEY: &str = "an api key that nobody may read";

/// A prompt with one tool call; the tool's output has the API key and a private key.
async fn trail(audit: Value) -> (Bed, Vec<Value>) {
    let bed = Bed::start().await;
    bed.llm.on_chat(|request| match request.has_tool_result() {
        true => Reply::text(&["the answer"]),
        false => Reply::calls(&[Call {
            id: "call-1",
            name: "Read",
            arguments: &["{\"path\":\"a.txt\"}"],
        }]),
    });
    let daemon = bed
        .daemon_with(with(bed.hello(), &json!({"audit": audit})))
        .await;
    daemon.answer_with(|_| {
        Answer::text(&format!(
            "{KEY} -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- plain"
        ))
    });
    bed.configure(&daemon).await;
    let llm = with(bed.llm_params(), &json!({"apiKey": KEY}));
    bed.configure_with(&daemon, bed.ssh_params(), llm).await;
    let params = with(
        prompt("p", "the question"),
        &json!({"tools": [read_tool()], "conversationId": "c", "model": "smol"}),
    );
    daemon.ok("remote-llm/stream-prompt", params).await;
    let records = records(&bed, &daemon).await;
    daemon.shut_down().await;
    (bed, records)
}

/// The records, once all three of the prompt are there.
async fn records(bed: &Bed, daemon: &Daemon) -> Vec<Value> {
    let deadline = tokio::time::Instant::now() + crate::support::daemon::PATIENCE;
    loop {
        let text = files(bed)
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect::<String>();
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() >= 3 {
            assert!(!text.contains(KEY) && !text.contains("MIIE"), "{text}");
            return lines
                .iter()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
        }
        if tokio::time::Instant::now() > deadline {
            daemon.fail("the trail was not written");
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn files(bed: &Bed) -> Vec<PathBuf> {
    match fs::read_dir(bed.path("data/remote-llm/audit")) {
        Ok(files) => files.map(|file| file.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_its_tools_and_its_end_are_noted_without_content() {
    let (_bed, records) = trail(json!({})).await;
    let types: Vec<_> = records.iter().map(|record| &record["type"]).collect();
    assert_eq!(types, ["submission", "tool", "response"]);
    let [submission, tool, response] = &records[..] else {
        panic!("{records:#?}");
    };
    for record in &records {
        assert_eq!(record["requestId"], "p");
        assert_eq!(record["conversationId"], "c");
        let text = record.to_string();
        for said in ["the question", "the answer", "a.txt", "plain"] {
            assert!(!text.contains(said), "{text}");
        }
    }
    assert_eq!(submission["configId"], CONFIG);
    assert_eq!(submission["tools"], json!(["Read"]));
    assert_eq!(
        (&tool["tool"], &tool["outcome"]),
        (&json!("Read"), &json!("ok"))
    );
    assert_eq!(response["outcome"], "end_turn");
    assert_eq!(response["rounds"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_noted_where_it_is_asked_for_but_no_secret() {
    let (_bed, records) = trail(json!({"content": true})).await;
    let [submission, tool, response] = &records[..] else {
        panic!("{records:#?}");
    };
    assert_eq!(
        submission["content"][0]["content"][0]["text"],
        "the question"
    );
    assert_eq!(tool["input"], json!({"path": "a.txt"}));
    assert_eq!(tool["output"][0]["text"], "[redacted] [redacted] plain");
    assert!(response["content"].to_string().contains("the answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_can_want_no_trail() {
    let bed = Bed::start().await;
    let hello = with(bed.hello(), &json!({"audit": {"enabled": false}}));
    let daemon = bed.daemon_with(hello).await;
    bed.configure(&daemon).await;
    daemon
        .ok("remote-llm/submit-prompt", prompt("p", "Go."))
        .await;
    daemon.shut_down().await;
    assert_eq!(files(&bed), [] as [PathBuf; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_told_by_its_line() {
    let (bed, _) = trail(json!({})).await;
    let file = files(&bed).remove(0);
    let verify = || {
        let output = Command::new(binary())
            .args(["audit", "verify"])
            .arg(&file)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = verify();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("3 records, unbroken"), "{said}");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"Read\"", "\"Bash\"")).unwrap();
    let (code, said) = verify();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("line 1: it was changed"), "{said}");
}
