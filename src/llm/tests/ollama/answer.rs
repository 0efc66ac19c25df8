//! What Ollama's answers mean.

use serde_json::json;

use super::{super::peer, Lines, Ollama, ask, hello, options, question, warnings};
use crate::llm::{ApiType, Block, ChatEvent, Error, Refusal, RefusalKind, StopReason, Usage};

async fn answer(answers: &[String]) -> super::Outcome {
    let ollama = Ollama::new();
    for answer in answers {
        ollama.clone().answers(answer.clone());
    }
    ask(&ollama.client(options(ApiType::Ollama)), question(1)).await
}

#[tokio::test(start_paused = true)]
async fn thoughts_text_and_calls_come_as_they_are_and_whole_at_the_end() {
    let lines = Lines::default()
        .message(&json!({"role": "assistant", "content": "", "thinking": "h"}))
        .message(&json!({"role": "assistant", "content": "", "thinking": "m"}))
        .message(&json!({"role": "assistant", "content": "I "}))
        .message(&json!({"role": "assistant", "content": "look."}))
        .message(&json!({"role": "assistant", "content": "", "tool_calls": [
            {"function": {"index": 0, "name": "f", "arguments": {"x": 1}}},
            {"id": "call_7", "function": {"index": 0, "name": "f", "arguments": {}}},
        ]}))
        .done("stop");
    let (events, completion) = answer(&[lines.join()]).await;
    let completion = completion.unwrap();
    let said: String = events
        .iter()
        .filter_map(|event| match event {
            ChatEvent::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(said, "I look.");
    let [
        Block::Thinking { thinking, .. },
        Block::Text { text },
        Block::ToolUse {
            id: first, input, ..
        },
        Block::ToolUse { id: second, .. },
    ] = &completion.content[..]
    else {
        panic!("{completion:?}");
    };
    assert_eq!((thinking.as_str(), text.as_str()), ("hm", "I look."));
    assert_eq!(input, &json!({"x": 1}));
    assert!(!first.is_empty());
    assert_eq!(second, "call_7");
    assert_eq!(completion.stop_reason, StopReason::ToolUse);
    assert_eq!(completion.raw_finish_reason.as_deref(), Some("stop"));
    let usage = Usage {
        input_tokens: Some(26),
        output_tokens: Some(5),
        ..Usage::default()
    };
    assert_eq!(completion.usage, Some(usage));
    assert_eq!(completion.model.as_deref(), Some("smol:latest"));
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_the_end_is_mapped_and_kept() {
    for (word, reason) in [
        ("stop", StopReason::EndTurn),
        ("length", StopReason::MaxTokens),
        ("load", StopReason::EndTurn),
        ("unload", StopReason::EndTurn),
        ("later", StopReason::EndTurn),
    ] {
        let (_, completion) = answer(&[Lines::default().done(word).join()]).await;
        let completion = completion.unwrap();
        assert_eq!(completion.stop_reason, reason, "{word}");
        assert_eq!(completion.raw_finish_reason.as_deref(), Some(word));
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_without_done_is_no_success() {
    let half = || Lines::default().message(&json!({"role": "assistant", "content": "half"}));
    let (events, error) = answer(&[half().join(), hello().join()]).await;
    assert!(matches!(error, Err(Error::Interrupted { .. })), "{error:?}");
    assert_eq!(events, [ChatEvent::Text("half".into())]);
    // Nothing was told of this one: it is asked for again.
    let (_, completion) = answer(&[Lines::default().join(), hello().join()]).await;
    assert_eq!(
        completion.unwrap().content,
        [Block::Text {
            text: "hello".into()
        }]
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_stream_counts_whatever_follows() {
    let lines = Lines::default()
        .message(&json!({"role": "assistant", "content": "half"}))
        .line(&json!({"error": "an error was encountered while running the model"}))
        .done("stop");
    let (_, error) = answer(&[lines.join()]).await;
    let Err(Error::Refused(refusal)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        refusal.message,
        "an error was encountered while running the model"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_streamed_is_read_all_the_same() {
    let whole = json!({
        "model": "smol", "message": {"role": "assistant", "content": "all of it"},
        "done": true, "done_reason": "stop", "eval_count": 3,
    });
    let (_, completion) = answer(&[peer::json(200, &whole.to_string())]).await;
    let completion = completion.unwrap();
    assert_eq!(
        completion.content,
        [Block::Text {
            text: "all of it".into()
        }]
    );
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_does_not_fit_is_refused_in_the_words_of_every_version() {
    let inner = r#"{"error":{"code":400,"message":"request (5008 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":5008,"n_ctx":4096}}"#;
    for (body, needed, available) in [
        // 0.12.6 to 0.24.
        (
            json!({"error": "the input length exceeds the context length"}),
            None,
            None,
        ),
        // From 0.30 on.
        (json!({ "error": inner }), Some(5008), Some(4096)),
    ] {
        let (_, error) = answer(&[peer::json(400, &body.to_string())]).await;
        let Err(Error::Refused(Refusal { kind, message, .. })) = error else {
            panic!("{error:?}");
        };
        assert_eq!(kind, RefusalKind::ContextOverflow { needed, available });
        assert!(!message.contains('{'), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_answer_closes_its_connection() {
    let (server, mut peer) = peer::server(options(ApiType::Ollama));
    let asking = tokio::spawn(async move { server.chat(question(1)).await.unwrap() });
    let mut connection = peer.accept().await;
    // Version, model, what is loaded.
    for _ in 0..3 {
        connection.request().await;
        connection.json(404, "{}").await;
    }
    assert!(connection.request().await.starts_with("POST /api/chat "));
    let begun = Lines::default().message(&json!({"role": "assistant", "content": "a"}));
    let begun = begun.join();
    connection
        .write(begun.strip_suffix("0\r\n\r\n").unwrap())
        .await;
    let mut stream = asking.await.unwrap();
    assert_eq!(
        stream.next().await.unwrap().unwrap(),
        ChatEvent::Text("a".into())
    );
    drop(stream);
    connection.closed().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_ollamas_mark_is_followed_up() {
    let chunk = r#"{"system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    let marked = peer::begun(&format!("data: {chunk}\n\n")) + "0\r\n\r\n";
    // It could not be known by anything else.
    let ollama = Ollama::new()
        .without("GET /v1/models")
        .says("GET /api/version", peer::json(503, "{}"))
        .says("POST /v1/chat/completions", marked.clone());
    let server = ollama.client(options(ApiType::OpenAiCompatible));
    assert_eq!(warnings(&server, question(5000)).await, [""; 0]);
    let ollama = ollama.version("0.6.2");
    assert_eq!(warnings(&server, question(5000)).await.len(), 1);
    // One that could not say what it is at first is asked again.
    let ollama = ollama.says("GET /api/version", peer::json(503, "{}"));
    let server = ollama.client(options(ApiType::Auto));
    warnings(&server, question(1)).await;
    let ollama = ollama.version("0.12.6");
    ollama.asked();
    warnings(&server, question(1)).await;
    assert_eq!(ollama.asked().pop().unwrap(), "POST /api/chat");
    // A gateway passes the mark on, and is none.
    let gateway = Ollama::new()
        .says("POST /v1/chat/completions", marked)
        .without("GET /v1/models")
        .without("GET /api/version");
    let server = gateway.client(options(ApiType::OpenAiCompatible));
    for _ in 0..3 {
        assert_eq!(warnings(&server, question(5000)).await, [""; 0]);
    }
    let asked = gateway.asked();
    let versions = asked.iter().filter(|route| *route == "GET /api/version");
    assert_eq!(versions.count(), 1, "{asked:?}");
}
