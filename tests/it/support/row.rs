//! One row of the matrix: a way in, and what every user does once inside.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::bed::{Bed, prompt, read_tool, with};
use super::daemon::{Answer, Daemon};
use super::llm_server::{Call, Reply};
use super::peer::agent::Agent;
use super::peer::keys::{Authority, ClientKeys, PASSPHRASE};

/// One way in.
pub(crate) struct Row {
    /// Also the profile's id.
    name: &'static str,
    ssh: Value,
    /// What the daemon must call the way, up to the names of keys.
    method: &'static str,
    /// What a person answers: the answer to each prompt whose text has this in it.
    answers: Vec<(&'static str, String)>,
}

impl Row {
    /// A way into `ssh` that the daemon calls `method`.
    pub(crate) fn new(name: &'static str, ssh: Value, method: &'static str) -> Self {
        Self {
            name,
            ssh,
            method,
            answers: Vec::new(),
        }
    }

    pub(crate) fn password(ssh: &Value, password: &str) -> Self {
        let way = json!({"authMethod": "password", "password": password});
        Self::new("password", with(ssh.clone(), &way), "password")
    }

    pub(crate) fn questions(ssh: &Value) -> Self {
        let way = json!({"authMethod": "keyboardInteractive"});
        Self::new("questions", with(ssh.clone(), &way), "keyboard-interactive")
    }

    /// Another answer of the person's.
    pub(crate) fn answered(mut self, prompt: &'static str, answer: &str) -> Self {
        self.answers.push((prompt, answer.to_owned()));
        self
    }

    /// Every kind of key, from a file and from an agent that holds them.
    pub(crate) fn keys(ssh: &Value, keys: &ClientKeys, agent: &Agent) -> Vec<Self> {
        vec![
            Self::file("ed25519", ssh, &keys.ed25519),
            Self::file("ecdsa", ssh, &keys.ecdsa),
            Self::file("rsa", ssh, &keys.rsa),
            Self::file("ed25519-locked", ssh, &keys.ed25519_locked)
                .answered("assphrase", PASSPHRASE),
            Self::agent("agent-ed25519", ssh, &keys.ed25519, agent),
            Self::agent("agent-ecdsa", ssh, &keys.ecdsa, agent),
            Self::agent("agent-rsa", ssh, &keys.rsa, agent),
        ]
    }

    /// A certificate of every kind of key, from a file and from an agent.
    pub(crate) fn certificates(ssh: &Value, certified: &Certified, agent: &Agent) -> Vec<Self> {
        vec![
            Self::file("certificate-ed25519", ssh, &certified.ed25519),
            Self::file("certificate-ecdsa", ssh, &certified.ecdsa),
            Self::file("certificate-rsa", ssh, &certified.rsa),
            Self::agent("agent-certificate-ed25519", ssh, &certified.ed25519, agent),
            Self::agent("agent-certificate-ecdsa", ssh, &certified.ecdsa, agent),
            Self::agent("agent-certificate-rsa", ssh, &certified.rsa, agent),
        ]
    }

    fn file(name: &'static str, ssh: &Value, key: &Path) -> Self {
        let way = json!({"authMethod": "privateKey", "privateKeyPath": key});
        Self::new(name, with(ssh.clone(), &way), "publickey")
    }

    /// Only this key, and only from the agent.
    fn agent(name: &'static str, ssh: &Value, key: &Path, agent: &Agent) -> Self {
        let way = json!({
            "authMethod": "agent", "identityAgent": agent.socket(),
            "privateKeyPath": key, "identitiesOnly": true,
        });
        Self::new(name, with(ssh.clone(), &way), "publickey")
    }
}

/// Keys that only their certificates let in.
pub(crate) struct Certified {
    ed25519: PathBuf,
    ecdsa: PathBuf,
    rsa: PathBuf,
}

impl Certified {
    /// All made out to this user.
    pub(crate) fn by(authority: &Authority, user: &str) -> Self {
        let certify = |kind| authority.certify(kind, kind, user, "-5m:+1h");
        Self {
            ed25519: certify("ed25519"),
            ecdsa: certify("ecdsa"),
            rsa: certify("rsa"),
        }
    }

