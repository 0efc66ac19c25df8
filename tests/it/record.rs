//! `tests/record`, which makes fixtures of a live server's answers.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::llama_cpp_python::llama_cpp_python_is_here;
use crate::real::llama_is_here;
use crate::support::peer::llama::{Llama, MODEL};
use crate::support::peer::python::{self, Server};
use crate::support::peer::{installed, is_here};

const KEY: &str = "sk-record-canary-0815";

/// Records the requests whose names match.
fn record(port: u16, key: &str, only: &str, into: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("tests/record"))
        .args([&format!("http://127.0.0.1:{port}"), "here"])
        .args(["--only", only, "--model", MODEL, "--cases", "--into"])
        .arg(into)
        .env("PUFFIN_RECORD_KEY", key)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains(key), "{said}");
}

#[test]
fn the_recording_script_keeps_what_a_live_server_says() {
    if !is_here("record", installed(&["python3"])) || !llama_is_here() {
        return;
    }
    let llama = Llama::start(&["--api-key", KEY]);
    let into = TempDir::new().unwrap();
    let only = "^(chat-stream-usage|nokey-chat|not-found|/v1/models)$";
    record(llama.port(), KEY, only, into.path());

    let read = |name: &str| std::fs::read_to_string(into.path().join(name)).unwrap();
    let stream = read("llm/here/chat-stream-usage.res.txt");
    assert!(stream.starts_with("HTTP/1.1 200 OK\r\n"), "{stream}");
    assert!(
        stream.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"),
        "{stream}"
    );
    let refused = read("llm/here/nokey-chat.res.txt");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let missing = read("llm/here/not-found.res.txt");
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
    let models = read("discovery/here/v1+models.res.txt");
    assert!(models.contains(MODEL), "{models}");
    let case = read("conformance/here/recorded-chat-stream-usage.case");
    assert!(
        case.ends_with("=== capture here/chat-stream-usage\n\n"),
        "{case}"
    );
}

/// Its overflow is the one that it says nothing of in a stream.
#[test]
fn llama_cpp_python_can_be_recorded_too() {
    if !is_here("record", installed(&["python3"])) || !llama_cpp_python_is_here() {
        return;
    }
    let server = Server::llama_cpp_python();
    let into = TempDir::new().unwrap();
    let only = "^(chat-stream-usage|tool-named-stream|context-overflow|nokey-models|/v1/models)$";
    record(server.port(), python::KEY, only, into.path());

    let read = |name: &str| std::fs::read_to_string(into.path().join(name)).unwrap();
    let stream = read("llm/here/chat-stream-usage.res.txt");
    assert!(stream.starts_with("HTTP/1.1 200 OK\r\n"), "{stream}");
    assert!(stream.contains("data: [DONE]"), "{stream}");
    assert!(stream.ends_with("\r\n0\r\n\r\n"), "{stream}");
    let calls = read("llm/here/tool-named-stream.res.txt");
    assert!(calls.contains(r#""name": "get_weather""#), "{calls}");
    let overflow = read("llm/here/context-overflow.res.txt");
    assert!(overflow.contains("context_length_exceeded"), "{overflow}");
    let refused = read("llm/here/nokey-models.res.txt");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let models = read("discovery/here/v1+models.res.txt");
    assert!(models.contains(r#""owned_by":"me""#), "{models}");
}

#[test]
fn a_key_that_the_server_repeats_is_not_in_the_recording() {
    if !is_here("record", installed(&["python3"])) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        let head = format!(
            "HTTP/1.1 500 X\r\ncontent-length: {}\r\n\r\n",
            request.len()
        );
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(&request).unwrap();
        String::from_utf8(request).unwrap()
    });
    let into = TempDir::new().unwrap();
    record(port, KEY, "^models$", into.path());

    let request = server.join().unwrap();
    assert!(request.contains(&format!("Authorization: Bearer {KEY}\r\n")));
    let file = into.path().join("llm/here/models.res.txt");
    let answer = std::fs::read_to_string(file).unwrap();
    assert!(!answer.contains(KEY), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), request.len());
}
