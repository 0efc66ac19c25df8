//! An OpenAI-compatible server in this process that answers as it is told, records what it was
//! asked, and notices when a client goes. Also used by `examples/quickstart`.

mod http;
mod models;
pub(crate) mod ollama;
pub(crate) mod script;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use super::journal::Journal;
pub(crate) use http::Request;
pub(crate) use models::Dialect;
pub(crate) use script::{Call, Reply, Step};

/// One request and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// Which TCP connection it came on, counted from 0.
    pub(crate) connection: usize,
    pub(crate) request: Request,
    pub(crate) received: Instant,
    /// When the last byte of the answer was handed to the socket.
    pub(crate) answered: Option<Instant>,
    /// When the client closed the connection before the answer was complete.
    pub(crate) abandoned: Option<Instant>,
}

/// A running server; it and its connections end when it is dropped.
#[derive(Debug)]
pub(crate) struct LlmServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

type Answer = Arc<dyn Fn(&Request) -> Option<Reply> + Send + Sync>;

struct Shared {
    dialect: Journal<Dialect>,
    answer: Journal<Answer>,
    exchanges: Journal<Vec<Exchange>>,
    remembers: AtomicBool,
    hang_ups: Journal<HangUps>,
    /// How many connections are open now.
    open: Journal<usize>,
}

/// Requests that are not read to their end.
#[derive(Debug, Default)]
struct HangUps {
    /// After how many bytes of each of the next ones the connection ends.
    next: VecDeque<usize>,
    made: usize,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl LlmServer {
    /// Listens on a free port of 127.0.0.1, as llama.cpp with one model, `smol`, that says hello.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            dialect: Journal::new(Dialect::default()),
            answer: Journal::new(Arc::new(|_: &Request| None)),
            exchanges: Journal::new(Vec::new()),
            remembers: AtomicBool::new(true),
            hang_ups: Journal::new(HangUps::default()),
            open: Journal::new(0),
        });
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            acceptor,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The `apiEndpoint` as seen from the machine it runs on.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    pub(crate) fn imitate(&self, dialect: Dialect) {
        self.shared.dialect.update(|present| *present = dialect);
    }

    /// Answers prompts by whichever API; everything else stays as the dialect has it.
    pub(crate) fn on_chat(&self, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        self.on_any(move |request| is_chat(request).then(|| answer(request)));
    }

    /// Answers any request it wants to, before the dialect does.
    pub(crate) fn on_any(
        &self,
        answer: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) {
        self.shared
            .answer
            .update(|present| *present = Arc::new(answer));
    }

    /// Keeps no record of later requests, so that a long test does not grow.
    pub(crate) fn remember_nothing(&self) {
        self.shared.remembers.store(false, Ordering::Relaxed);
    }

    /// Ends the connections of the next requests, each once so many bytes of it were read.
    pub(crate) fn hang_up(&self, after: &[usize]) {
        self.shared
            .hang_ups
            .update(|hang_ups| hang_ups.next.extend(after));
    }

    /// Requests that were not read to their end.
    pub(crate) fn hung_up(&self) -> usize {
        self.shared.hang_ups.read(|hang_ups| hang_ups.made)
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.shared.exchanges.read(Vec::clone)
    }

    /// The prompts so far, by whichever API.
    pub(crate) fn chats(&self) -> Vec<Exchange> {
        let mut exchanges = self.exchanges();
        exchanges.retain(|exchange| is_chat(&exchange.request));
        exchanges
    }

    /// What the model was told in answer to its calls, in the last request.
    pub(crate) fn told(&self) -> Vec<String> {
        let chats = self.chats();
        let last = chats.last().map(|chat| chat.request.messages());
        let messages = last.unwrap_or_default().iter();
        messages
            .filter(|message| message["role"] == "tool")
            .map(|message| message["content"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Waits for something to happen here.
    pub(crate) async fn wait<R>(
        &self,
        limit: Duration,
        mut find: impl FnMut(&[Exchange]) -> Option<R>,
    ) -> Option<R> {
        self.shared
            .exchanges
            .wait(limit, |exchanges| find(exchanges))
            .await
    }

    /// Waits until exactly this many connections are open here; how many there are if it is in
    /// vain.
    pub(crate) async fn wait_open(&self, count: usize, limit: Duration) -> Result<(), usize> {
        let open = &self.shared.open;
        let reached = open.wait(limit, |open| (*open == count).then_some(()));
        reached.await.ok_or_else(|| open.read(|open| *open))
    }
}

impl Drop for LlmServer {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

fn is_chat(request: &Request) -> bool {
    request.method == "POST"
        && (request.path.ends_with("/chat/completions") || request.path == ollama::CHAT)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, which ends the connections too.
    let mut connections = JoinSet::new();
    let mut count = 0;
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            shared.open.update(|open| *open += 1);
            serve(socket, count, &shared).await;
            shared.open.update(|open| *open -= 1);
        });
        count += 1;
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(socket: TcpStream, connection: usize, shared: &Shared) {
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let (mut reader, mut writer) = socket.into_split();
    let mut buffer = Vec::new();
    loop {
        // Whether it is read to its end is decided when it begins.
        if http::read_bytes(&mut reader, &mut buffer, 1)
            .await
            .is_none()
        {
            return;
        }
        let hang_up = shared.hang_ups.update(|hang_ups| {
            let after = hang_ups.next.pop_front();
            hang_ups.made += usize::from(after.is_some());
            after
        });
        if let Some(after) = hang_up {
            let _read = http::read_bytes(&mut reader, &mut buffer, after).await;
            return;
        }
        let Some(request) = http::read_request(&mut reader, &mut buffer).await else {
            return;
        };
        let reply = reply_to(&request, shared);
        let remembered = shared.remembers.load(Ordering::Relaxed).then(|| {
            shared.exchanges.update(|exchanges| {
                exchanges.push(Exchange {
                    connection,
                    request,
                    received: Instant::now(),
                    answered: None,
                    abandoned: None,
                });
                exchanges.len() - 1
            })
        });
        let keep = tokio::select! {
            keep = write_reply(&mut writer, reply) => keep.unwrap_or(End::Abandoned),
            () = http::gone(&mut reader, &mut buffer) => End::Abandoned,
        };
        shared.exchanges.update(|exchanges| {
            if let Some(exchange) = remembered.and_then(|index| exchanges.get_mut(index)) {
                let now = Some(Instant::now());
                match keep {
                    End::Kept => exchange.answered = now,
                    End::Cut => {}
                    End::Abandoned => exchange.abandoned = now,
                }
            }
        });
        if keep != End::Kept {
            return;
        }
    }
}

fn reply_to(request: &Request, shared: &Shared) -> Reply {
    let answer = shared.answer.read(Arc::clone);
    if let Some(reply) = answer(request) {
        return reply;
    }
    let dialect = shared.dialect.read(|dialect| *dialect);
    if request.path == ollama::CHAT {
        return match dialect {
            Dialect::Ollama => ollama::text(&["Hello", " from", " Ollama."]),
            Dialect::LlamaCpp | Dialect::Vllm => Reply::error(404, "File Not Found"),
        };
    }
    if is_chat(request) {
        return Reply::text(&["Hello", " from", " the", " scripted", " server."]);
    }
    dialect.answer(request)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Kept,
    /// By the script.
    Cut,
    /// By the client.
    Abandoned,
}

impl Reply {
    /// All that is sent of it.
    pub(crate) async fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Memory takes everything.
        let _end = write_reply(&mut bytes, self).await;
        bytes
    }
}

async fn write_reply(to: &mut (impl AsyncWrite + Unpin), reply: Reply) -> io::Result<End> {
    match reply {
        Reply::Full {
            status,
            content_type,
            headers,
            body,
        } => {
            let mut head = format!(
                "HTTP/1.1 {status} Scripted\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n",
                body.len()
            );
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            to.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
            Ok(End::Kept)
        }
        Reply::Stream(steps) => {
            let head = "Server: llama.cpp\r\nContent-Type: text/event-stream";
            stream(to, head, steps).await
        }
        Reply::Lines(steps) => {
            let head = "Content-Type: application/x-ndjson";
            stream(to, head, steps).await
        }
        Reply::Broken(bytes) => {
            to.write_all(&bytes).await?;
            Ok(End::Cut)
        }
        Reply::Silence => std::future::pending().await,
    }
}

async fn stream(
    to: &mut (impl AsyncWrite + Unpin),
    headers: &str,
    steps: Vec<Step>,
) -> io::Result<End> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\nTransfer-Encoding: chunked\r\n\r\n");
    to.write_all(head.as_bytes()).await?;
    for step in steps {
        if let Some(end) = take(to, step).await? {
            return Ok(end);
        }
    }
    to.write_all(b"0\r\n\r\n").await?;
    Ok(End::Kept)
}

