//! The daemon as a child, and a host that does as little as possible.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::gaps::Arrivals;
use crate::model::{FLOOD, LISTEN, STEADY};
use crate::support::bed::Bed;
use crate::way::{Disturbance, Guard, Task, UPLOADS, Way, long_question};

/// The profile that leads to nobody, over the same connection.
const NOWHERE: &str = "nowhere";
/// The profile of everything else.
const MODEL: &str = "model";

/// Starts within a line, where its request is named; the rest may be megabytes.
const BEGINNING: usize = 200;

pub(crate) struct Daemon(Arc<Host>);

struct Host {
    child: Mutex<Child>,
    input: mpsc::Sender<Vec<u8>>,
    next: AtomicU64,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    replies: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    /// By the names of requests.
    tokens: Mutex<HashMap<String, Arrivals>>,
}

impl Daemon {
    /// Spawns the daemon and connects it; `ssh` is the way of its profiles.
    pub(crate) async fn start(bed: &Bed, ssh: &Value, model: u16, nowhere: u16) -> Self {
        let mut command = bed.launch().command();
        let child = command.stderr(Stdio::inherit()).spawn();
        let mut child = child.expect("the daemon starts");
        let mut stdin = child.stdin.take().expect("piped");
        let stdout = child.stdout.take().expect("piped");
        let (input, lines) = mpsc::channel::<Vec<u8>>();
        thread::spawn(move || {
            // Ends with the daemon.
            while lines
                .recv()
                .is_ok_and(|line| stdin.write_all(&line).is_ok())
            {}
        });
        let heard = Arc::new(Heard::default());
        let hearing = Arc::clone(&heard);
        thread::spawn(move || {
            let mut stdout = BufReader::with_capacity(64 * 1024, stdout);
            let mut line = Vec::new();
            while stdout
                .read_until(b'\n', &mut line)
                .is_ok_and(|length| length > 0)
            {
                hearing.hear(&line);
                line.clear();
            }
        });
        let host = Host {
            child: Mutex::new(child),
            input,
            next: AtomicU64::new(1),
            heard,
        };
        host.call("initialize", &bed.hello()).await;
        for (name, port) in [(MODEL, model), (NOWHERE, nowhere)] {
            let endpoint = format!("http://127.0.0.1:{port}");
            let llm = json!({"apiEndpoint": endpoint, "apiType": "openai-compatible"});
            let profile = json!({"configId": name, "name": name, "ssh": ssh, "llm": llm});
            host.call("remote-llm/configure", &profile).await;
        }
        host.call("remote-llm/connect", &json!({"configId": MODEL}))
            .await;
        Self(Arc::new(host))
    }

    /// Asks, again and again, until it is dropped.
    fn keep_asking(&self, profile: &'static str, question: Arc<str>) -> Task {
        let host = Arc::clone(&self.0);
        Task(tokio::spawn(async move {
            loop {
                let asked = Asked::new(&host, profile, &question);
                let reply = asked.host.reply(asked.id);
                host.input.send(asked.line()).expect("the daemon runs");
                // Dropped with this task, it is cancelled.
                let _ended = reply.await;
            }
        }))
    }
}

/// A prompt; dropping it cancels it.
struct Asked<'a> {
    host: &'a Host,
    id: u64,
    line: Mutex<Vec<u8>>,
}

impl<'a> Asked<'a> {
    fn new(host: &'a Host, profile: &str, question: &str) -> Self {
        let id = host.next.fetch_add(1, Ordering::Relaxed);
        let params = json!({
            "configId": profile, "requestId": name(id), "model": "smol",
            "messages": [{"role": "user", "content": question}],
        });
        let line = Mutex::new(line(id, "remote-llm/stream-prompt", &params));
        Self { host, id, line }
    }

    fn line(&self) -> Vec<u8> {
        std::mem::take(&mut self.line.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let params = json!({"id": self.id});
        let cancel = json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": params});
        // A daemon that is gone has nothing to cancel.
        let _sent = self.host.input.send(format!("{cancel}\n").into_bytes());
    }
}

fn name(id: u64) -> String {
    format!("r{id}.")
}

fn line(id: u64, method: &str, params: &Value) -> Vec<u8> {
    let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    format!("{message}\n").into_bytes()
}

impl Host {
    async fn call(&self, method: &str, params: &Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let reply = self.reply(id);
        self.input
            .send(line(id, method, params))
            .expect("the daemon runs");
        let reply = reply.await.expect("a reply");
        assert!(reply.get("error").is_none(), "{method}: {reply:#}");
        reply
    }

    fn reply(&self, id: u64) -> oneshot::Receiver<Value> {
        let (sender, receiver) = oneshot::channel();
        let mut replies = self
            .heard
            .replies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        replies.insert(id, sender);
        receiver
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself.
        let _killed = child.kill();
        let _waited = child.wait();
    }
}

impl Heard {
    fn hear(&self, line: &[u8]) {
        let beginning = line.get(..BEGINNING).unwrap_or(line);
        let beginning = String::from_utf8_lossy(beginning);
        if beginning.contains("stream-chunk") {
            if beginning.contains("text-delta") {
                let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                let its = tokens
                    .iter()
                    .find(|(name, _)| beginning.contains(name.as_str()));
                if let Some((_, arrivals)) = its {
                    arrivals.note();
                }
            }
        } else if let Ok(message) = serde_json::from_slice::<Value>(line)
            && message.get("method").is_none()
            && let Some(id) = message["id"].as_u64()
        {
            let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waiting) = replies.remove(&id) {
                // Whoever asked may have gone.
                let _told = waiting.send(message);
            }
        }
    }
}

impl Way for Daemon {
    fn name(&self) -> &'static str {
        "daemon"
    }

    /// All of its streams come out of one pipe, so there is no telling one unread.
    fn can(&self, disturbance: Disturbance) -> bool {
        disturbance != Disturbance::Unread
    }

    async fn talk(&self, arrivals: Arrivals) -> Guard {
        let mut tokens = self
            .0
            .heard
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tokens.clear();
        tokens.insert(name(self.0.next.load(Ordering::Relaxed)), arrivals);
        drop(tokens);
        let asking = self.keep_asking(MODEL, STEADY.into());
        Box::new(asking)
    }

    async fn disturb(&self, disturbance: Disturbance) -> Guard {
        match disturbance {
            Disturbance::Nothing | Disturbance::Unread => Box::new(()),
            Disturbance::Flood => Box::new(self.keep_asking(MODEL, FLOOD.into())),
            Disturbance::Hang => Box::new(self.keep_asking(NOWHERE, LISTEN.into())),
            Disturbance::Upload => {
                let question = long_question(LISTEN);
                let upload = |_| self.keep_asking(MODEL, question.clone());
                Box::new((0..UPLOADS).map(upload).collect::<Vec<_>>())
            }
        }
    }
}
