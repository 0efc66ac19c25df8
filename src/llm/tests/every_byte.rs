//! Recorded exchanges, cut at every byte of the request and of the response, in every manner.
//!
//! Whatever happens: no more requests than the rules allow, no text and no call told twice, and
//! nothing called whole that is not.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    captures::capture,
    peer::{Refused, whole_request},
};
use crate::llm::{
    BoxFuture, ByteStream, ChatEvent, Completion, Dial, Error, Opener, Options, Server, Timing,
};

/// Where a connection ends.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// After so many bytes of the request were taken.
    Request(usize),
    /// After so many bytes of the response were given.
    Response(usize),
}

/// How it ends.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// The server closes.
    Close,
    /// The server resets.
    Reset,
    /// The way there breaks down.
    Loss,
}

const MANNERS: [Manner; 3] = [Manner::Close, Manner::Reset, Manner::Loss];

impl Manner {
    fn error(self) -> io::Error {
        match self {
            Self::Close => io::ErrorKind::BrokenPipe.into(),
            Self::Reset => io::ErrorKind::ConnectionReset.into(),
            Self::Loss => io::Error::other(Refused),
        }
    }
}

/// What happens to the connections of a server.
struct Scene {
    response: Vec<u8>,
    cut: Cut,
    manner: Manner,
    /// The first connections are cut, the others are not.
    cuts: usize,
    /// What each connection took of its request.
    taken: Mutex<Vec<Vec<u8>>>,
}

/// One connection.
struct Line {
    scene: Arc<Scene>,
    number: usize,
    given: usize,
    reader: Option<Waker>,
}

impl Line {
    fn cut(&self) -> Option<Cut> {
        (self.number < self.scene.cuts).then_some(self.scene.cut)
    }

