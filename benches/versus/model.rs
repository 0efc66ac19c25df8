//! The LLM server that every way leads to: small, fast, and none of the daemon's code. It has a
//! thread of its own. What it answers, the beginning of the question says:
//!
//! ```text
//! MODE tokens=50 every=20000 together=100;
//! ```
//!
//! `tokens` of 16 bytes each, one `every` so many microseconds (0: as fast as they are taken), once
//! `together` questions have come. Each token is the moment at which it was sent. `bytes=N` is an
//! answer of so many bytes instead, in pieces of 8 KiB, `pieces` of them a millisecond.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
    transfer-encoding: chunked\r\n\r\n";
const BEFORE: &str = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"smol","choices":[{"index":0,"delta":{"content":""#;
const AFTER: &str = r#""},"finish_reason":null}]}"#;
const END: &str = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"smol","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const MODELS: &str =
    r#"{"object":"list","data":[{"id":"smol","object":"model","created":1,"owned_by":"bench"}]}"#;

/// Tokens that one write of a burst has.
const BATCH: usize = 16;
/// Bytes of one event of a large answer.
const PIECE: usize = 8192;

/// The running server.
pub(crate) struct Model {
    pub(crate) port: u16,
    gate: Arc<Gate>,
}

/// Where questions wait for each other.
#[derive(Default)]
struct Gate {
    waiting: Mutex<usize>,
    /// How often it was opened.
    opened: watch::Sender<u64>,
}

impl Model {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let gate = Arc::new(Gate::default());
        let shared = Arc::clone(&gate);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else {
                    return;
                };
                while let Ok((socket, _)) = listener.accept().await {
                    let gate = Arc::clone(&shared);
                    // A client that goes is the end of it.
                    tokio::spawn(async move { drop(serve(socket, &gate).await) });
                }
            });
        });
        Ok(Self { port, gate })
    }

    /// Tells when questions that waited for each other are answered.
    pub(crate) fn openings(&self) -> watch::Receiver<u64> {
        self.gate.opened.subscribe()
    }
}

impl Gate {
    /// Waits until so many are here; returns which of them this one is.
    async fn pass(&self, together: usize) -> usize {
        let mut opened = self.opened.subscribe();
        let seen = *opened.borrow_and_update();
        let number = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            *waiting += 1;
            let number = *waiting;
            if number >= together {
                *waiting = 0;
                self.opened.send_modify(|times| *times += 1);
            }
            number
        };
        // The sender is ours.
        let _opened = opened.wait_for(|times| *times > seen).await;
        number
    }
}

/// What a question asks for.
#[derive(Clone, Copy, Default)]
struct Mode {
    tokens: usize,
    every: u64,
    together: usize,
    bytes: usize,
    pieces: usize,
}

impl Mode {
    fn read(question: &[u8]) -> Self {
        let mut mode = Self::default();
        let start = memchr::memmem::find(question, b"MODE ").unwrap_or_default();
        let words = question.get(start..(start + 120).min(question.len()));
        let text = String::from_utf8_lossy(words.unwrap_or_default());
        let words = text.split(';').next().unwrap_or_default();
        for (name, value) in words.split(' ').filter_map(|word| word.split_once('=')) {
            let Ok(value) = value.parse() else { continue };
            match name {
                "tokens" => mode.tokens = value,
                "every" => mode.every = value as u64,
                "together" => mode.together = value,
                "bytes" => mode.bytes = value,
                "pieces" => mode.pieces = value,
                _ => {}
            }
        }
        mode
    }
}

async fn serve(mut socket: TcpStream, gate: &Gate) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut read = Vec::with_capacity(64 * 1024);
    loop {
        let Some(question) = receive(&mut socket, &mut read).await? else {
            return Ok(());
        };
        match question {
            Question::Chat(mode) => {
                answer(&mut socket, mode, gate).await?;
            }
            Question::Models => respond(&mut socket, "200 OK", MODELS).await?,
            Question::Other => respond(&mut socket, "404 Not Found", "{}").await?,
        }
    }
}

enum Question {
    Chat(Mode),
    Models,
    Other,
}

/// Reads a request to its end; of a long one only the beginning is kept.
async fn receive(socket: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<Option<Question>> {
    let head = loop {
        if let Some(end) = memchr::memmem::find(read, b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(read).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&read[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse::<usize>().ok())
        .unwrap_or_default();
    let question = match text.split(' ').nth(1) {
        Some("/v1/chat/completions") => {
            while read.len() < head + length.min(4096) {
                if socket.read_buf(read).await? == 0 {
                    return Ok(None);
                }
            }
            Question::Chat(Mode::read(&read[head..]))
        }
        Some("/v1/models") => Question::Models,
        _ => Question::Other,
    };
    let mut left = (head + length).saturating_sub(read.len());
    read.drain(..(head + length).min(read.len()));
    let mut sink = vec![0; left.min(1 << 20)];
    while left > 0 {
        let room = left.min(sink.len());
        match socket.read(&mut sink[..room]).await? {
            0 => return Ok(None),
            length => left -= length,
        }
    }
    Ok(Some(question))
}

async fn respond(socket: &mut TcpStream, status: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    socket.write_all(text.as_bytes()).await
}

async fn answer(socket: &mut TcpStream, mode: Mode, gate: &Gate) -> io::Result<()> {
    let number = match mode.together {
        0 => 0,
        together => gate.pass(together).await,
    };
    socket.write_all(HEAD).await?;
    let mut out = Vec::with_capacity(2 * PIECE);
    if mode.every > 0 {
        // Each at a moment of its own, as answers of different requests come.
        let every = Duration::from_micros(mode.every);
        let phase = every * u32::try_from(number).unwrap_or(0)
            / u32::try_from(mode.together.max(1)).unwrap_or(1);
        let mut clock = interval_at(Instant::now() + phase, every);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..mode.tokens {
            clock.tick().await;
            out.clear();
            put_token(&mut out);
            socket.write_all(&out).await?;
        }
    } else {
        for first in (0..mode.tokens).step_by(BATCH) {
            out.clear();
            for _ in first..(first + BATCH).min(mode.tokens) {
                put_token(&mut out);
            }
            socket.write_all(&out).await?;
        }
    }
    large(socket, mode, &mut out).await?;
    out.clear();
    put_chunk(&mut out, &[END, "\n\ndata: [DONE]\n\n"]);
    out.extend_from_slice(b"0\r\n\r\n");
    socket.write_all(&out).await
}

/// `bytes` in pieces, so many of them each millisecond, or as they are taken.
async fn large(socket: &mut TcpStream, mode: Mode, out: &mut Vec<u8>) -> io::Result<()> {
    let mut clock = interval_at(Instant::now(), Duration::from_millis(1));
    let piece = "x".repeat(PIECE);
    for (number, start) in (0..mode.bytes).step_by(PIECE).enumerate() {
        if mode.pieces > 0 && number % mode.pieces == 0 {
            clock.tick().await;
        }
        out.clear();
        let length = PIECE.min(mode.bytes - start);
        put_chunk(out, &[BEFORE, &piece[..length], AFTER, "\n\n"]);
        socket.write_all(out).await?;
    }
    Ok(())
}

fn put_token(out: &mut Vec<u8>) {
    let token = format!(" {:015}", micros());
    put_chunk(out, &[BEFORE, &token, AFTER, "\n\n"]);
}

/// One piece of a chunked body.
fn put_chunk(out: &mut Vec<u8>, parts: &[&str]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.extend_from_slice(format!("{length:x}\r\n").as_bytes());
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// The machine's monotonic clock, which other processes read, too.
fn micros() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000)
}
