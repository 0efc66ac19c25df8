//! The host's half: shows the events of the answer, runs the tool, asks the person.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::terminal;

/// How much of the file the model gets.
const READ_BYTES: usize = 2000;

pub(crate) struct Host {
    /// The one file that the tool reads.
    pub(crate) file: PathBuf,
    /// The embedded server's fingerprint: then nobody has to be asked.
    pub(crate) expected_key: Option<String>,
    /// Time that persons took to answer, which is nobody's latency.
    pub(crate) asked: Duration,
    /// Measured here, at the end of the pipe.
    pub(crate) prompt: Prompt,
}

/// Times of the prompt that runs.
#[derive(Default)]
pub(crate) struct Prompt {
    pub(crate) first_text: Option<Instant>,
    pub(crate) last_text: Option<Instant>,
    pub(crate) pieces: u64,
    pub(crate) terminal: Option<String>,
    speaking: bool,
}

impl Host {
    pub(crate) fn hear(&mut self, method: &str, params: &Value) {
        if method != "remote-llm/stream-chunk" {
            return;
        }
        let event = &params["event"];
        let text = |field: &str| event[field].as_str().unwrap_or_default();
        match text("type") {
            "text-delta" => {
                let now = Instant::now();
                self.prompt.first_text.get_or_insert(now);
                self.prompt.last_text = Some(now);
                self.prompt.pieces += 1;
                if !std::mem::replace(&mut self.prompt.speaking, true) {
                    terminal::piece("   model │ ");
                }
                let shown = terminal::plain(text("text"));
                terminal::piece(&shown.replace('\n', "\n         │ "));
            }
            "tool-call-ready" => {
                self.end_speech();
                terminal::line(&format!("    call │ {} {}", text("name"), event["input"]));
            }
            "tool-result" => {
                let preview = terminal::plain(text("preview"));
                let first = preview.lines().next().unwrap_or_default();
                let failed = if event["isError"] == true {
                    "failed: "
                } else {
                    ""
                };
                terminal::line(&format!("  result │ {failed}{first} …"));
            }
            "status" => {
                self.end_speech();
                terminal::line(&format!("  status │ {}", text("phase")));
            }
            "warning" => {
                self.end_speech();
                terminal::line(&format!(" warning │ {}", terminal::plain(text("message"))));
            }
            kind @ ("finished" | "failed") => {
                self.end_speech();
                self.prompt.terminal = Some(kind.to_owned());
            }
            _ => {}
        }
    }

    pub(crate) fn answer(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let begin = Instant::now();
        let answer = match method {
            "host/execute-tool" => return self.execute(params),
            "host/verify-host-key" => self.verify(params),
            "host/answer-prompt" => Self::questions(params),
            _ => {
                return Err(json!({"code": -32601, "message": format!("no {method} here")}));
            }
        };
        self.asked += begin.elapsed();
        Ok(answer)
    }

    fn end_speech(&mut self) {
        if std::mem::replace(&mut self.prompt.speaking, false) {
            terminal::line("");
        }
    }

    fn execute(&self, params: &Value) -> Result<Value, Value> {
        if params["name"] != "Read" {
            return Err(json!({
                "code": 3001, "message": "no such tool", "data": {"code": "TOOL_NOT_FOUND"},
            }));
        }
        if params["input"]["path"].as_str() != self.file.to_str() {
            let text = format!("only {} may be read", self.file.display());
            return Ok(json!({"content": text, "isError": true}));
        }
        Ok(match std::fs::read_to_string(&self.file) {
            Ok(text) => {
                let cut: String = text.chars().take(READ_BYTES).collect();
                json!({ "content": cut })
            }
            Err(error) => json!({"content": error.to_string(), "isError": true}),
        })
    }

    fn verify(&self, params: &Value) -> Value {
        let text = |field: &str| params[field].as_str().unwrap_or_default();
        let fingerprint = text("fingerprint");
        let decision = if let Some(expected) = &self.expected_key {
            let right = expected == fingerprint;
            terminal::line(&format!(
                "     key │ {} {fingerprint}: {} the key of the server in this process",
                text("keyType"),
                if right { "is" } else { "is NOT" }
            ));
            if right { "accept" } else { "reject" }
        } else {
            terminal::line(&format!(
                "     key │ First contact with {}:{} (hop {}). Its {} fingerprint is\n         │ \
                 {fingerprint}\n         │ Compare it with one you got from its administrator.",
                terminal::plain(text("host")),
                params["port"],
                params["hop"],
                text("keyType"),
            ));
            match terminal::ask(
                "         │ [R]eject, accept [o]nce, accept [a]lways? ",
                true,
            )
            .as_deref()
            {
                Some("o" | "O") => "accept-once",
                Some("a" | "A") => "accept",
                _ => "reject",
            }
        };
        json!({"decision": decision, "fingerprint": fingerprint})
    }

    fn questions(params: &Value) -> Value {
        let text = |field: &str| terminal::plain(params[field].as_str().unwrap_or_default());
        terminal::line(&format!(
            "     ask │ {} wants: {} {} {}",
            text("host"),
            text("kind"),
            text("name"),
            text("instruction")
        ));
        let mut answers = Vec::new();
        for prompt in params["prompts"].as_array().into_iter().flatten() {
            let question = terminal::plain(prompt["text"].as_str().unwrap_or_default());
            let echo = prompt["echo"] == true;
            match terminal::ask(&format!("         │ {} ", question.trim_end()), echo) {
                Some(answer) => answers.push(answer),
                None => return json!({"cancelled": true}),
            }
        }
        // Until the daemon ends, so that the test and the prompt ask once between them.
        json!({ "answers": answers, "remember": params["canRemember"] })
    }
}
