//! An LLM server that answers as the first word of the question says. On threads of its own, so
//! that what else runs here does not delay its tokens.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A token each [`CADENCE`], for ever.
pub(crate) const STEADY: &str = "STEADY";
/// Tokens as fast as they are taken, for ever.
pub(crate) const FLOOD: &str = "FLOOD";
/// Reads the question, then answers with a word.
pub(crate) const LISTEN: &str = "LISTEN";

pub(crate) const CADENCE: Duration = Duration::from_millis(10);

/// Before every answer.
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

pub(crate) struct Model {
    pub(crate) port: u16,
    traffic: Arc<Traffic>,
}

/// Bytes of floods sent, and of long questions received.
#[derive(Default)]
struct Traffic(AtomicU64);

impl Model {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let traffic = Arc::new(Traffic::default());
        let shared = Arc::clone(&traffic);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A client that goes is the end of it.
                thread::spawn(move || drop(serve(socket, &shared)));
            }
        });
        Ok(Self { port, traffic })
    }

    /// How many bytes disturbances have moved so far.
    pub(crate) fn moved(&self) -> u64 {
        self.traffic.0.load(Ordering::Relaxed)
    }
}

fn serve(mut socket: TcpStream, traffic: &Traffic) -> io::Result<()> {
    socket.set_nodelay(true)?;
    loop {
        let question = receive(&mut socket, traffic)?;
        let asks = |kind: &str| question.contains(kind);
        socket.write_all(HEAD)?;
        if asks(STEADY) {
            talk(&mut socket)?;
        } else if asks(FLOOD) {
            flood(&mut socket, traffic)?;
        }
        let end = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Yes.\"},\
                   \"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        socket.write_all(&chunk(end))?;
        socket.write_all(b"0\r\n\r\n")?;
    }
}

/// Reads a request; returns its head and the beginning of its body.
fn receive(socket: &mut TcpStream, traffic: &Traffic) -> io::Result<String> {
    const ENOUGH: usize = 8 * 1024;
    let mut text = Vec::new();
    let mut space = vec![0; 256 * 1024];
    let mut left = None;
    while left != Some(0) {
        let length = socket.read(&mut space)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = space.get(..length).unwrap_or_default();
        match &mut left {
            Some(left) => {
                *left -= length.min(*left);
                traffic.0.fetch_add(length as u64, Ordering::Relaxed);
                let room = ENOUGH.saturating_sub(text.len()).min(length);
                text.extend_from_slice(bytes.get(..room).unwrap_or_default());
            }
            None => {
                text.extend_from_slice(bytes);
                left = still_to_come(&text);
            }
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// How much of the body is missing; `None` while the head is.
fn still_to_come(text: &[u8]) -> Option<usize> {
    let end = text.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(text.get(..end)?).to_lowercase();
    let (_, length) = head.split_once("content-length:")?;
    let length: usize = length.lines().next()?.trim().parse().ok()?;
    Some(length.saturating_sub(text.len() - end))
}

fn talk(socket: &mut TcpStream) -> io::Result<()> {
    let token = event("twenty letters, about");
    let mut due = Instant::now();
    loop {
        socket.write_all(&token)?;
        due += CADENCE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn flood(socket: &mut TcpStream, traffic: &Traffic) -> io::Result<()> {
    let block = event("a flood of words, none of them of any weight; ").repeat(300);
    loop {
        socket.write_all(&block)?;
        traffic.0.fetch_add(block.len() as u64, Ordering::Relaxed);
    }
}

fn event(text: &str) -> Vec<u8> {
    chunk(&format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"smol\",\
         \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
    ))
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}
