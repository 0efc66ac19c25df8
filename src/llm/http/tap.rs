//! A byte stream that remembers what hyper does not tell: how far sending got, what the other
//! side said first, and the carrier's own error.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::llm::carrier::ByteStream;

/// How much of the other side's first words is kept.
const GREETING: usize = 64;

pub(super) struct Tap {
    stream: Box<dyn ByteStream>,
    seen: Seen,
}

/// What passed; shared with the [`Tap`] inside hyper.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
struct Record {
    written: u64,
    /// Everything written has been handed to the carrier.
    flushed: bool,
    greeting: Vec<u8>,
    error: Option<io::Error>,
}

impl Seen {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes written, and whether all of them were flushed.
    pub(super) fn sent(&self) -> (u64, bool) {
        let record = self.record();
        (record.written, record.flushed)
    }

    /// The first bytes read since the connection began.
    pub(super) fn greeting(&self) -> Vec<u8> {
        self.record().greeting.clone()
    }

    /// The carrier's error, once. hyper got a copy without its source.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.record().error.take()
    }

    fn keep(&self, error: io::Error) -> io::Error {
        let copy = io::Error::new(error.kind(), error.to_string());
        self.record().error.get_or_insert(error);
        copy
    }
}

impl Tap {
    pub(super) fn new(stream: Box<dyn ByteStream>) -> (Self, Seen) {
        let seen = Seen::default();
        let tap = Self {
            stream,
            seen: seen.clone(),
        };
        (tap, seen)
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        let mut record = self.seen.record();
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if record.greeting.len() < GREETING {
            let room = GREETING - record.greeting.len();
            record.greeting.extend(fresh.iter().take(room));
        }
        drop(record);
        Poll::Ready(result.map_err(|error| self.seen.keep(error)))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        if let Ok(written) = &result {
            let mut record = self.seen.record();
            record.written += *written as u64;
            record.flushed = false;
        }
        Poll::Ready(result.map_err(|error| self.seen.keep(error)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        if result.is_ok() {
            self.seen.record().flushed = true;
        }
        Poll::Ready(result.map_err(|error| self.seen.keep(error)))
    }

    /// Never half-closes: several servers take the end of the request side for a client that has
    /// gone. Dropping the stream closes it.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