    /// An agent that holds them.
    pub(crate) fn agent(&self) -> Agent {
        Agent::start(&[&self.ed25519, &self.ecdsa, &self.rsa])
    }
}

/// Runs the main job once a row; the server's key must be known.
pub(crate) async fn run(bed: &Bed, rows: Vec<Row>) {
    bed.llm.on_chat(|request| {
        if request.has_tool_result() {
            return Reply::text(&["The", " puffin", " is orange."]);
        }
        Reply::calls(&[Call {
            id: "call",
            name: "Read",
            arguments: &["{\"path\":", "\"notes.txt\"}"],
        }])
    });
    let daemon = bed.daemon().await;
    for row in rows {
        main_job(bed, &daemon, row).await;
    }
    daemon.shut_down().await;
}

async fn main_job(bed: &Bed, daemon: &Daemon, row: Row) {
    let name = row.name;
    let answers = row.answers;
    daemon.answer_with(move |question| match question.tool() {
        Some(_) => Answer::text("The puffin is orange."),
        None => answer(&answers, &question.params),
    });
    let config = json!({"configId": name});
    let profile = json!({
        "configId": name, "name": name, "ssh": row.ssh, "llm": bed.llm_params(),
    });
    ok(daemon, name, "configure", profile).await;

    let tested = ok(daemon, name, "test-connection", config.clone()).await;
    assert_eq!(tested["success"], true, "{name}: {tested:#}");
    let method = tested["authMethod"].as_str().unwrap();
    assert!(is_way(method, row.method), "{name}: {method}");

    let status = ok(daemon, name, "connect", config.clone()).await;
    assert_eq!(status["state"], "ready", "{name}: {status:#}");
    let models = ok(daemon, name, "list-models", config).await;
    assert_eq!(models["models"][0]["id"], "smol", "{name}: {models:#}");

    let question = with(
        prompt(name, "What does it say?"),
        &json!({"configId": name, "model": "smol", "tools": [read_tool()]}),
    );
    let result = ok(daemon, name, "stream-prompt", question).await;
    assert_eq!(result["stopReason"], "end_turn", "{name}: {result:#}");
    assert_eq!(result["toolCalls"], 1, "{name}: {result:#}");
    assert_eq!(daemon.text(name), "The puffin is orange.", "{name}");
    let asked = daemon.questions("host/execute-tool");
    let asked = &asked.last().unwrap().question.params;
    assert_eq!(asked["requestId"], name);
    assert_eq!(asked["input"], json!({"path": "notes.txt"}), "{name}");
    ok(daemon, name, "disconnect", json!({"configId": name})).await;
}

async fn ok(daemon: &Daemon, row: &str, method: &str, params: Value) -> Value {
    match daemon.call(&format!("remote-llm/{method}"), params).await {
        Ok(result) => result,
        Err(error) => daemon.fail(&format!("{row}: {method}: {error:#?}")),
    }
}

fn answer(answers: &[(&str, String)], question: &Value) -> Answer {
    // A question about a host key has none, and is as unexpected as any other.
    let prompts = question["prompts"].as_array();
    let answers: Option<Vec<&str>> = prompts
        .into_iter()
        .flatten()
        .map(|prompt| {
            let text = prompt["text"].as_str().unwrap();
            let known = answers.iter().find(|(part, _)| text.contains(part));
            known.map(|(_, answer)| answer.as_str())
        })
        .collect();
    match answers.filter(|answers| !answers.is_empty()) {
        Some(answers) => Answer::prompts(&answers),
        None => Answer::error(
            5002,
            "HOST_BUSY",
            &format!("an unexpected question: {question}"),
        ),
    }
}

/// Whether `publickey (~/.ssh/key) + password` is the way `publickey + password`.
fn is_way(told: &str, way: &str) -> bool {
    let methods = told.split(" + ").map(|step| step.split(' ').next());
    methods.eq(way.split(" + ").map(Some))
}
