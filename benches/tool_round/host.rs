//! A host that does as little as possible, on the calling thread: one line out, lines in until the
//! reply.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG};

pub(crate) struct Host {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    next: u64,
    tools: usize,
}

impl Host {
    /// A daemon with the bed's profile, connected.
    pub(crate) fn start(bed: &Bed) -> Self {
        let mut command = bed.launch().command();
        let child = command.stderr(Stdio::inherit()).spawn();
        let mut child = child.expect("the daemon starts");
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::with_capacity(64 * 1024, child.stdout.take().expect("piped"));
        let mut host = Self {
            child,
            stdin,
            stdout,
            next: 1,
            tools: 0,
        };
        let profile = json!({
            "configId": CONFIG, "name": "Lab", "ssh": bed.ssh_params(), "llm": bed.llm_params(),
        });
        host.ask("initialize", &bed.hello());
        host.ask("remote-llm/configure", &profile);
        let model = json!({"configId": CONFIG, "modelId": "smol"});
        host.ask("remote-llm/select-model", &model);
        host.ask("remote-llm/connect", &json!({ "configId": CONFIG }));
        host
    }

    /// How many tools were run.
    pub(crate) fn tools(&self) -> usize {
        self.tools
    }

    /// How long a request takes, which has to succeed.
    pub(crate) fn time(&mut self, method: &str, params: &Value) -> Duration {
        let line = self.line(method, params);
        let begun = Instant::now();
        self.send(&line);
        self.hear();
        begun.elapsed()
    }

    fn ask(&mut self, method: &str, params: &Value) {
        let line = self.line(method, params);
        self.send(&line);
        self.hear();
    }

    fn line(&mut self, method: &str, params: &Value) -> String {
        self.next += 1;
        let id = self.next;
        format!(
            "{}\n",
            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        )
    }

    fn send(&mut self, line: &str) {
        let sent = self.stdin.write_all(line.as_bytes());
        sent.expect("the daemon reads");
    }

    /// Reads on until the reply, and answers tool calls at once.
    fn hear(&mut self) {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.stdout.read_line(&mut line);
            assert!(read.is_ok_and(|length| length > 0), "the daemon ended");
            let message: Value = serde_json::from_str(&line).expect("one JSON object a line");
            match (message["method"].as_str(), message.get("id")) {
                (Some("host/execute-tool"), Some(id)) => {
                    self.tools += 1;
                    let result = json!({"content": "this is a"});
                    let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
                    self.send(&format!("{answer}\n"));
                }
                (Some(_), _) => {}
                (None, _) => {
                    assert!(message.get("error").is_none(), "{message}");
                    return;
                }
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // One that has ended is as well.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}
