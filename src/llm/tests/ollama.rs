//! Ollama's own API, against a server that answers as Ollama's source has it.

mod answer;
mod prepare;

use std::{
    collections::{HashMap, VecDeque},
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::peer::{self, Refused, server_at};
use crate::llm::{
    ApiType, Block, ChatEvent, ChatRequest, Completion, Error, Message, Options, Role, Server,
};

/// A server whose every route can be changed. Routes that it lacks answer 404.
#[derive(Clone)]
struct Ollama(Arc<Mutex<Script>>);

struct Script {
    routes: HashMap<&'static str, String>,
    /// Answers to the next prompts; then `hello` for ever.
    chats: VecDeque<String>,
    asked: Vec<(String, Value)>,
}

impl Ollama {
    /// 0.12.6 with the model `smol`, which is loaded with 4096 tokens of context.
    fn new() -> Self {
        let tags = json!({"models": [{"name": "smol:latest", "digest": "8934d96d3f08"}]});
        let show = json!({
            "model_info": {"general.architecture": "llama", "llama.context_length": 131_072},
            "capabilities": ["completion", "tools"],
        });
        let list =
            json!({"object": "list", "data": [{"id": "smol:latest", "owned_by": "library"}]});
        let script = Script {
            routes: HashMap::new(),
            chats: VecDeque::new(),
            asked: Vec::new(),
        };
        Self(Arc::new(Mutex::new(script)))
            .with("GET /v1/models", list)
            .with("GET /api/tags", tags)
            .with("POST /api/show", show)
            .version("0.12.6")
            .loaded(Some(4096))
    }

    fn with(self, route: &'static str, answer: Value) -> Self {
        self.says(route, peer::json(200, &answer.to_string()))
    }

    fn says(self, route: &'static str, answer: String) -> Self {
        self.0.lock().unwrap().routes.insert(route, answer);
        self
    }

    fn without(self, route: &'static str) -> Self {
        self.0.lock().unwrap().routes.remove(route);
        self
    }

    fn version(self, version: &str) -> Self {
        self.with("GET /api/version", json!({ "version": version }))
    }

    fn loaded(self, context: Option<u64>) -> Self {
        let models: Vec<_> = context
            .iter()
            .map(|context| json!({"name": "smol:latest", "context_length": context}))
            .collect();
        self.with("GET /api/ps", json!({ "models": models }))
    }

    /// A model that can think.
    fn thinking(self) -> Self {
        let show = json!({"capabilities": ["completion", "thinking"]});
        self.with("POST /api/show", show)
    }

    /// The answer to the next prompt that has none yet.
    fn answers(self, answer: impl Into<String>) -> Self {
        self.0.lock().unwrap().chats.push_back(answer.into());
        self
    }

    fn client(&self, options: Options) -> Server<Refused> {
        self.client_at("http://localhost:8080", options)
    }

    fn client_at(&self, endpoint: &str, options: Options) -> Server<Refused> {
        let (server, peer) = server_at(endpoint, options);
        let script = Arc::clone(&self.0);
        tokio::spawn(peer.serve_whole(move |request| script.lock().unwrap().reply(request).into()));
        server
    }

    /// The routes that were asked since this was last called.
    fn asked(&self) -> Vec<String> {
        self.take().into_iter().map(|(route, _)| route).collect()
    }

    /// The bodies of the prompts by Ollama's own API since anything was last asked for.
    fn prompts(&self) -> Vec<Value> {
        let asked = self.take().into_iter();
        let prompts = asked.filter(|(route, _)| route == "POST /api/chat");
        prompts.map(|(_, body)| body).collect()
    }

    fn take(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }
}

impl Script {
    fn reply(&mut self, request: &str) -> String {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let route = head.split_once(" HTTP/1.1").unwrap().0.to_owned();
        let body = serde_json::from_str(body).unwrap_or_default();
        self.asked.push((route.clone(), body));
        match self.routes.get(route.as_str()) {
            Some(answer) => answer.clone(),
            None if route == "POST /api/chat" => {
                self.chats.pop_front().unwrap_or_else(|| hello().join())
            }
            None if route == "POST /v1/chat/completions" => peer::answer("hello"),
            None => peer::json(404, "404 page not found"),
        }
    }
}

/// Lines of an answer.
#[derive(Default)]
struct Lines(Vec<Value>);

impl Lines {
    fn message(mut self, message: &Value) -> Self {
        self.0
            .push(json!({"model": "smol:latest", "message": message, "done": false}));
        self
    }

    fn done(self, reason: &str) -> Self {
        self.line(&json!({
            "model": "smol:latest", "message": {"role": "assistant", "content": ""},
            "done": true, "done_reason": reason, "prompt_eval_count": 26, "eval_count": 5,
        }))
    }

    fn line(mut self, line: &Value) -> Self {
        self.0.push(line.clone());
        self
    }

    /// All of it as one stream, which ends as it should.
    fn join(self) -> String {
        let mut out = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\
                       Transfer-Encoding: chunked\r\n\r\n"
            .to_owned();
        for line in self.0 {
            let line = format!("{line}\n");
            write!(out, "{:x}\r\n{line}\r\n", line.len()).unwrap();
        }
        out + "0\r\n\r\n"
    }
}

fn hello() -> Lines {
    Lines::default()
        .message(&json!({"role": "assistant", "content": "hello"}))
        .done("stop")
}

fn options(api_type: ApiType) -> Options {
    Options {
        api_type,
        ..Options::default()
    }
}

/// A question of about so many tokens.
fn question(tokens: usize) -> ChatRequest {
    ChatRequest {
        model: "smol".into(),
        messages: vec![user(Block::Text {
            text: "x".repeat(tokens * 7 / 2),
        })],
        ..ChatRequest::default()
    }
}

fn user(block: Block) -> Message {
    Message {
        role: Role::User,
        content: vec![block],
    }
}

/// What is told of an answer, and what comes of it.
type Outcome = (Vec<ChatEvent>, Result<Completion, Error<Refused>>);

async fn ask(server: &Server<Refused>, request: ChatRequest) -> Outcome {
    let mut stream = match server.chat(request).await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Err(error)),
    };
    match peer::drain(&mut stream).await {
        (events, Some(error)) => (events, Err(error)),
        (mut events, None) => match events.pop() {
            Some(ChatEvent::Finished(completion)) => (events, Ok(completion)),
            other => panic!("{other:?}"),
        },
    }
}

/// Asks, wants an answer, and returns the warnings.
async fn warnings(server: &Server<Refused>, request: ChatRequest) -> Vec<String> {
    let (events, completion) = ask(server, request).await;
    completion.unwrap();
    let warning = |event| match event {
        ChatEvent::Warning(text) => Some(text),
        _ => None,
    };
    events.into_iter().filter_map(warning).collect()
}
