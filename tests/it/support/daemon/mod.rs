//! Drives the real binary over its pipes, as a host does.

mod contract;
mod host;
mod mortal_host;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::journal::Journal;
use super::peer::find;
use super::processes::{descendants, descriptors};
use contract::Contract;
pub(crate) use host::{Answer, Question};

/// How long a test waits for anything before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// How many lines of stdout a failure shows.
const LAST_LINES: usize = 12;

/// A running daemon. Killed when dropped; dropping it also checks the contract of every line.
pub(crate) struct Daemon {
    child: Child,
    pid: u32,
    ears: JoinHandle<()>,
    next_id: AtomicU64,
    input: mpsc::Sender<Input>,
    reading: watch::Sender<bool>,
    traffic: Arc<Journal<Traffic>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    host: Arc<Mutex<Host>>,
}

type Host = Box<dyn FnMut(&Question) -> Answer + Send>;

enum Input {
    Bytes(Vec<u8>),
    /// Tells when everything before it was written.
    Mark(oneshot::Sender<()>),
    Close,
}

impl Input {
    fn line(message: &Value) -> Self {
        Self::Bytes(format!("{message}\n").into_bytes())
    }
}

/// Everything that came and went.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Every line of stdout, as it came.
    pub(crate) lines: Vec<String>,
    pub(crate) chunks: HashMap<String, Vec<Chunk>>,
    pub(crate) replies: HashMap<u64, Reply>,
    /// Errors whose id was null.
    pub(crate) orphans: Vec<Value>,
    pub(crate) notifications: Vec<Value>,
    /// The newest of every profile.
    pub(crate) statuses: HashMap<String, Status>,
    pub(crate) questions: Vec<Asked>,
    /// The daemon closed its stdout.
    pub(crate) ended: bool,
    contract: Contract,
}

/// A connection's status, and when it came.
pub(crate) type Status = (Instant, Value);

#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) at: Instant,
    pub(crate) seq: u64,
    pub(crate) round: u64,
    pub(crate) event: Value,
}

impl Chunk {
    pub(crate) fn kind(&self) -> &str {
        self.event["type"].as_str().unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) at: Instant,
    pub(crate) outcome: Result<Value, RpcError>,
}

/// A question of the daemon's, and whether it was taken back.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: Value,
    pub(crate) question: Question,
    pub(crate) cancelled: Option<Instant>,
}

/// The error object of a reply.
#[derive(Clone, Debug)]
pub(crate) struct RpcError {
    pub(crate) number: i64,
    pub(crate) message: String,
    pub(crate) data: Value,
}

impl RpcError {
    pub(crate) fn new(error: &Value) -> Self {
        Self {
            number: error["code"].as_i64().unwrap_or_default(),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
            data: error["data"].clone(),
        }
    }

    /// The code that programs read.
    pub(crate) fn code(&self) -> &str {
        self.data["code"].as_str().unwrap_or_default()
    }
}

/// A request that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) id: u64,
    method: String,
}

/// Where and how a daemon runs.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) home: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// Where its system calls are noted.
    pub(crate) trace: Option<PathBuf>,
}

/// The system calls that reach out: to files, the network and other programs.
const TRACED: &str = "trace=network,open,openat,openat2,creat,execve,execveat";

