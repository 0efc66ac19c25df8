//! A prompt is counted before it is sent, where that matters.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::peer::{self, Refused, answer, drain, server};
use crate::llm::{
    ApiType, Block, ChatEvent, ChatRequest, Error, Message, Options, Role, Server, Tool, TypedModel,
};

/// What was asked of a server besides its list, with the bodies.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(String, Value)>>>);

impl Log {
    fn take(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lines(&self) -> Vec<String> {
        self.take().into_iter().map(|(line, _)| line).collect()
    }
}

const CHAT: &str = "POST /v1/chat/completions";
const PROPS: &str = "GET /props";
const TEMPLATE: &str = "POST /apply-template";
const TOKENIZE: &str = "POST /tokenize";

/// What a server says to a request line and a body; `None`: it never answers.
type Says = dyn Fn(&str, &Value) -> Option<String> + Send + Sync;

async fn discovered(options: Options, says: Arc<Says>) -> (Server<Refused>, Log) {
    let (server, log) = undiscovered(options, says);
    server.discover().await.unwrap();
    log.take();
    (server, log)
}

fn undiscovered(options: Options, says: Arc<Says>) -> (Server<Refused>, Log) {
    let (server, mut peer) = server(options);
    let log = Log::default();
    let noted = log.clone();
    tokio::spawn(async move {
        loop {
            let mut connection = peer.accept().await;
            let (says, log) = (Arc::clone(&says), noted.clone());
            tokio::spawn(async move {
                while let Some(request) = connection.try_request().await {
                    let (head, body) = request.split_once("\r\n\r\n").unwrap();
                    let line = head.split(" HTTP").next().unwrap().to_owned();
                    let body = serde_json::from_str(body).unwrap_or(Value::Null);
                    log.0.lock().unwrap().push((line.clone(), body.clone()));
                    match says(&line, &body) {
                        Some(answer) => connection.write(answer).await,
                        None => connection.closed().await,
                    }
                }
            });
        }
    });
    (server, log)
}

fn list(owned_by: &str, more: Value) -> String {
    let mut model = json!({"id": "m", "owned_by": owned_by});
    model
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({"data": [model]}).to_string()
}

/// A llama.cpp whose tokens are the bytes of the template's text, each message between brackets.
fn llama(window: u64) -> Arc<Says> {
    Arc::new(move |line: &str, body: &Value| {
        Some(match line {
            "GET /v1/models" => {
                peer::json(200, &list("llamacpp", json!({"meta": {"n_ctx": 1000}})))
            }
            PROPS => {
                let props = json!({"default_generation_settings": {"n_ctx": window}});
                peer::json(200, &props.to_string())
            }
            TEMPLATE => {
                let text = |message: &Value| format!("[{}]", message["content"].as_str().unwrap());
                let messages = body["messages"].as_array().unwrap();
                let prompt: String = messages.iter().map(text).collect();
                peer::json(200, &json!({"prompt": prompt}).to_string())
            }
            TOKENIZE => {
                let tokens: Vec<u32> = (0..).take(body["content"].as_str()?.len()).collect();
                peer::json(200, &json!({"tokens": tokens}).to_string())
            }
            CHAT => answer("Hello."),
            _ => peer::json(404, "{}"),
        })
    })
}

fn said(role: Role, bytes: usize) -> Message {
    let text = "x".repeat(bytes);
    Message {
        role,
        content: vec![Block::Text { text }],
    }
}

fn conversation(sizes: &[usize]) -> ChatRequest {
    let roles = [Role::User, Role::Assistant].into_iter().cycle();
    ChatRequest {
        model: "m".into(),
        messages: roles
            .zip(sizes)
            .map(|(role, size)| said(role, *size))
            .collect(),
        ..ChatRequest::default()
    }
}

/// The warnings of a prompt that is answered.
async fn warnings(server: &Server<Refused>, request: ChatRequest) -> Vec<String> {
    let mut stream = server.chat(request).await.unwrap();
    let (events, error) = drain(&mut stream).await;
    assert!(error.is_none(), "{error:?}");
    let warning = |event| match event {
        ChatEvent::Warning(warning) => Some(warning),
        _ => None,
    };
    events.into_iter().filter_map(warning).collect()
}

async fn too_long(server: &Server<Refused>, request: ChatRequest) -> (u64, u64) {
    match server.chat(request).await {
        Err(Error::TooLong { needed, available }) => (needed, available),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_prompt_is_not_looked_at() {
    let (server, log) = discovered(Options::default(), llama(1000)).await;
    assert_eq!(warnings(&server, conversation(&[500])).await, [""; 0]);
    assert_eq!(log.lines(), [CHAT]);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_does_not_fit_is_not_sent() {
    let (server, log) = discovered(Options::default(), llama(1000)).await;
    let request = conversation(&[700, 200, 100]);
    assert_eq!(too_long(&server, request.clone()).await, (1006, 1000));
    let asked = log.take();
    let lines: Vec<_> = asked.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(lines, [TEMPLATE, TOKENIZE, PROPS]);
    // No more than the model reads.
    let mut members: Vec<_> = asked[0].1.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["messages", "model"]);
    assert_eq!(asked[1].1["parse_special"], true);
    // It was counted, and is not counted again.
    assert_eq!(too_long(&server, request).await, (1006, 1000));
    assert_eq!(log.lines(), [PROPS]);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_fits_only_just_is_counted_once_and_what_follows_as_far_as_it_is_new() {
    let (server, log) = discovered(Options::default(), llama(1000)).await;
    assert_eq!(warnings(&server, conversation(&[700])).await, [""; 0]);
    assert_eq!(log.lines(), [TEMPLATE, TOKENIZE, CHAT]);
    // 702 and two short messages are less than 1000, whatever they come to.
    assert_eq!(
        warnings(&server, conversation(&[700, 10, 10])).await,
        [""; 0]
    );
    assert_eq!(log.lines(), [CHAT]);
    assert_eq!(
        warnings(&server, conversation(&[700, 10, 200])).await,
        [""; 0]
    );
    assert_eq!(log.lines(), [TEMPLATE, TOKENIZE, CHAT]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_started_anew_with_more_is_believed() {
    let (server, log) = discovered(Options::default(), llama(8000)).await;
    assert_eq!(warnings(&server, conversation(&[3000])).await, [""; 0]);
    assert_eq!(log.lines(), [TEMPLATE, TOKENIZE, PROPS, CHAT]);
    assert_eq!(warnings(&server, conversation(&[3000])).await, [""; 0]);
    assert_eq!(log.lines(), [CHAT], "it is remembered");
}

#[tokio::test(start_paused = true)]
async fn too_little_room_for_the_answer_is_told() {
    let (server, _log) = discovered(Options::default(), llama(1000)).await;
    let mut request = conversation(&[900]);
    request.sampling.max_output_tokens = Some(200);
    let told = warnings(&server, request).await;
    assert_eq!(
        told,
        [
            "The prompt has 902 of the 1000 tokens that fit in the context of m: there is room for an \
          answer of 98, not of 200."
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn vllm_counts_messages_with_their_tools_and_says_its_context_on_the_way() {
    let says: Arc<Says> = Arc::new(|line: &str, body: &Value| {
        Some(match line {
            "GET /v1/models" => peer::json(200, &list("vllm", json!({"max_model_len": 1000}))),
            "GET /version" => peer::json(200, r#"{"version":"0.12.0"}"#),
            TOKENIZE => {
                assert_eq!(body["tools"][0]["function"]["name"], "read");
                let said = body["messages"].to_string().len();
                let counted = json!({"count": said, "max_model_len": 2000, "tokens": []});
                peer::json(200, &counted.to_string())
            }
            CHAT => answer("Hello."),
            other => panic!("{other}"),
        })
    });
    let (server, log) = discovered(Options::default(), says).await;
    let with_tool = |sizes: &[usize]| ChatRequest {
        tools: vec![Tool {
            name: "read".into(),
            description: None,
            input_schema: json!({}),
        }],
        ..conversation(sizes)
    };
    assert_eq!(warnings(&server, with_tool(&[1500])).await, [""; 0]);
    assert_eq!(log.lines(), [TOKENIZE, CHAT]);
    let (needed, available) = too_long(&server, with_tool(&[2500])).await;
    assert_eq!(available, 2000);
    assert!(needed > 2500);
    assert_eq!(log.lines(), [TOKENIZE]);
}

#[tokio::test(start_paused = true)]
async fn a_tokenizer_that_does_not_answer_delays_a_prompt_by_two_seconds_at_most() {
    let llama = llama(1000);
    let says: Arc<Says> = Arc::new(move |line: &str, body: &Value| match line {
        TOKENIZE => None,
        _ => llama(line, body),
    });
    let (server, log) = discovered(Options::default(), says).await;
    let begun = Instant::now();
    let told = warnings(&server, conversation(&[7000])).await;
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(log.lines(), [TEMPLATE, TOKENIZE, CHAT]);
    assert_eq!(
        told,
        [
            "The prompt has about 2008 tokens, but m has a context of 1000 (meta.n_ctx): the server may \
          refuse it, or leave out a part of it without saying so. Shorten the conversation, begin a \
          new one, or load the model with more."
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn who_has_no_tokenizer_is_asked_for_it_once() {
    let llama = llama(1000);
    let says: Arc<Says> = Arc::new(move |line: &str, body: &Value| match line {
        TEMPLATE => Some(peer::json(404, "{}")),
        _ => llama(line, body),
    });
    let (server, log) = discovered(Options::default(), says).await;
    assert_eq!(warnings(&server, conversation(&[2000])).await, [""; 0]);
    assert_eq!(log.lines(), [TEMPLATE, CHAT]);
    assert_eq!(warnings(&server, conversation(&[2000])).await, [""; 0]);
    assert_eq!(log.lines(), [CHAT]);
}

#[tokio::test(start_paused = true)]
async fn a_context_that_a_person_typed_in_is_warned_of_where_nothing_counts() {
    let says: Arc<Says> = Arc::new(|line: &str, _: &Value| {
        Some(match line {
            "GET /v1/models" => peer::json(200, r#"{"data":[{"id":"m"}]}"#),
            CHAT => answer("Hello."),
            _ => peer::json(404, "{}"),
        })
    });
    let options = Options {
        models: vec![TypedModel {
            id: "m".into(),
            context_window: Some(1000),
            ..TypedModel::default()
        }],
        ..Options::default()
    };
    let (server, log) = discovered(options, says).await;
    assert_eq!(warnings(&server, conversation(&[3000])).await, [""; 0]);
    let told = warnings(&server, conversation(&[7000])).await;
    assert!(told[0].contains("about 2008 tokens"), "{told:?}");
    assert!(told[0].contains("a context of 1000 (profile)"), "{told:?}");
    let prompts = log.lines().into_iter().filter(|line| line == CHAT).count();
    assert_eq!(prompts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_large_prompt_asks_by_itself_what_the_server_has() {
    let llama = llama(1000);
    let says = Arc::new(move |line: &str, body: &Value| llama(line, body));
    let (server, log) = undiscovered(Options::default(), says);
    assert_eq!(warnings(&server, conversation(&[500])).await, [""; 0]);
    assert_eq!(log.lines().pop().unwrap(), CHAT);
    assert_eq!(too_long(&server, conversation(&[5000])).await, (5002, 1000));
    let asked = log.lines();
    assert!(asked.contains(&"GET /v1/models".to_owned()), "{asked:?}");
    assert!(!asked.contains(&CHAT.to_owned()), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_say_what_it_has_delays_one_large_prompt_only() {
    let says = Arc::new(|line: &str, _: &Value| (line == CHAT).then(|| answer("Hello.")));
    let options = Options {
        api_type: ApiType::OpenAiCompatible,
        ..Options::default()
    };
    let (server, log) = undiscovered(options, says);
    for limit in [3, 1] {
        let begun = Instant::now();
        assert_eq!(warnings(&server, conversation(&[5000])).await, [""; 0]);
        assert!(begun.elapsed() < Duration::from_secs(limit));
    }
    assert_eq!(log.lines(), ["GET /api/version", CHAT, CHAT]);
}
