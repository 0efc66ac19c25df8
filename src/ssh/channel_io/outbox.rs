//! What is to be sent: a small buffer between the writer and the pump.
//!
//! A writer can be cancelled at any point without leaving a half-made message
//! behind, and is woken when the channel or the connection ends.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::inbox::End;

/// A writer waits above this.
const LIMIT: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    buffer: BytesMut,
    /// The pump is sending a piece.
    sending: bool,
    end: Option<End>,
    /// Whoever writes or flushes.
    writer: Option<Waker>,
}

impl Outbox {
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if let Some(end) = &state.end {
            return Poll::Ready(Err(end.error(io::ErrorKind::BrokenPipe)));
        }
        let room = LIMIT.saturating_sub(state.buffer.len());
        if room == 0 && !buf.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let part = buf.get(..room.min(buf.len())).unwrap_or_default();
        state.buffer.extend_from_slice(part);
        drop(state);
        self.filled.notify_one();
        Poll::Ready(Ok(part.len()))
    }

    /// Ready when everything written was handed to the connection.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if state.buffer.is_empty() && !state.sending {
            return Poll::Ready(Ok(()));
        }
        if let Some(end) = &state.end {
            return Poll::Ready(Err(end.error(io::ErrorKind::BrokenPipe)));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next piece to send. Cancelling loses nothing.
    pub(super) async fn next(&self) -> Bytes {
        loop {
            let filled = self.filled.notified();
            {
                let mut state = self.lock();
                if !state.buffer.is_empty() {
                    state.sending = true;
                    let piece = state.buffer.split().freeze();
                    if let Some(writer) = state.writer.take() {
                        writer.wake();
                    }
                    return piece;
                }
            }
            filled.await;
        }
    }

    /// The piece was handed over.
    pub(super) fn sent(&self) {
        let mut state = self.lock();
        state.sending = false;
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }

    /// Nothing can be sent any more.
    pub(super) fn end(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::future::poll_fn;

    fn write(outbox: &Outbox, data: &[u8]) -> Option<io::Result<usize>> {
        poll_fn(|cx| outbox.poll_write(cx, data)).now_or_never()
    }

    #[tokio::test]
    async fn a_full_outbox_makes_the_writer_wait_until_a_piece_is_taken() {
        let outbox = Outbox::default();
        assert_eq!(write(&outbox, &[1; LIMIT + 5]).unwrap().unwrap(), LIMIT);
        assert!(write(&outbox, b"x").is_none());
        assert_eq!(outbox.next().await.len(), LIMIT);
        assert_eq!(write(&outbox, b"x").unwrap().unwrap(), 1);
    }

    #[tokio::test]
    async fn an_empty_write_is_no_error() {
        assert_eq!(write(&Outbox::default(), b"").unwrap().unwrap(), 0);
    }

    #[tokio::test]
    async fn flush_waits_for_the_piece_on_its_way() {
        let outbox = Outbox::default();
        let flush = || poll_fn(|cx| outbox.poll_flush(cx)).now_or_never();
        assert!(flush().is_some());
        write(&outbox, b"abc").unwrap().unwrap();
        assert!(flush().is_none());
        assert_eq!(outbox.next().await, "abc");
        assert!(flush().is_none());
        outbox.sent();
        assert!(flush().is_some());
    }

    #[tokio::test]
    async fn a_waiting_writer_learns_of_the_end() {
        let outbox = Outbox::default();
        write(&outbox, &[1; LIMIT]).unwrap().unwrap();
        let waiting = poll_fn(|cx| outbox.poll_write(cx, b"x"));
        let (result, ()) = tokio::join!(waiting, async { outbox.end(End::Clean) });
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