impl Launch {
    pub(crate) fn at(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            trace: None,
        }
    }

    /// With `strace` beside it, which notes in this file what it opens and whom it talks to.
    pub(crate) fn traced(mut self, log: &Path) -> Self {
        self.trace = Some(log.to_owned());
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this folder as the whole search path.
    pub(crate) fn path(self, folder: &Path) -> Self {
        let folder = folder.to_str().expect("a name in UTF-8");
        self.environment("PATH", folder)
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// The command, with nothing of this machine's user in its environment.
    pub(crate) fn command(&self) -> std::process::Command {
        let mut command = match &self.trace {
            None => self.command_of(binary()),
            Some(log) => {
                let strace = find("strace").expect("the test looked for it");
                let mut command = self.command_of(&strace);
                command.args(["-f", "-s", "256", "-e", TRACED, "-o"]);
                command.arg(log).arg(binary());
                command
            }
        };
        command.args(&self.arguments);
        command
    }

    fn command_of(&self, program: &Path) -> std::process::Command {
        let mut command = std::process::Command::new(program);
        command
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_BACKTRACE", "1")
            // Or only root could count its descriptors.
            .env("PUFFIN_REMOTE_LLM_DEBUGGABLE", "1")
            .envs(self.environment.iter().cloned())
            .current_dir(&self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// The daemon under test.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_puffin-remote-llm"))
}

impl Daemon {
    /// Spawns a daemon and says nothing to it.
    pub(crate) fn spawn(launch: &Launch) -> Self {
        let mut child = Command::from(launch.command())
            .kill_on_drop(true)
            .spawn()
            .expect("the daemon's binary starts");
        let pid = child.id().expect("a running child has a pid");
        let stdin = child.stdin.take().expect("piped");
        let stdout = child.stdout.take().expect("piped");
        Self::over(child, pid, stdin, stdout)
    }

    /// The daemon `pid` on these pipes; `child` is itself, or its parent.
    fn over(
        mut child: Child,
        pid: u32,
        stdin: impl AsyncWrite + Send + Unpin + 'static,
        stdout: impl AsyncRead + Send + Unpin + 'static,
    ) -> Self {
        let (input, inputs) = mpsc::channel(4096);
        let traffic = Arc::new(Journal::new(Traffic::default()));
        let stderr = Arc::default();
        let host: Arc<Mutex<Host>> = Arc::new(Mutex::new(Box::new(Answer::unknown_method)));
        let reading = watch::Sender::new(true);
        tokio::spawn(write(stdin, inputs));
        tokio::spawn(keep(
            child.stderr.take().expect("piped"),
            Arc::clone(&stderr),
        ));
        let ears = tokio::spawn(
            Ears {
                traffic: Arc::clone(&traffic),
                host: Arc::clone(&host),
                input: input.clone(),
                reading: reading.subscribe(),
            }
            .listen(stdout),
        );
        Self {
            pid,
            child,
            ears,
            next_id: AtomicU64::new(1),
            input,
            reading,
            traffic,
            stderr,
            host,
        }
    }

    // --- asking -----------------------------------------------------------------------------

    /// Sends a request and waits for its reply.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let ticket = self.send(method, params).await;
        self.reply(&ticket).await
    }

    /// A call that must succeed.
    pub(crate) async fn ok(&self, method: &str, params: Value) -> Value {
        match self.call(method, params).await {
            Ok(result) => result,
            Err(error) => self.fail(&format!("{method} answered an error: {error:#?}")),
        }
    }

    /// A call that must fail.
    pub(crate) async fn err(&self, method: &str, params: Value) -> RpcError {
        match self.call(method, params).await {
            Ok(result) => self.fail(&format!("{method} should have failed: {result:#}")),
            Err(error) => error,
        }
    }

    /// Sends a request and goes on.
    pub(crate) async fn send(&self, method: &str, params: Value) -> Ticket {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.traffic
            .update(|traffic| traffic.contract.sent(id, method, &params));
        self.send_message(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .await;
        Ticket {
            id,
            method: method.to_owned(),
        }
    }

    pub(crate) async fn reply(&self, ticket: &Ticket) -> Result<Value, RpcError> {
        self.timed_reply(ticket).await.outcome
    }

    /// The reply and when it came.
    pub(crate) async fn timed_reply(&self, ticket: &Ticket) -> Reply {
        self.wait(&format!("the reply to {}", ticket.method), |traffic| {
            traffic.replies.get(&ticket.id).cloned()
        })
        .await
    }

    pub(crate) async fn notify(&self, method: &str, params: Value) {
        self.send_message(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
            .await;
    }

    /// Sends `$/cancelRequest`.
    pub(crate) async fn cancel(&self, ticket: &Ticket) {
        self.notify("$/cancelRequest", json!({"id": ticket.id}))
            .await;
    }

    pub(crate) async fn send_message(&self, message: &Value) {
        self.send_input(Input::line(message)).await;
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_raw(&self, bytes: impl Into<Vec<u8>>) {
        self.send_input(Input::Bytes(bytes.into())).await;
    }

    /// Waits until everything that was sent has been taken by the pipe.
    pub(crate) async fn written(&self) {
        let (mark, reached) = oneshot::channel();
        let _sent = self.input.send(Input::Mark(mark)).await;
        match tokio::time::timeout(PATIENCE, reached).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => self.fail("the daemon does not read its stdin"),
        }
    }

    /// Ends stdin.
    pub(crate) async fn close_stdin(&self) {
        self.send_input(Input::Close).await;
    }

    async fn send_input(&self, input: Input) {
        // If the daemon is gone, the wait that follows says so better.
        let _sent = self.input.send(input).await;
    }

    // --- answering --------------------------------------------------------------------------

    /// Answers the daemon's questions from now on.
    pub(crate) fn answer_with(&self, host: impl FnMut(&Question) -> Answer + Send + 'static) {
        *self.host.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(host);
    }

    /// Answers a question that was left for later.
    pub(crate) async fn answer(&self, asked: &Asked, answer: Answer) {
        self.send_message(&answer.into_message(&asked.id)).await;
    }

    // --- looking ----------------------------------------------------------------------------

    pub(crate) fn read<R>(&self, look: impl FnOnce(&Traffic) -> R) -> R {
        self.traffic.read(look)
    }

    /// Waits for something on the wire; fails the test with the daemon's last words.
    pub(crate) async fn wait<R>(
        &self,
        what: &str,
        mut find: impl FnMut(&Traffic) -> Option<R>,
    ) -> R {
        enum Found<R> {
            It(R),
            Ended,
        }
        let found = self
            .traffic
            .wait(PATIENCE, |traffic| match find(traffic) {
                Some(found) => Some(Found::It(found)),
                None => traffic.ended.then_some(Found::Ended),
            })
            .await;
        match found {
            Some(Found::It(found)) => found,
            Some(Found::Ended) => self.fail(&format!("the daemon ended; waited for {what}")),
            None => self.fail(&format!("waited {PATIENCE:?} in vain for {what}")),
        }
    }

    /// Waits for the first chunk of a prompt that fits.
    pub(crate) async fn wait_chunk(
        &self,
        request_id: &str,
        what: &str,
        fits: impl Fn(&Chunk) -> bool,
    ) -> Chunk {
        self.wait(&format!("{what} of {request_id}"), |traffic| {
            traffic
                .chunks
                .get(request_id)?
                .iter()
                .find(|chunk| fits(chunk))
                .cloned()
        })
        .await
    }

    /// Waits for a text delta of a prompt.
    pub(crate) async fn wait_text(&self, request_id: &str) -> Chunk {
        self.wait_chunk(request_id, "a text delta", |chunk| {
            chunk.kind() == "text-delta"
        })
        .await
    }

    /// Waits for the `count`th question with this method.
    pub(crate) async fn wait_question(&self, method: &str, count: usize) -> Asked {
        self.wait(&format!("question {count} of {method}"), |traffic| {
            traffic
                .questions
                .iter()
                .filter(|asked| asked.question.method == method)
                .nth(count - 1)
                .cloned()
        })
        .await
    }

    pub(crate) fn chunks(&self, request_id: &str) -> Vec<Chunk> {
        self.read(|traffic| traffic.chunks.get(request_id).cloned().unwrap_or_default())
    }

    /// The kinds of a prompt's events, repeated deltas told once.
    pub(crate) fn kinds(&self, request_id: &str) -> Vec<String> {
        let mut kinds: Vec<_> = self
            .chunks(request_id)
            .iter()
            .map(|chunk| chunk.kind().to_owned())
            .collect();
        kinds.dedup();
        kinds
    }

    /// All text deltas of a prompt, joined.
    pub(crate) fn text(&self, request_id: &str) -> String {
        self.read(|traffic| {
            traffic
                .chunks
                .get(request_id)
                .into_iter()
                .flatten()
                .filter(|chunk| chunk.kind() == "text-delta")
                .filter_map(|chunk| chunk.event["text"].as_str())
                .collect()
        })
    }

    pub(crate) fn questions(&self, method: &str) -> Vec<Asked> {
        self.read(|traffic| {
            traffic
                .questions
                .iter()
                .filter(|asked| asked.question.method == method)
                .cloned()
                .collect()
        })
    }

    /// Every line of stdout so far, as it came.
    pub(crate) fn transcript(&self) -> String {
        self.read(|traffic| traffic.lines.join("\n"))
    }

    pub(crate) fn stderr(&self) -> String {
        let bytes = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    // --- forgetting, for tests that run long ------------------------------------------------

    /// Hands over what came of an answered prompt, its chunks and its reply, and keeps nothing of
    /// it.
    pub(crate) fn take(&self, ticket: &Ticket, request_id: &str) -> (Vec<Chunk>, Option<Reply>) {
        self.traffic.update(|traffic| {
            traffic.contract.forget(request_id);
            let chunks = traffic.chunks.remove(request_id).unwrap_or_default();
            (chunks, traffic.replies.remove(&ticket.id))
        })
    }

    /// Forgets all notifications and questions, and all lines but the last.
    pub(crate) fn forget(&self) {
        self.traffic.update(|traffic| {
            let old = traffic.lines.len().saturating_sub(LAST_LINES);
            traffic.lines.drain(..old);
            traffic.notifications.clear();
            traffic.questions.clear();
        });
    }

    /// What the daemon wrote to stderr since the last time.
    pub(crate) fn take_stderr(&self) -> String {
        let mut bytes = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&std::mem::take(&mut *bytes)).into_owned()
    }

    // --- the process ------------------------------------------------------------------------

    /// Stops reading stdout, as a host that hangs.
    pub(crate) fn pause_stdout(&self) {
        self.reading.send_replace(false);
    }

    pub(crate) fn resume_stdout(&self) {
        self.reading.send_replace(true);
    }

    /// Memory that it fills now, and the most there ever was, in bytes. Of a debug build without
    /// the pages of the program file itself, which are many there.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let [now, ever, program] = self.status(["VmRSS:", "VmHWM:", "RssFile:"]);
        let program = if cfg!(debug_assertions) { program } else { 0 };
        (now.saturating_sub(program), ever.saturating_sub(program))
    }

    /// Memory that it fills now with what is in no file, in bytes.
    pub(crate) fn anonymous_memory(&self) -> u64 {
        let [now] = self.status(["RssAnon:"]);
        now
    }

    /// These lines of the kernel's table of the process, in bytes.
    fn status<const N: usize>(&self, names: [&str; N]) -> [u64; N] {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))
            .expect("the daemon is running");
        names.map(|name| {
            let line = status.lines().find(|line| line.starts_with(name));
            let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            kibibytes.unwrap_or(0_u64) * 1024
        })
    }

    /// How many files, pipes and sockets it has open.
    pub(crate) fn descriptors(&self) -> usize {
        descriptors(self.pid)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The ids of the processes that it started, and of what those started.
    pub(crate) fn children(&self) -> Vec<u32> {
        descendants(self.pid)
    }

    pub(crate) async fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid.to_string()])
            .status()
            .await
            .expect("kill runs");
        assert!(status.success(), "kill -{name} failed");
    }

    /// Waits for the end of the process.
    pub(crate) async fn exit(&mut self, limit: Duration) -> ExitStatus {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => self.fail(&format!("the daemon did not exit within {limit:?}")),
        }
    }

    /// Waits until everything that it said before its end has been read.
    pub(crate) async fn wait_end(&self) {
        let ended = |traffic: &Traffic| traffic.ended.then_some(());
        if self.traffic.wait(PATIENCE, ended).await.is_none() {
            self.fail("somebody still holds the daemon's stdout");
        }
    }

    /// The polite end: `shutdown`, then the end of stdin.
    pub(crate) async fn shut_down(mut self) {
        self.ok("shutdown", json!({})).await;
        self.close_stdin().await;
        let status = self.exit(Duration::from_secs(2)).await;
        assert!(
            status.success(),
            "exit {status}; stderr:\n{}",
            self.stderr()
        );
        let unanswered = self.read(|traffic| traffic.contract.unanswered());
        assert!(unanswered.is_empty(), "never answered: {unanswered:?}");
    }

    /// Fails the test with what is needed to understand why.
    pub(crate) fn fail(&self, what: &str) -> ! {
        let stdout = self.read(|traffic| {
            let from = traffic.lines.len().saturating_sub(LAST_LINES);
            traffic.lines[from..]
                .iter()
                .map(|line| line.chars().take(300).collect::<String>())
                .collect::<Vec<_>>()
                .join("\n")
        });
        let statuses = self.read(|traffic| format!("{:#?}", traffic.statuses));
        let stderr = self.stderr();
        let tail = stderr.lines().rev().take(30).collect::<Vec<_>>();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        panic!(
            "{what}\n--- last lines of stdout\n{stdout}\n--- connections\n{statuses}\n\
             --- tail of stderr\n{tail}"
        );
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let broken = self.read(|traffic| traffic.contract.broken().to_vec());
        if !broken.is_empty() && !std::thread::panicking() {
            self.fail(&format!("the contract was broken: {broken:#?}"));
        }
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Daemon({})", self.pid)
    }
}

