//! A prompt through the real client room, over bytes in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_util::sync::CancellationToken;

use crate::llm::{
    self, Block, BoxFuture, ByteStream, Dial, Message, Opener, Options, Role, Server, Tool,
};

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("lost")]
struct Lost;

impl llm::Carrier for Lost {
    fn is_transient(&self) -> bool {
        true
    }
}

/// A server that answers each request with the next of its event streams, and keeps the requests.
#[derive(Clone, Default)]
struct Scripted {
    streams: Arc<Mutex<VecDeque<&'static str>>>,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl Opener<Lost> for Scripted {
    fn open(&self, _: &Dial) -> BoxFuture<'_, Result<Box<dyn ByteStream>, Lost>> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(self.clone().serve(theirs));
        Box::pin(async { Ok(Box::new(ours) as Box<dyn ByteStream>) })
    }
}

impl Scripted {
    async fn serve(self, mut line: DuplexStream) {
        let request = read_body(&mut line).await;
        self.requests.lock().unwrap().push(request);
        let stream = self.streams.lock().unwrap().pop_front().unwrap();
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        line.write_all(head.as_bytes()).await.unwrap();
        line.write_all(stream.as_bytes()).await.unwrap();
    }
}

async fn read_body(line: &mut DuplexStream) -> Value {
    let mut received = Vec::new();
    loop {
        assert_ne!(
            line.read_buf(&mut received).await.unwrap(),
            0,
            "the request is whole"
        );
        let text = String::from_utf8_lossy(&received);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        if length == Some(body.len()) {
            return serde_json::from_str(body).unwrap();
        }
    }
}

/// The host: one tool, and no interest in events.
struct Host;

impl Tools for Host {
    fn execute(
        &self,
        call: ToolCall,
        _: std::sync::Arc<ToolClock>,
    ) -> BoxFuture<'_, Result<ToolOutput, ToolFailure>> {
        Box::pin(async move {
            assert_eq!(
                (call.name.as_str(), &call.input),
                ("fs.read", &json!({"path": "a"}))
            );
            let content = vec![Block::Text { text: "42".into() }];
            Ok(ToolOutput {
                content,
                is_error: false,
            })
        })
    }
}

impl Sink for Host {
    fn emit(&self, _: u32, _: Event) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

#[tokio::test(start_paused = true)]
async fn a_prompt_with_a_tool_call_runs_over_the_wire() {
    let scripted = Scripted::default();
    scripted.streams.lock().unwrap().extend([
        concat!(
            r#"data: {"model":"m1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"x1","type":"function","function":{"name":"fs_read","arguments":"{\"path\":"}}]}}]}"#,
            "\n\n",
            r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"a\"}"}}]}}]}"#,
            "\n\n",
            r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            "\n\n",
            r#"data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}"#,
            "\n\ndata: [DONE]\n\n",
        ),
        concat!(
            r#"data: {"model":"m1","choices":[{"index":0,"delta":{"role":"assistant","content":"It is "}}]}"#,
            "\n\n",
            r#"data: {"choices":[{"index":0,"delta":{"content":"42."},"finish_reason":"stop"}]}"#,
            "\n\n",
            r#"data: {"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":3}}"#,
            "\n\ndata: [DONE]\n\n",
        ),
    ]);
    let server = Server::new(
        "http://localhost:8080/v1".parse().unwrap(),
        Arc::new(scripted.clone()),
        Options::default(),
    );
    let prompt = Prompt {
        conversation_id: "c".into(),
        model: "m1".into(),
        system: None,
        messages: vec![Message {
            role: Role::User,
            content: vec![Block::Text {
                text: "What is in a?".into(),
            }],
        }],
        new_from: 0,
        continues: false,
        tools: vec![DeclaredTool {
            tool: Tool {
                name: "fs.read".into(),
                description: None,
                input_schema: json!({"type": "object", "properties": {}}),
            },
            read_only: true,
            timeout: None,
        }],
        tool_choice: Some(llm::ToolChoice::Required),
        sampling: llm::Sampling::default(),
        extra: Map::new(),
        limits: Limits::default(),
        run_tools: true,
    };

    let outcome = run(
        &server,
        Box::new(prompt),
        &Host,
        &Host,
        &CancellationToken::new(),
    )
    .await;

    let End::Finished {
        stop_reason: StopReason::EndTurn,
        ..
    } = outcome.end
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(outcome.text(), "It is 42.");
    assert_eq!(outcome.model.as_deref(), Some("m1"));
    let total = outcome.usage.total();
    assert_eq!(
        (total.input_tokens, total.output_tokens),
        (Some(30), Some(8))
    );
    let requests = scripted.requests.lock().unwrap();
    assert_eq!(
        requests[1]["messages"],
        json!([
            {"role": "user", "content": "What is in a?"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "x1", "type": "function", "function": {"name": "fs_read", "arguments": "{\"path\":\"a\"}"}},
            ]},
            {"role": "tool", "tool_call_id": "x1", "content": "42"},
        ])
    );
    let choices: Vec<_> = requests
        .iter()
        .map(|request| request.get("tool_choice").cloned())
        .collect();
    assert_eq!(choices, [Some(json!("required")), None]);
}
