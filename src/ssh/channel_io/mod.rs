//! A byte stream over one SSH channel, without russh's traps.
//!
//! A pump task of its own always empties the channel, whatever the reader does:
//! an unread channel would stop the whole connection. What it holds is bounded
//! (`inbox`); the end of the data, the end of the channel and the loss of the
//! connection are three different things; nobody waits on a dead connection.

mod inbox;
mod outbox;
mod pump;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

pub(super) use self::inbox::Budget;
use self::inbox::Inbox;
use self::outbox::Outbox;
pub(super) use self::pump::Pump;
use super::session::Session;

/// A stream to the destination of a channel.
///
/// Reading yields `Ok(0)` only when the other side ended the data or closed the
/// channel. A connection that is gone is an error whose source is
/// [`Lost`](super::Lost); a reader that is too slow gets
/// [`SlowConsumer`](super::SlowConsumer). Data that had arrived is read first.
///
/// Shutting down the write side flushes and does nothing else: servers take the
/// end of a request's bytes for "client gone". Dropping the stream closes the
/// channel; the server sees its connection end within a round trip.
pub struct ChannelIo {
    inbox: Arc<Inbox>,
    outbox: Arc<Outbox>,
    drop: CancellationToken,
    closed: CancellationToken,
    /// Keeps the connection open for as long as it is used.
    session: Session,
}

impl ChannelIo {
    pub(super) fn new(pump: &Pump, session: Session) -> Self {
        session.stream_opened();
        Self {
            inbox: pump.inbox.clone(),
            outbox: pump.outbox.clone(),
            drop: pump.stop.clone(),
            closed: pump.closed.clone(),
            session,
        }
    }

    /// Closes the channel and waits until that is on its way to the server.
    pub async fn close(self) {
        self.drop.cancel();
        self.closed.cancelled().await;
    }

    /// How many bytes have arrived and were not read yet.
    pub fn buffered(&self) -> usize {
        self.inbox.len()
    }
}

impl Drop for ChannelIo {
    fn drop(&mut self) {
        self.drop.cancel();
        self.session.stream_closed();
    }
}

impl std::fmt::Debug for ChannelIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelIo")
            .field("buffered", &self.buffered())
            .finish_non_exhaustive()
    }
}

impl AsyncRead for ChannelIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inbox.poll_read(cx, buf)
    }
}

impl AsyncWrite for ChannelIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.outbox.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbox.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbox.poll_flush(cx)
    }
}
