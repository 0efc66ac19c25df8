//! llama-cpp-python's server behind a real sshd: what it says, and what it fails to say.

use serde_json::{Value, json};

use crate::real::{FILE, by_sshd, read_files};
use crate::real_servers::{endless, question};
use crate::support::bed::{Bed, CONFIG, prompt, with};
use crate::support::daemon::{Daemon, RpcError};
use crate::support::peer::is_here;
use crate::support::peer::llama::{self, MODEL};
use crate::support::peer::python::{self, CONTEXT_WINDOW, KEY, Server};
use crate::support::peer::sshd::{self, Sshd};

pub(crate) fn llama_cpp_python_is_here() -> bool {
    is_here("llama-cpp-python", python::llama_cpp_python_available())
}

/// A daemon whose profile leads through sshd to the server.
struct Lab {
    bed: Bed,
    sshd: Sshd,
    server: Server,
    daemon: Daemon,
}

impl Lab {
    /// `None` if a peer is not here.
    async fn start() -> Option<Self> {
        if !is_here("sshd", sshd::available()) || !llama_cpp_python_is_here() {
            return None;
        }
        let bed = Bed::start().await;
        let (sshd, server) = (Sshd::start(&[]), Server::llama_cpp_python());
        let daemon = bed.daemon().await;
        let lab = Self {
            bed,
            sshd,
            server,
            daemon,
        };
        lab.configure(KEY).await;
        Some(lab)
    }

    async fn configure(&self, key: &str) {
        let endpoint = format!("http://127.0.0.1:{}", self.server.port());
        let llm = json!({"apiEndpoint": endpoint, "apiKey": key});
        let ssh = by_sshd(&self.bed, &self.sshd);
        self.bed.configure_with(&self.daemon, ssh, llm).await;
    }

    async fn stream(&self, params: Value) -> Value {
        self.daemon.ok("remote-llm/stream-prompt", params).await
    }