async fn write(mut stdin: impl AsyncWrite + Unpin, mut inputs: mpsc::Receiver<Input>) {
    loop {
        match inputs.recv().await {
            Some(Input::Bytes(bytes)) => {
                if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
                    return;
                }
            }
            // Who asked may have failed by now.
            Some(Input::Mark(mark)) => _ = mark.send(()),
            Some(Input::Close) | None => return,
        }
    }
}

async fn keep(mut from: ChildStderr, to: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 8192];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let mut kept = to.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..length]);
    }
}

/// The task that reads the daemon's stdout.
struct Ears {
    traffic: Arc<Journal<Traffic>>,
    host: Arc<Mutex<Host>>,
    input: mpsc::Sender<Input>,
    reading: watch::Receiver<bool>,
}

impl Ears {
    async fn listen(mut self, stdout: impl AsyncRead + Unpin) {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        loop {
            if self.reading.wait_for(|reading| *reading).await.is_err() {
                break;
            }
            line.clear();
            match stdout.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line);
            if let Some(answer) = self.hear(text.trim_end_matches('\n')) {
                // A daemon that is gone says no more, either.
                let _sent = self.input.send(answer).await;
            }
        }
        self.traffic.update(|traffic| traffic.ended = true);
    }

    /// Files a line; returns what the host says to it.
    fn hear(&self, line: &str) -> Option<Input> {
        let at = Instant::now();
        let heard = self.traffic.update(|traffic| {
            traffic.lines.push(line.to_owned());
            let message = traffic.contract.received(line)?;
            let params = &message["params"];
            match (message["method"].as_str(), message.get("id")) {
                (Some(method), Some(id)) => {
                    let asked = Asked {
                        id: id.clone(),
                        question: Question {
                            method: method.to_owned(),
                            params: params.clone(),
                        },
                        cancelled: None,
                    };
                    let heard = (id.clone(), Some(asked.question.clone()));
                    traffic.questions.push(asked);
                    return Some(heard);
                }
                (Some("$/cancelRequest"), None) => {
                    let mut asked = traffic.questions.iter_mut();
                    if let Some(asked) = asked.find(|asked| asked.id == params["id"]) {
                        asked.cancelled = Some(at);
                    }
                    return Some((params["id"].clone(), None));
                }
                (Some("remote-llm/stream-chunk"), None) => {
                    let name = params["requestId"].as_str().unwrap_or_default();
                    let chunk = Chunk {
                        at,
                        seq: params["seq"].as_u64().unwrap_or_default(),
                        round: params["round"].as_u64().unwrap_or_default(),
                        event: params["event"].clone(),
                    };
                    let chunks = traffic.chunks.entry(name.to_owned());
                    chunks.or_default().push(chunk);
                }
                (Some(method), None) => {
                    if method == "remote-llm/connection-status" {
                        let config_id = params["configId"].as_str().unwrap_or_default();
                        let status = (at, params.clone());
                        traffic.statuses.insert(config_id.to_owned(), status);
                    }
                    traffic.notifications.push(message);
                }
                (None, _) => {
                    let outcome = match message.get("error") {
                        Some(error) => Err(RpcError::new(error)),
                        None => Ok(message["result"].clone()),
                    };
                    match message["id"].as_u64() {
                        Some(id) => {
                            traffic.replies.insert(id, Reply { at, outcome });
                        }
                        None => traffic.orphans.push(message),
                    }
                }
            }
            None
        });
        let (id, question) = heard?;
        let answer = match question {
            Some(question) => {
                let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
                host(&question)
            }
            // Whoever answers later than this answers twice, which the daemon must survive too.
            None => Answer::cancelled(),
        };
        match answer {
            Answer::Later => None,
            Answer::After(delay, answer) => {
                let input = self.input.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _sent = input.send(Input::line(&answer.into_message(&id))).await;
                });
                None
            }
            answer => Some(Input::line(&answer.into_message(&id))),
        }
    }
}
