//! What must hold for every line of every test: stdout purity, gapless `seq`, chunks before the
//! reply, exactly one terminal event, a code in every error.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// The rules, fed with each line in the order of the wire.
#[derive(Debug, Default)]
pub(super) struct Contract {
    /// Requests of the host that have no reply yet.
    waiting: HashMap<u64, Sent>,
    prompts: HashMap<String, Prompt>,
    broken: Vec<String>,
}

#[derive(Clone, Debug)]
struct Sent {
    method: String,
    request_id: Option<String>,
}

#[derive(Debug, Default)]
struct Prompt {
    streams: bool,
    next_seq: u64,
    terminal: Option<String>,
    answered: bool,
}

impl Contract {
    pub(super) fn broken(&self) -> &[String] {
        &self.broken
    }

    pub(super) fn sent(&mut self, id: u64, method: &str, params: &Value) {
        let request_id = params["requestId"].as_str().map(str::to_owned);
        let request_id = request_id.filter(|_| method.ends_with("-prompt"));
        // A name that is in use is a case some tests want: the first prompt keeps it.
        let request_id = request_id.filter(|name| {
            let taken = self.prompts.get(name);
            taken.is_none_or(|prompt| prompt.answered)
        });
        if let Some(name) = &request_id {
            let prompt = Prompt {
                streams: method.ends_with("stream-prompt"),
                ..Prompt::default()
            };
            self.prompts.insert(name.clone(), prompt);
        }
        self.waiting.insert(
            id,
            Sent {
                method: method.to_owned(),
                request_id,
            },
        );
    }

    /// Parses a line; `None` if it is not even JSON.
    pub(super) fn received(&mut self, line: &str) -> Option<Value> {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            self.breach(format!("stdout carried something that is not JSON: {line}"));
            return None;
        };
        if message["jsonrpc"] != "2.0" {
            self.breach(format!("not JSON-RPC 2.0: {line}"));
        }
        if let Some(method) = message["method"].as_str() {
            if !message["params"].is_object() {
                self.breach(format!("params are not an object: {line}"));
            }
            if method == "remote-llm/stream-chunk" {
                self.chunk(&message["params"]);
            }
        } else {
            self.reply(&message, line);
        }
        Some(message)
    }

    /// Forgets a prompt that was answered. A chunk of it that comes all the same is still a breach.
    pub(super) fn forget(&mut self, request_id: &str) {
        let answered = |prompt: &mut Prompt| prompt.answered;
        if self.prompts.get_mut(request_id).is_some_and(answered) {
            self.prompts.remove(request_id);
        }
    }

    fn chunk(&mut self, params: &Value) {
        let name = params["requestId"].as_str().unwrap_or_default();
        let Some(prompt) = self.prompts.get_mut(name) else {
            self.breach(format!("a chunk of a prompt nobody sent: {params}"));
            return;
        };
        let kind = params["event"]["type"].as_str().unwrap_or_default();
        let mut wrong = Vec::new();
        if !prompt.streams {
            wrong.push("submit-prompt has no chunks");
        }
        if prompt.answered {
            wrong.push("a chunk came after the reply");
        }
        if prompt.terminal.is_some() {
            wrong.push("a chunk came after the terminal event");
        }
        if params["seq"].as_u64() != Some(prompt.next_seq) {
            wrong.push("seq has a gap");
        }
        if prompt.next_seq == 0 && kind != "started" {
            wrong.push("the first event is not `started`");
        }
        prompt.next_seq += 1;
        if matches!(kind, "finished" | "failed") {
            prompt.terminal = Some(kind.to_owned());
        }
        for what in wrong {
            self.breach(format!("{what}: {params}"));
        }
    }

    fn reply(&mut self, message: &Value, line: &str) {
        let error = &message["error"];
        if message.get("result").is_some() == message.get("error").is_some() {
            self.breach(format!("neither a result nor an error, or both: {line}"));
        }
        if message.get("error").is_some()
            && !(error["code"].is_i64()
                && error["message"].is_string()
                && error["data"]["code"].is_string())
        {
            self.breach(format!(
                "an error without code, message or data.code: {line}"
            ));
        }
        let Some(id) = message["id"].as_u64() else {
            // The answer to something whose id could not be read, or to a test's own raw line.
            return;
        };
        let Some(sent) = self.waiting.remove(&id) else {
            self.breach(format!("a reply to nothing, or a second one: {line}"));
            return;
        };
        let Some(prompt) = sent.request_id.and_then(|name| self.prompts.get_mut(&name)) else {
            return;
        };
        prompt.answered = true;
        if !prompt.streams {
            return;
        }
        let terminal = prompt.terminal.as_deref();
        let fits = match (message.get("error").is_some(), terminal) {
            (false, terminal) => terminal == Some("finished"),
            // Refused before it began.
            (true, None) => prompt.next_seq == 0,
            (true, Some("finished")) => error["code"] == -32800,
            (true, Some(_)) => error["code"] != -32800,
        };
        if !fits {
            let terminal = terminal.map(str::to_owned);
            self.breach(format!(
                "the terminal event {terminal:?} does not fit the reply to {}: {line}",
                sent.method
            ));
        }
    }

    fn breach(&mut self, what: String) {
        let mut what = what;
        if what.len() > 600 {
            what = what.chars().take(600).collect::<String>() + "…";
        }
        self.broken.push(what);
    }

    /// Ids of requests that were never answered.
    pub(super) fn unanswered(&self) -> HashSet<u64> {
        self.waiting.keys().copied().collect()
    }
}
