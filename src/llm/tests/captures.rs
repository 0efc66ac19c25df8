//! What real servers sent, byte by byte, comes to what it should.

use std::{fmt::Write as _, path::PathBuf};

use expect_test::{Expect, expect};

use super::peer::{Refused, drain, never_again, prompt, server};
use crate::llm::{Block, ChatEvent, Completion, Error, Options};

pub(super) fn capture(name: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/llm");
    std::fs::read(root.join(format!("{name}.res.txt"))).unwrap()
}

/// Asks a server that answers with a capture, sent in pieces of the given size.
async fn play(capture: &[u8], size: usize) -> Result<(Vec<ChatEvent>, Completion), Error<Refused>> {
    let (server, mut peer) = server(Options::default());
    let serve = async {
        let mut connection = peer.accept().await;
        connection.request().await;
        for piece in capture.chunks(size) {
            connection.write(piece).await;
            tokio::task::yield_now().await;
        }
        connection
    };
    let chat = async {
        let mut stream = server.chat(prompt()).await?;
        let (mut events, error) = drain(&mut stream).await;
        match (error, events.pop()) {
            (Some(error), _) => Err(error),
            (None, Some(ChatEvent::Finished(completion))) => Ok((events, completion)),
            (None, last) => panic!("{last:?}"),
        }
    };
    let (outcome, _connection) = tokio::join!(chat, serve);
    outcome
}

