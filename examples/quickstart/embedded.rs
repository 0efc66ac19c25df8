//! The other machine, played by this process: an SSH server that takes one password, and an LLM
//! server on loopback whose "model" is a script.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::llm_server::{Call, LlmServer, Reply, Request, Step, script};
use crate::ssh_server::{Login, SshServer};

const USER: &str = "demo";
const PASSWORD: &str = "only for this run";
/// How fast the scripted model speaks.
const WORD: Duration = Duration::from_millis(30);

pub(crate) struct Machine {
    ssh: SshServer,
    llm: LlmServer,
}

impl Machine {
    /// Starts both servers; the model will read `file` before it answers.
    pub(crate) async fn start(file: &Path) -> io::Result<Self> {
        let machine = Self {
            ssh: SshServer::start(Login::password(USER, PASSWORD)).await?,
            llm: LlmServer::start().await?,
        };
        let arguments = json!({"path": file}).to_string();
        machine.llm.on_chat(move |request| {
            if request.has_tool_result() {
                answer(request)
            } else {
                Reply::calls(&[Call {
                    id: "call-1",
                    name: "Read",
                    arguments: &[&arguments],
                }])
            }
        });
        Ok(machine)
    }

    pub(crate) fn ssh_params(&self) -> Value {
        json!({
            "host": "127.0.0.1", "port": self.ssh.port(), "username": USER,
            "authMethod": "password", "password": PASSWORD, "useSshConfig": false,
        })
    }

    pub(crate) fn endpoint(&self) -> String {
        self.llm.endpoint()
    }

    /// What the server's key really is.
    pub(crate) fn fingerprint(&self) -> String {
        self.ssh.host_key().fingerprint()
    }

    /// What the servers saw, for the end of the transcript.
    pub(crate) fn seen(&self) -> String {
        let ssh = self.ssh.seen();
        format!(
            "{} SSH connection(s), {} channel(s) to the LLM server, {} HTTP request(s)",
            ssh.connections,
            ssh.targets.len(),
            self.llm.exchanges().len()
        )
    }
}

/// Quotes what the tool said, word by word.
fn answer(request: &Request) -> Reply {
    let file = request.last("tool").unwrap_or_default();
    let quoted: Vec<&str> = file.lines().take(3).collect();
    let text = format!(
        "The tool gave me {} bytes. They begin with \"{}\". I am a script in this process, so that \
         is all I can say; the way my words took to you is the real one.",
        file.len(),
        quoted.join(" / ")
    );
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    let mut steps = vec![script::role()];
    for word in &words {
        steps.push(Step::Pause(WORD));
        steps.push(script::text(word));
    }
    let prompt = request.body.to_string().split_whitespace().count();
    steps.extend(script::finish("stop", prompt as u64, words.len() as u64));
    Reply::Stream(steps)
}
