//! A JSON-RPC client on the daemon's pipes: one request at a time, answering what comes meanwhile.

use std::fmt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::host::Host;

/// Why the job ended early.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// From an error object of the contract.
    pub(crate) fn of(error: &Value) -> Self {
        let message = error["message"].as_str().unwrap_or("no message");
        let code = error["data"]["code"].as_str().unwrap_or("no code");
        let hint = error["data"]["hint"].as_str();
        let hint = hint.map_or_else(String::new, |hint| format!("\n        {hint}"));
        Self(format!("{message} [{code}]{hint}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<S: Into<String>> From<S> for Failure {
    fn from(text: S) -> Self {
        Self(text.into())
    }
}

/// The daemon as a child. It is killed when this is dropped, should it still run.
pub(crate) struct Client {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    next_id: u64,
}

impl Client {
    /// Starts the daemon; with another home than the user's if one is given.
    pub(crate) fn start(binary: &Path, home: Option<&Path>) -> Result<Self, Failure> {
        let mut command = Command::new(binary);
        if let Some(home) = home {
            command.env("HOME", home).env_remove("SSH_AUTH_SOCK");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the daemon has no pipes".into());
        };
        Ok(Self {
            child,
            stdin,
            lines: BufReader::new(stdout).lines(),
            next_id: 1,
        })
    }

    /// Sends a request and waits for its reply, while `host` hears and answers the rest.
    pub(crate) async fn call(
        &mut self,
        host: &mut Host,
        method: &str,
        params: Value,
    ) -> Result<Value, Failure> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .await?;
        loop {
            let line = self.lines.next_line().await;
            let line = line.map_err(|error| format!("the daemon's stdout: {error}"))?;
            let line =
                line.ok_or_else(|| format!("the daemon ended instead of answering {method}"))?;
            let message: Value = serde_json::from_str(&line)
                .map_err(|error| format!("the daemon said something else than JSON: {error}"))?;
            let question = message.get("id").filter(|_| message["method"].is_string());
            if let Some(question) = question {
                let answer = tokio::task::block_in_place(|| {
                    host.answer(
                        message["method"].as_str().unwrap_or_default(),
                        &message["params"],
                    )
                });
                let reply = match answer {
                    Ok(result) => json!({"jsonrpc": "2.0", "id": question, "result": result}),
                    Err(error) => json!({"jsonrpc": "2.0", "id": question, "error": error}),
                };
                self.send(&reply).await?;
            } else if let Some(method) = message["method"].as_str() {
                host.hear(method, &message["params"]);
            } else if message["id"] == id {
                return match message.get("error") {
                    Some(error) => Err(Failure::of(error)),
                    None => Ok(message["result"].clone()),
                };
            }
        }
    }

    /// Closes stdin and waits for the end.
    pub(crate) async fn end(self) -> Result<ExitStatus, Failure> {
        let Self {
            mut child, stdin, ..
        } = self;
        drop(stdin);
        match tokio::time::timeout(Duration::from_secs(5), child.wait()).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => Err(format!("the daemon's end: {error}").into()),
            Err(_) => Err("the daemon did not end within 5 s".into()),
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), Failure> {
        let line = format!("{message}\n");
        let sent = async {
            self.stdin.write_all(line.as_bytes()).await?;
            self.stdin.flush().await
        };
        sent.await
            .map_err(|error| format!("the daemon's stdin: {error}").into())
    }
}