/// Takes one step of a stream; an end means that it was the last.
async fn take(to: &mut (impl AsyncWrite + Unpin), step: Step) -> io::Result<Option<End>> {
    match step {
        Step::Event(event) => to.write_all(&chunked(&data(&event))).await?,
        Step::Raw(bytes) => to.write_all(&chunked(&bytes)).await?,
        Step::Pause(time) => tokio::time::sleep(time).await,
        // A test that is gone does not say when.
        Step::Until(mut open) => _ = open.wait_for(|open| *open).await,
        Step::Tokens { count, every, text } => tokens(to, count, every, text).await?,
        Step::Cut => {
            to.write_all(b"ff\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"cont")
                .await?;
            return Ok(Some(End::Cut));
        }
        Step::End => {
            to.write_all(b"0\r\n\r\n").await?;
            return Ok(Some(End::Kept));
        }
        Step::Silence => std::future::pending().await,
    }
    Ok(None)
}

async fn tokens(
    to: &mut (impl AsyncWrite + Unpin),
    count: Option<u64>,
    every: Duration,
    text: fn(u64) -> String,
) -> io::Result<()> {
    let mut clock = (!every.is_zero()).then(|| {
        let mut clock = tokio::time::interval(every);
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        clock
    });
    let mut batch = Vec::new();
    let mut number = 0;
    while count.is_none_or(|count| number < count) {
        if let Some(clock) = &mut clock {
            clock.tick().await;
        }
        let delta = script::chunk_value(&serde_json::json!({"content": text(number)}), None);
        batch.extend(chunked(&data(&delta)));
        number += 1;
        if clock.is_some() || batch.len() > 16 * 1024 {
            to.write_all(&batch).await?;
            batch.clear();
        }
    }
    to.write_all(&batch).await
}

fn data(event: &serde_json::Value) -> String {
    format!("data: {event}\n\n")
}

fn chunked(bytes: &str) -> Vec<u8> {
    format!("{:x}\r\n{bytes}\r\n", bytes.len()).into_bytes()
}