    fn with_taken<R>(&self, look: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        look(&mut self.scene.taken.lock().unwrap()[self.number])
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let limit = match self.cut() {
            Some(Cut::Request(limit)) => limit,
            Some(Cut::Response(_)) | None => usize::MAX,
        };
        let room = self.with_taken(|taken| {
            let room = bytes.len().min(limit - taken.len());
            taken.extend_from_slice(&bytes[..room]);
            room
        });
        self.reader.take().into_iter().for_each(Waker::wake);
        match room {
            0 => Poll::Ready(Err(self.scene.manner.error())),
            room => Poll::Ready(Ok(room)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (taken, whole) = self.with_taken(|taken| (taken.len(), whole_request(taken).is_some()));
        let response = self.scene.response.len();
        let (limit, is_cut) = match self.cut() {
            Some(Cut::Request(limit)) => (0, taken >= limit),
            Some(Cut::Response(limit)) => (limit, whole),
            None => (response, false),
        };
        let ready = limit.min(if whole { response } else { 0 }) - self.given;
        if ready > 0 {
            // All at once, or in pieces that have nothing to do with where events end.
            let piece = if limit % 2 == 0 { ready } else { 101 };
            let piece = piece.min(ready).min(buffer.remaining());
            buffer.put_slice(&self.scene.response[self.given..][..piece]);
            self.given += piece;
            return Poll::Ready(Ok(()));
        }
        match (is_cut, self.scene.manner) {
            (false, _) => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            (true, Manner::Close) => Poll::Ready(Ok(())),
            (true, manner) => Poll::Ready(Err(manner.error())),
        }
    }
}

struct Lines(Arc<Scene>);

impl Opener<Refused> for Lines {
    fn open(&self, _to: &Dial) -> BoxFuture<'_, Result<Box<dyn ByteStream>, Refused>> {
        let number = {
            let mut taken = self.0.taken.lock().unwrap();
            taken.push(Vec::new());
            taken.len() - 1
        };
        let line = Line {
            scene: Arc::clone(&self.0),
            number,
            given: 0,
            reader: None,
        };
        Box::pin(async { Ok(Box::new(line) as Box<dyn ByteStream>) })
    }
}

/// What was told of an exchange.
struct Told {
    /// Of the connections that took anything.
    requests: Vec<Vec<u8>>,
    connections: usize,
    text: String,
    /// Ids and arguments, in the order in which they began.
    calls: Vec<(String, String)>,
    warnings: usize,
    result: Result<Completion, Error<Refused>>,
}

impl Told {
    fn is_output(&self) -> bool {
        !self.text.is_empty() || !self.calls.is_empty()
    }
}

/// Asks a server whose first `cuts` connections are cut so.
async fn exchange(response: &[u8], cut: Cut, manner: Manner, cuts: usize) -> Told {
    let scene = Arc::new(Scene {
        response: response.to_vec(),
        cut,
        manner,
        cuts,
        taken: Mutex::default(),
    });
    let endpoint = "http://localhost:8080".parse().unwrap();
    let opener = Arc::new(Lines(Arc::clone(&scene)));
    let server = Server::new(endpoint, opener, Options::default());
    let (events, result) = super::peer::outcome(&server).await;
    let mut told = Told {
        requests: Vec::new(),
        connections: 0,
        text: String::new(),
        calls: Vec::new(),
        warnings: 0,
        result: result.map(|completion| Completion {
            timing: Timing::default(),
            ..completion
        }),
    };
    for event in events {
        match event {
            ChatEvent::Text(text) => told.text += &text,
            ChatEvent::ToolCallStarted { id, .. } => told.calls.push((id, String::new())),
            ChatEvent::ToolCallDelta { id, fragment } => {
                told.calls.iter_mut().find(|call| call.0 == id).unwrap().1 += &fragment;
            }
            ChatEvent::Warning(_) => {
                assert!(!told.is_output(), "sent again after output");
                told.warnings += 1;
            }
            ChatEvent::Status { .. } | ChatEvent::Waiting { .. } | ChatEvent::Usage(_) => {}
            ChatEvent::Reasoning(_) | ChatEvent::Finished(_) => panic!("{event:?}"),
        }
    }
    let mut taken = scene.taken.lock().unwrap();
    told.connections = taken.len();
    told.requests = std::mem::take(&mut *taken);
    told.requests.retain(|request| !request.is_empty());
    told
}

/// Cuts a recording everywhere. It counts as whole once all up to `end` has come. Gives the number
/// of exchanges.
async fn cut_everywhere(name: &str, end: &str) -> usize {
    let response = capture(name);
    let whole = exchange(&response, Cut::Request(0), Manner::Close, 0).await;
    let completion = whole.result.unwrap();
    let request = whole_request(&whole.requests[0]).unwrap();
    let text = std::str::from_utf8(&response).unwrap();
    let end = text.rfind(end).unwrap() + end.len();
    let cuts = (0..request)
        .map(Cut::Request)
        .chain((0..response.len()).map(Cut::Response));
    let mut exchanges = 0;
    for (cut, manner) in cuts.flat_map(|cut| MANNERS.map(|manner| (cut, manner))) {
        let place = format!("{name} {cut:?} {manner:?}");
        let told = exchange(&response, cut, manner, usize::MAX).await;
        exchanges += 1;
        // A: three connections by the default of two resends, and no request. B and D: twice.
        // E, or all that matters came: once.
        let (requests, connections) = match cut {
            Cut::Request(0) => (0, 3),
            _ if told.is_output() || told.result.is_ok() => (1, 1),
            _ => (2, 2),
        };
        assert_eq!(told.requests.len(), requests, "{place}");
        assert_eq!(told.connections, connections, "{place}");
        assert_eq!(told.warnings, connections - 1, "{place}");
        assert!(whole.text.starts_with(&told.text), "{place}: {}", told.text);
        assert!(told.calls.len() <= whole.calls.len(), "{place}");
        for ((id, input), whole) in told.calls.iter().zip(&whole.calls) {
            assert!(*id == whole.0 && whole.1.starts_with(input), "{place}");
        }
        match told.result {
            Ok(told) => {
                assert!(matches!(cut, Cut::Response(cut) if cut >= end), "{place}");
                assert_eq!(told.content, completion.content, "{place}");
            }
            Err(Error::NoReply { .. } | Error::Interrupted { .. }) => {}
            Err(error) => panic!("{place}: {error:?}"),
        }
        if connections == 1 {
            continue;
        }
        let told = exchange(&response, cut, manner, 1).await;
        exchanges += 1;
        assert_eq!((told.connections, told.warnings), (2, 1), "{place}");
        assert_eq!(told.result.unwrap(), completion, "{place}");
        assert_eq!((&told.text, &told.calls), (&whole.text, &whole.calls));
        let last = told.requests.last().unwrap();
        for request in &told.requests {
            assert!(last.starts_with(request), "{place}: another request");
        }
    }
    exchanges
}

#[tokio::test(start_paused = true)]
async fn a_streamed_text_cut_anywhere_is_told_once() {
    let name = "llama-server/router-second-model-stream";
    let exchanges = cut_everywhere(name, "\"finish_reason\":\"length\"").await;
    assert!(exchanges > 8_000, "{exchanges}");
}

#[tokio::test(start_paused = true)]
async fn a_streamed_call_cut_anywhere_is_told_once() {
    let name = "vllm/tool-named-stream";
    let exchanges = cut_everywhere(name, "\"finish_reason\":\"stop\"").await;
    assert!(exchanges > 16_000, "{exchanges}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_one_piece_cut_anywhere_is_told_once() {
    let name = "llama-server/tpl-Qwen3-Coder-fewshot-tool-required";
    let exchanges = cut_everywhere(name, "}").await;
    assert!(exchanges > 7_000, "{exchanges}");
}
