//! The host in Node: a child that does what it is told, one command at a time.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::processes::{descendants, kill};

/// No command takes longer, unless something hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// A running host; killed when dropped.
pub(crate) struct Host {
    child: Child,
    input: ChildStdin,
    answers: mpsc::Receiver<Value>,
    /// Of the processes that carry its streams: the daemon, or `ssh`.
    pub(crate) client: Vec<u32>,
}

impl Host {
    pub(crate) fn start(way: &str) -> Result<Self, String> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/versus/host/main.mjs");
        let mut child = Command::new("node")
            .arg(program)
            .arg(way)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("node does not start: {error}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("node has no pipes".to_owned());
        };
        Ok(Self {
            child,
            input,
            answers: listen(output),
            client: Vec::new(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Does a command; `parameters` is an object.
    pub(crate) fn call(&mut self, command: &str, mut parameters: Value) -> Result<Value, String> {
        parameters["command"] = json!(command);
        self.send(&parameters)?;
        self.answer(command)
    }

    pub(crate) fn send(&mut self, command: &Value) -> Result<(), String> {
        let line = format!("{command}\n");
        self.input
            .write_all(line.as_bytes())
            .map_err(|error| format!("the host is gone: {error}"))
    }

    pub(crate) fn answer(&mut self, command: &str) -> Result<Value, String> {
        let answer = self
            .answers
            .recv_timeout(LIMIT)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => format!("{command}: no answer within {LIMIT:?}"),
                RecvTimeoutError::Disconnected => format!("{command}: the host ended"),
            })?;
        if let Some(error) = answer["error"].as_str() {
            return Err(format!("{command}: {error}"));
        }
        if let Some(pids) = answer["pids"].as_array() {
            let pids = pids.iter().filter_map(Value::as_u64);
            self.client = pids.filter_map(|pid| u32::try_from(pid).ok()).collect();
        }
        Ok(answer)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // An ssh would stay.
        kill(&descendants(self.pid()));
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(output: ChildStdout) -> mpsc::Receiver<Value> {
    let (sender, answers) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let answer = serde_json::from_str(&line).unwrap_or_default();
            if sender.send(answer).is_err() {
                return;
            }
        }
    });
    answers
}
