//! How long the list of very many conversations takes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::{Bed, prompt, with};

/// All that a project may have by default.
const CONVERSATIONS: usize = 10_000;

/// A host that looks at nothing but the beginning of a line, so that what is measured is the
/// daemon.
struct Host {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    next: u64,
}

impl Host {
    /// Until the last byte of the reply is here; and the reply.
    fn time(&mut self, method: &str, params: &Value) -> (Duration, String) {
        self.next += 1;
        let id = self.next;
        let ask = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let begun = Instant::now();
        writeln!(self.stdin, "{ask}").unwrap();
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "it ended");
            let took = begun.elapsed();
            if line.starts_with(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},")) {
                return (took, line);
            }
        }
    }
}

/// `cargo test --release --test it -- --ignored --nocapture ten_thousand`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; of use with an optimised daemon only"]
async fn ten_thousand_conversations_are_listed_within_50_ms() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let first = with(
        prompt(
            "p",
            "What is the capital of the puffins, and how do I get there?",
        ),
        &json!({"conversationId": "c"}),
    );
    daemon.ok("remote-llm/stream-prompt", first).await;
    daemon.shut_down().await;
    multiply(&bed);

    let mut command = bed.launch().command();
    let child = command.stderr(Stdio::inherit()).spawn();
    let mut child = child.expect("the daemon starts");
    let mut host = Host {
        stdin: child.stdin.take().unwrap(),
        stdout: BufReader::with_capacity(1024 * 1024, child.stdout.take().unwrap()),
        next: 0,
    };
    host.time("initialize", &bed.hello());
    let mut took = Vec::new();
    for _ in 0..40 {
        let (time, reply) = host.time("remote-llm/list-conversations", &json!({}));
        assert_eq!(reply.matches("\"conversationId\"").count(), CONVERSATIONS);
        took.push(time);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let first = took[0];
    took.sort_unstable();
    let (p50, most) = (took[took.len() / 2], took[took.len() - 1]);
    crate::support::measured(&format!(
        "{CONVERSATIONS} conversations: first {first:?}, p50 {p50:?}, most {most:?}"
    ));
    assert!(p50 < Duration::from_millis(50), "{p50:?}");
}

/// Makes many conversations of the one that is there.
fn multiply(bed: &Bed) {
    let folder = bed.path("data");
    let file = find(&folder).expect("the conversations' file");
    let connection = rusqlite::Connection::open(file).unwrap();
    let made = connection
        .execute(
            "INSERT INTO conversation
             (id, title, model, config_id, created, updated, changed, messages, tool_calls, bytes)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
             SELECT 'conversation-' || i, title || ' ' || i, model, config_id, created + i,
                    updated + i, changed + i, messages, tool_calls, bytes
             FROM conversation, n",
            [i64::try_from(CONVERSATIONS - 1).unwrap()],
        )
        .unwrap();
    assert_eq!(made, CONVERSATIONS - 1);
}

/// The one database below a folder.
fn find(folder: &std::path::Path) -> Option<std::path::PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        match path.is_dir() {
            true => find(&path),
            false => {
                let head = std::fs::read(&path).ok()?;
                head.starts_with(b"SQLite format 3").then_some(path)
            }
        }
    })
}
