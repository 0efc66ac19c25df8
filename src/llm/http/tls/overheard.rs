//! A byte stream whose first bytes are noted: what answers a TLS hello with something else had
//! better be told by its own words.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::llm::carrier::ByteStream;

/// How much of it is noted.
const MOST: usize = 64;

pub(super) struct Overheard {
    stream: Box<dyn ByteStream>,
    heard: Heard,
}

/// What was noted; shared with the stream.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Option<Vec<u8>>>>);

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first bytes; nothing is noted any more.
    pub(super) fn take(&self) -> Vec<u8> {
        self.lock().take().unwrap_or_default()
    }

    /// Nothing is noted any more.
    pub(super) fn stop(&self) {
        self.take();
    }
}

impl Overheard {
    pub(super) fn new(stream: Box<dyn ByteStream>) -> (Self, Heard) {
        let heard = Heard(Arc::new(Mutex::new(Some(Vec::new()))));
        let stream = Self {
            stream,
            heard: heard.clone(),
        };
        (stream, heard)
    }
}

impl AsyncRead for Overheard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if let Some(noted) = &mut *self.heard.lock() {
            let fresh = buf.filled().get(before..).unwrap_or_default();
            let room = MOST.saturating_sub(noted.len());
            noted.extend(fresh.iter().take(room));
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Overheard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