    async fn refused(&self, params: Value) -> RpcError {
        self.daemon.err("remote-llm/stream-prompt", params).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_recognised_and_its_answers_end_as_it_says() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    let daemon = &lab.daemon;
    let config = json!({"configId": CONFIG});
    let tested = daemon
        .ok("remote-llm/test-connection", config.clone())
        .await;
    assert_eq!(tested["success"], true, "{tested:#}");
    let models = daemon.ok("remote-llm/list-models", config).await;
    assert_eq!(models["server"]["kind"], "llama-cpp-python", "{models:#}");
    let all = models["models"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{models:#}");
    assert_eq!(all[0]["id"], MODEL);
    // It does not say, and nobody guesses.
    let silent = json!({"effective": null, "maximum": null, "source": null});
    assert_eq!(all[0]["contextWindow"], silent, "{models:#}");

    // Too short for an answer.
    let params = with(question("p", MODEL), &json!({"temperature": 0}));
    let result = lab.stream(params).await;
    assert_eq!(result["stopReason"], "max_tokens", "{result:#}");
    assert_eq!(result["rawFinishReason"], "length");
    let text = daemon.text("p");
    assert!(!text.is_empty(), "{result:#}\n{}", lab.server.log());
    assert_eq!(result["message"]["content"][0]["text"], text);
    let deltas = daemon.chunks("p");
    let deltas = deltas.iter().filter(|chunk| chunk.kind() == "text-delta");
    assert!(deltas.count() > 1, "the answer was not streamed: {text}");
    // It is asked to count, and does not.
    assert_eq!(result["usage"]["inputTokens"], Value::Null, "{result:#}");
    assert_eq!(result["usage"]["outputTokens"], Value::Null, "{result:#}");

    // The same again, up to a word of its answer.
    let word = text.split_whitespace().nth(2).unwrap();
    let params = json!({"temperature": 0, "stop": [word]});
    let result = lab.stream(with(question("s", MODEL), &params)).await;
    assert_eq!(result["rawFinishReason"], "stop", "{result:#}");
    assert_eq!(result["stopReason"], "end_turn", "{result:#}");
    let shorter = daemon.text("s");
    assert!(!shorter.contains(word), "{shorter}");
    assert!(text.starts_with(shorter.trim_end()), "{shorter}\n{text}");

    // Any name is its model, which it then says is the name.
    let result = lab.stream(question("u", "no-such-model")).await;
    assert_eq!(result["model"], "no-such-model", "{result:#}");

    lab.configure("sk-wrong").await;
    let error = lab.refused(question("w", MODEL)).await;
    assert_eq!(error.code(), "API_AUTH_FAILED", "{error:?}");
    assert!(!format!("{error:?}").contains("sk-wrong"), "{error:?}");
    lab.daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_it_cannot_hold_is_told_with_its_numbers_though_its_stream_says_nothing() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    let long = with(prompt("p", &endless()), &json!({"model": MODEL}));
    let error = lab.refused(long).await;
    assert_eq!(error.code(), "API_CONTEXT_OVERFLOW", "{error:?}");
    let window = CONTEXT_WINDOW.to_string();
    assert!(error.message.contains(&window), "{error:?}");
    let needed = error.message.split_whitespace().find_map(|word| {
        let number = word.parse::<u32>().ok()?;
        (number != CONTEXT_WINDOW).then_some(number)
    });
    assert!(needed > Some(6000), "{error:?}");
    let chunks = lab.daemon.chunks("p");
    assert_eq!(chunks.last().unwrap().kind(), "failed");
    let log = lab.server.log();
    assert_eq!(log.matches("POST /v1/chat/completions").count(), 2, "{log}");

    // It still works after that, and its next answer is streamed as ever.
    let result = lab.stream(question("q", MODEL)).await;
    let deltas = lab.daemon.chunks("q");
    let deltas = deltas.iter().filter(|chunk| chunk.kind() == "text-delta");
    assert!(deltas.count() > 1, "{result:#}");
    lab.daemon.shut_down().await;
}

/// It writes a call where one tool is named, and only there.
#[tokio::test(flavor = "multi_thread")]
async fn its_model_calls_the_tool_it_must_and_what_it_does_not_heed_is_told() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    let file = lab.bed.path("project/notes.txt");
    std::fs::write(&file, FILE).unwrap();
    let file = file.to_str().unwrap();
    read_files(&lab.daemon);
    let read = |name: &str, choice: Value| {
        with(
            llama::read_tool_prompt(file),
            &json!({
                "configId": CONFIG, "requestId": name, "toolChoice": choice, "model": MODEL,
                "maxOutputTokens": 200,
            }),
        )
    };

    let result = lab.stream(read("named", json!({"name": "Read"}))).await;
    let asked = lab.daemon.questions("host/execute-tool");
    assert_eq!(asked.len(), 1, "{result:#}\n{}", lab.server.log());
    assert_eq!(asked[0].question.params["input"], json!({"path": file}));
    assert_eq!(result["rounds"], 2, "{result:#}");
    assert_eq!(result["stopReason"], "end_turn", "{result:#}");
    let text = lab.daemon.text("named");
    assert!(text.contains("puffin is orange"), "{result:#}");

    let result = lab.stream(read("required", json!("required"))).await;
    assert_eq!(result["toolCalls"], 0, "{result:#}");
    let warnings = result["warnings"].to_string();
    assert!(warnings.contains("did not heed toolChoice"), "{result:#}");
    lab.daemon.shut_down().await;
}

/// It serves one at a time: while it writes for nobody, nobody else gets a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_stops_it_and_the_next_prompt_is_answered() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    let params = with(
        prompt("p", "Count from one to a thousand, in words."),
        &json!({"model": MODEL, "maxOutputTokens": 1900}),
    );
    let ticket = lab.daemon.send("remote-llm/stream-prompt", params).await;
    lab.daemon
        .wait_chunk("p", "some words", |chunk| {
            chunk.kind() == "text-delta" && chunk.seq > 4
        })
        .await;
    lab.daemon.cancel(&ticket).await;
    let error = lab.daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "CANCELLED", "{error:?}");
    assert_eq!(error.data["partial"], lab.daemon.text("p"));
    let left = "Disconnected from client";
    lab.server
        .wait_log("word of our leaving", |log| log.contains(left))
        .await;
    let result = lab.stream(question("q", MODEL)).await;
    assert!(!lab.daemon.text("q").is_empty(), "{result:#}");
    lab.daemon.shut_down().await;
}
