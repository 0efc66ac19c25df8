//! A host of one request at a time, which passes the daemon's questions to a person.

use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{Person, text};

/// Log lines that a bundle has at most.
const LOG_LINES: usize = 4000;

pub(super) struct Host<P> {
    replies: BufReader<PipeReader>,
    requests: PipeWriter,
    person: P,
    last_id: u64,
    log: Vec<Value>,
}

impl<P: Person> Host<P> {
    pub(super) fn new(replies: PipeReader, requests: PipeWriter, person: P) -> Self {
        Self {
            replies: BufReader::new(replies),
            requests,
            person,
            last_id: 0,
            log: Vec::new(),
        }
    }

    pub(super) fn has_person(&self) -> bool {
        self.person.is_there()
    }

    /// What the daemon logged meanwhile.
    pub(super) fn into_log(self) -> Vec<Value> {
        self.log
    }

    /// Sends a request and waits for its reply; the error is JSON-RPC's error object.
    pub(super) fn call(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        loop {
            let mut message = self.receive()?;
            match (message["method"].as_str(), &message["id"]) {
                (Some(asked), question) if !question.is_null() => {
                    let reply = json!({"jsonrpc": "2.0", "id": question});
                    let answer = self.answer(asked, &message["params"]);
                    self.send(&with(reply, answer))?;
                }
                (Some("remote-llm/log"), _) if self.log.len() < LOG_LINES => {
                    self.log.push(message["params"].take());
                }
                (None, replied) if *replied == id => {
                    return match message.get_mut("error") {
                        Some(error) => Err(error.take()),
                        None => Ok(message["result"].take()),
                    };
                }
                // Other news, and replies to nobody.
                _ => {}
            }
        }
    }

    /// Opens the vault, if its key is in the system's key store, or if there is somebody who knows
    /// its passphrase. `vault` is what is known of it, then and afterwards.
    pub(super) fn unlock(&mut self, vault: &mut Value) {
        if vault["state"] != "locked" {
            return;
        }
        let params = match vault["keySource"].as_str() {
            // An empty one is no reason to have somebody asked for the store's own password.
            Some("keychain") if vault["entries"] != 0 => json!({"keychain": true}),
            Some("passphrase") if self.has_person() => {
                let question =
                    "Passphrase of the vault with the saved secrets (empty: without them): ";
                let passphrase = self.person.ask(question, false);
                let Some(passphrase) = passphrase.filter(|text| !text.expose_secret().is_empty())
                else {
                    return;
                };
                json!({"passphrase": passphrase.expose_secret()})
            }
            _ => return,
        };
        // Where it does not open, the test says why.
        if let Ok(status) = self.call("remote-llm/vault-unlock", &params) {
            *vault = status;
        }
    }

    fn answer(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        match method {
            "host/verify-host-key" => Ok(self.verify(params)),
            "host/answer-prompt" => Ok(self.fill_in(params)),
            _ => Err(json!({"code": -32601, "message": "the doctor has no such method"})),
        }
    }

    fn verify(&mut self, params: &Value) -> Value {
        let known = match params["knownElsewhere"].as_str() {
            Some(name) => format!("\nThis key is already known as {}.", plain(name)),
            None => String::new(),
        };
        let question = format!(
            "First contact with {}:{} (hop {} of {}). Its {} fingerprint is\n  {}\n\
             Compare it with one you got from the administrator.{known}\n\
             Go on this once? Nothing is remembered. [y/N] ",
            plain(text(&params["host"])),
            params["port"],
            params["hop"],
            params["hops"],
            plain(text(&params["keyType"])),
            plain(text(&params["fingerprint"])),
        );
        let yes = self.person.ask(&question, true);
        let yes = yes.is_some_and(|yes| matches!(yes.expose_secret().trim(), "y" | "Y" | "yes"));
        let decision = if yes { "accept-once" } else { "reject" };
        json!({"decision": decision, "fingerprint": params["fingerprint"]})
    }

    fn fill_in(&mut self, params: &Value) -> Value {
        let said: Vec<_> = ["name", "instruction"]
            .into_iter()
            .filter_map(|field| params[field].as_str())
            .map(plain)
            .collect();
        let mut before = match said.is_empty() {
            true => String::new(),
            false => format!(
                "{} says: {}\n",
                plain(text(&params["host"])),
                said.join("\n")
            ),
        };
        let prompts = params["prompts"].as_array().into_iter().flatten();
        let mut answers = Vec::new();
        for prompt in prompts {
            let question = format!("{before}{} ", plain(text(&prompt["text"])).trim_end());
            before.clear();
            match self.person.ask(&question, prompt["echo"] == true) {
                Some(answer) => answers.push(answer.expose_secret().to_owned()),
                None => return json!({"cancelled": true}),
            }
        }
        json!({ "answers": answers })
    }

    fn send(&mut self, message: &Value) -> Result<(), Value> {
        let line = format!("{message}\n");
        self.requests.write_all(line.as_bytes()).map_err(|_| gone())
    }

    /// Waits as long as the daemon's own clocks let a request run.
    fn receive(&mut self) -> Result<Value, Value> {
        let mut line = String::new();
        match self.replies.read_line(&mut line) {
            Ok(length) if length > 0 => serde_json::from_str(&line).map_err(|_| gone()),
            Ok(_) | Err(_) => Err(gone()),
        }
    }
}

fn gone() -> Value {
    json!({"message": "The daemon ended in the middle of the test.", "data": {"code": "INTERNAL"}})
}

fn with(mut reply: Value, answer: Result<Value, Value>) -> Value {
    match answer {
        Ok(result) => reply["result"] = result,
        Err(error) => reply["error"] = error,
    }
    reply
}

/// Text of a server, with nothing in it that a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control() || *letter == '\n')
        .collect()
}