/// The events together have to say what the completion says.
fn agree(events: &[ChatEvent], completion: &Completion) {
    let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
    for event in events {
        match event {
            ChatEvent::Text(piece) => text += piece,
            ChatEvent::Reasoning(piece) => thinking += piece,
            ChatEvent::ToolCallStarted { id, name } => {
                calls.push((id.clone(), name.clone(), String::new()));
            }
            ChatEvent::ToolCallDelta { id, fragment } => {
                calls.iter_mut().find(|call| call.0 == *id).unwrap().2 += fragment;
            }
            ChatEvent::Usage(usage) => assert_eq!(Some(*usage), completion.usage),
            ChatEvent::Status { .. } | ChatEvent::Warning(_) => {}
            ChatEvent::Finished(_) => panic!("twice"),
        }
    }
    for block in &completion.content {
        match block {
            Block::Text { text: whole } => assert_eq!(&text, whole),
            Block::Thinking {
                thinking: whole, ..
            } => assert_eq!(&thinking, whole),
            Block::ToolUse { id, name, input } => {
                let (_, told, raw) = calls.iter().find(|call| call.0 == *id).unwrap();
                assert_eq!(
                    (
                        told,
                        &serde_json::from_str::<serde_json::Value>(raw).unwrap()
                    ),
                    (name, input)
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        calls.len(),
        completion.invalid_calls.len()
            + completion
                .content
                .iter()
                .filter(|block| matches!(block, Block::ToolUse { .. }))
                .count()
    );
}

fn describe(events: &[ChatEvent], completion: &Completion) -> String {
    let short = |text: &str| {
        let cut: String = text.chars().take(40).collect();
        if cut.len() < text.len() {
            format!("{cut:?}… ({})", text.len())
        } else {
            format!("{cut:?}")
        }
    };
    let mut out = format!("{:?}", completion.stop_reason);
    for block in &completion.content {
        match block {
            Block::Text { text } => write!(out, "; text {}", short(text)).unwrap(),
            Block::Thinking { thinking, .. } => {
                write!(out, "; thinking {}", short(thinking)).unwrap();
            }
            Block::ToolUse { name, input, .. } => write!(out, "; use {name} {input}").unwrap(),
            other => panic!("{other:?}"),
        }
    }
    for call in &completion.invalid_calls {
        write!(
            out,
            "; invalid {} {} ({})",
            call.name,
            short(&call.raw),
            call.problem
        )
        .unwrap();
    }
    if let Some(usage) = completion.usage {
        let number =
            |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
        write!(
            out,
            "; usage {}+{} → {}",
            number(usage.cache_read_tokens),
            number(usage.input_tokens),
            number(usage.output_tokens)
        )
        .unwrap();
    }
    let progress = events
        .iter()
        .filter(|event| matches!(event, ChatEvent::Status { .. }))
        .count();
    if progress > 0 {
        write!(out, "; {progress} × progress").unwrap();
    }
    for event in events {
        if let ChatEvent::Warning(text) = event {
            write!(out, "; warning {text}").unwrap();
        }
    }
    out
}

async fn check(names: &[&str], expected: Expect) {
    let mut all = String::new();
    for name in names {
        let bytes = capture(name);
        let (events, completion) = play(&bytes, bytes.len()).await.unwrap();
        agree(&events, &completion);
        writeln!(all, "{name}: {}", describe(&events, &completion)).unwrap();
        for size in [1, 7, 100] {
            let (mut again, mut other) = play(&bytes, size).await.unwrap();
            // Ids that we make up differ, and so do times.
            other.timing = completion.timing;
            assert_eq!(
                describe(&again, &other),
                describe(&events, &completion),
                "{name} in pieces of {size}"
            );
            again.retain(|event| {
                !matches!(
                    event,
                    ChatEvent::ToolCallStarted { .. } | ChatEvent::ToolCallDelta { .. }
                )
            });
            assert!(again.iter().all(|event| events.contains(event)));
        }
    }
    expected.assert_eq(&all);
}

#[tokio::test(start_paused = true)]
async fn answers_of_llama_server() {
    check(
        &[
            "llama-server/chat",
            "llama-server/chat-stream-usage",
            "llama-server/chat-stream-no-usage",
            "llama-server/return-progress-stream",
            "llama-server/router-second-model-stream",
            "llama-server/tool-required-stream",
            "llama-server/tpl-NousResearch-H-fewshot-tool-auto-stream",
            "llama-server/tpl-Qwen3-Coder-fewshot-parallel-stream",
            "llama-server/tpl-Qwen3-Coder-fewshot-tool-required",
            "llama-server/tpl-Kimi-K3-fewshot-tool-auto-stream",
            "llama-server/tpl-meta-llama-Lla-fewshot-tool-required-stream",
            "llama-server/tpl-openai-gpt-oss-fewshot-tool-required-stream",
            "xllamacpp/chat-stream-usage",
            "xllamacpp/return-progress-stream",
            "xllamacpp/qwentpl-tool-auto-stream",
            "xllamacpp/tool-required-stream",
        ],
        expect![[r#"
            llama-server/chat: MaxTokens; text "The most obvious color is indeed red, bu"… (149); usage 0+24 → 32
            llama-server/chat-stream-usage: MaxTokens; text "The most obvious color is indeed red, bu"… (149); usage 23+1 → 32
            llama-server/chat-stream-no-usage: MaxTokens; text "The most obvious color is indeed red, bu"… (76)
            llama-server/return-progress-stream: MaxTokens; text "The quick brown fox jumps over the lazy"; 11 × progress
            llama-server/router-second-model-stream: MaxTokens; text "<|im_"
            llama-server/tool-required-stream: MaxTokens; text "The weather in Paris, in Celsius, is:\n\n`"… (520); usage 303+1 → 128
            llama-server/tpl-NousResearch-H-fewshot-tool-auto-stream: ToolUse; use get_weather {"city":"Paris","unit":"celsius"}
            llama-server/tpl-Qwen3-Coder-fewshot-parallel-stream: ToolUse; use get_weather {"city":"Paris","unit":"celsius"}; use get_weather {"city":"Cairo","unit":"celsius"}
            llama-server/tpl-Qwen3-Coder-fewshot-tool-required: ToolUse; use get_weather {"city":"Paris","unit":"celsius"}; usage 0+797 → 49
            llama-server/tpl-Kimi-K3-fewshot-tool-auto-stream: ToolUse; thinking "think<|sep|>"; use get_weather {"city":"Paris","unit":"celsius"}
            llama-server/tpl-meta-llama-Lla-fewshot-tool-required-stream: ToolUse; text "What is the weather in Paris, in celsius"… (112); use get_weather {"city":"Paris","unit":"celsius"}; usage 899+1 → 72
            llama-server/tpl-openai-gpt-oss-fewshot-tool-required-stream: ToolUse; use get_weather {"city":"Paris","unit":"celsius"}; usage 654+1 → 34
            xllamacpp/chat-stream-usage: MaxTokens; text "The most obvious color is white, but the"… (118); usage 23+1 → 32
            xllamacpp/return-progress-stream: MaxTokens; text "The quick brown fox jumps over the lazy"; 2 × progress
            xllamacpp/qwentpl-tool-auto-stream: MaxTokens; text "You can use the weather.celsius function"… (382)
            xllamacpp/tool-required-stream: EndTurn; text "Paris, in celsius, is approximately 22.1"… (54); usage 44+1 → 24
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn answers_of_vllm() {
    check(
        &[
            "vllm/plain-chat",
            "vllm/plain-chat-stop",
            "vllm/plain-chat-stream-usage",
            "vllm/plain-chat-stream-n2",
            "vllm/plain-continuous-usage-stream",
            "vllm/plain-tool-required-stream",
            "vllm/fewshot-tool-auto-stream",
            "vllm/tool-named-stream",
            "vllm/tool-parallel-required-stream",
            "vllm/tool-required",
        ],
        expect![[r#"
            vllm/plain-chat: MaxTokens; text "The most obvious color is red, but there"… (148); usage ?+24 → 32
            vllm/plain-chat-stop: StopSequence; text "The most obvious color is red, but there"… (54); usage ?+24 → 13
            vllm/plain-chat-stream-usage: MaxTokens; text "The most obvious color is red, but there"… (148); usage ?+24 → 32
            vllm/plain-chat-stream-n2: MaxTokens; text "Besides the mentioned four, some names o"… (41)
            vllm/plain-continuous-usage-stream: MaxTokens; text "Back in the rich, snowy"; usage ?+38 → 6
            vllm/plain-tool-required-stream: ToolUse; invalid get_weather "\"Paris, France\"" (the arguments are not a JSON object); usage ?+45 → 46
            vllm/fewshot-tool-auto-stream: ToolUse; use get_weather {"city":"Paris","unit":"celsius"}; usage ?+714 → 38
            vllm/tool-named-stream: ToolUse; use get_time {"city":"Paris","unit":"celsius"}
            vllm/tool-parallel-required-stream: ToolUse; use get_weather {"city":"Paris","unit":"celsius"}
            vllm/tool-required: ToolUse; use get_weather {"city":"Paris","unit":"celsius"}; usage ?+418 → 38
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn answers_of_python_servers_and_gateways() {
    check(
        &[
            "llama-cpp-python/chat",
            "llama-cpp-python/chat-stream-usage",
            "llama-cpp-python/tool-auto-stream",
            "llama-cpp-python/tool-named-stream",
            "litellm/pool-chat",
            "litellm/pool-chat-stream-usage",
            "litellm/pool-tool-required-stream",
            "litellm/mock-ok-chat-stream-usage",
        ],
        expect![[r#"
            llama-cpp-python/chat: MaxTokens; text "The most obvious color is indeed red, bu"… (142); usage ?+24 → 32
            llama-cpp-python/chat-stream-usage: MaxTokens; text "The most obvious color is indeed red, bu"… (142)
            llama-cpp-python/tool-auto-stream: EndTurn
            llama-cpp-python/tool-named-stream: ToolUse; use get_time {"timezone":",.0, UTC,"}
            litellm/pool-chat: EndTurn; text "The three colors are: Red, Blue, and Gre"… (43); usage 0+226 → 13
            litellm/pool-chat-stream-usage: EndTurn; text "The three colors are: Red, Blue, and Gre"… (43); usage 225+1 → 13
            litellm/pool-tool-required-stream: MaxTokens; text "The weather in Paris, in Celsius, is:\n\n`"… (494); usage 62+356 → 128
            litellm/mock-ok-chat-stream-usage: EndTurn; text "The quick brown fox jumps over the lazy "… (58); usage ?+21 → 13
        "#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn refusals() {
    let mut all = String::new();
    for name in [
        "llama-server/apikey-missing",
        "llama-server/bad-type",
        "llama-server/not-found",
        "llama-server/embeddings",
        "xllamacpp/context-overflow",
        "xllamacpp/chat-stream-n2",
        "llama-cpp-python/bad-type",
        "llama-cpp-python/empty-body",
        "llama-cpp-python/not-found",
        "llama-cpp-python/method-not-allowed",
        "litellm/pool-context-overflow",
        "litellm/pool-unknown-model",
        "litellm/pool-not-found",
        "litellm/mock-ratelimit-chat",
        "litellm/mock-ctx-chat",
        "litellm/mock-500-chat",
        "litellm/dead-backend-chat",
        "litellm/nokey-models",
        "vllm/not-found",
        "vllm/nokey-chat",
        "vllm/context-overflow",
        "vllm/plain-context-overflow",
        "vllm/plain-unknown-model",
    ] {
        let reply = capture(name);
        let (server, peer) = server(never_again());
        tokio::spawn(peer.serve(move |_| reply.clone()));
        match server.chat(prompt()).await {
            Err(Error::Refused(refusal)) => {
                writeln!(
                    all,
                    "{name}: {} {:?}: {}",
                    refusal.status.unwrap(),
                    refusal.kind,
                    refusal.message
                )
                .unwrap();
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    expect![[r#"
        llama-server/apikey-missing: 401 Auth: Invalid API Key
        llama-server/bad-type: 400 Other: Expected 'messages' to be an array
        llama-server/not-found: 404 WrongPath: File Not Found
        llama-server/embeddings: 501 Other: This server does not support embeddings. Start it with `--embeddings`
        xllamacpp/context-overflow: 400 ContextOverflow { needed: Some(12031), available: Some(2048) }: request (12031 tokens) exceeds the available context size (2048 tokens), try increasing it
        xllamacpp/chat-stream-n2: 400 Other: Field 'n': Value must be between 1 <= value <= 1, but got 2
        llama-cpp-python/bad-type: 500 Other: 2 validation errors: {'type': 'list_type', 'loc': ('body', 'messages'), 'msg': 'Input should be a valid list', 'input': 'hi'} {'type': 'float_parsing', 'loc': ('body', 'temperature'), 'msg': 'Input should be a valid number, unable to parse string as a number', 'input': 'hot'}
        llama-cpp-python/empty-body: 500 Other: Internal Server Error
        llama-cpp-python/not-found: 404 WrongPath: Not Found
        llama-cpp-python/method-not-allowed: 405 WrongPath: Method Not Allowed
        litellm/pool-context-overflow: 400 ContextOverflow { needed: Some(12212), available: Some(2048) }: litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: OpenAIException - request (12212 tokens) exceeds the available context size (2048 tokens), try increasing it model=smol-pool. context_window_fallbacks=None. fallbacks=None.
        litellm/pool-unknown-model: 400 InvalidModel: /chat/completions: Invalid model name passed in model=no-such-model. Call `/v1/models` to view available models for your key.
        litellm/pool-not-found: 404 WrongPath: Not Found
        litellm/mock-ratelimit-chat: 429 RateLimited: litellm.RateLimitError: this is a mock rate limit error
        litellm/mock-ctx-chat: 400 ContextOverflow { needed: None, available: None }: litellm.ContextWindowExceededError: litellm.BadRequestError: this is a mock context window exceeded error model=mock-ctx. context_window_fallbacks=None. fallbacks=None.
        litellm/mock-500-chat: 500 Other: litellm.InternalServerError: this is a mock internal server error
        litellm/dead-backend-chat: 500 Unavailable: litellm.InternalServerError: InternalServerError: OpenAIException - Connection error.
        litellm/nokey-models: 500 Other: Internal Server Error
        vllm/not-found: 404 WrongPath: Not Found
        vllm/nokey-chat: 401 Auth: Unauthorized
        vllm/context-overflow: 400 Other: 'NoneType' object is not iterable
        vllm/plain-context-overflow: 400 ContextOverflow { needed: Some(2049), available: Some(2048) }: This model's maximum context length is 2048 tokens. However, your prompt contains at least 2049 input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=2049)
        vllm/plain-unknown-model: 404 InvalidModel: The model `no-such-model` does not exist. Valid aliases: smol.
    "#]].assert_eq(&all);
}
