//! A stream to a destination, whichever transport carries it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::channel_io::ChannelIo;
use super::system::ProcessIo;

/// A stream to the destination that [`Session::open`](super::Session::open) was asked for.
///
/// Reading yields `Ok(0)` only when the other side ended the data. A connection
/// that is gone is an error whose source is [`Lost`](super::Lost); a reader that is
/// too slow may get [`SlowConsumer`](super::SlowConsumer). Shutting down the write
/// side only flushes. Dropping the stream closes it at the other end.
#[derive(Debug)]
pub struct Stream(Carrier);

#[derive(Debug)]
enum Carrier {
    Channel(ChannelIo),
    Process(Box<ProcessIo>),
}

impl Stream {
    /// Closes the stream and waits until that is on its way to the server.
    pub async fn close(self) {
        match self.0 {
            Carrier::Channel(channel) => channel.close().await,
            Carrier::Process(process) => drop(process),
        }
    }

    /// How many bytes have arrived and were not read yet, as far as that is known.
    pub fn buffered(&self) -> usize {
        match &self.0 {
            Carrier::Channel(channel) => channel.buffered(),
            Carrier::Process(_) => 0,
        }
    }
}

impl From<ChannelIo> for Stream {
    fn from(channel: ChannelIo) -> Self {
        Self(Carrier::Channel(channel))
    }
}

impl From<ProcessIo> for Stream {
    fn from(process: ProcessIo) -> Self {
        Self(Carrier::Process(Box::new(process)))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Carrier::Channel(channel) => Pin::new(channel).poll_read(cx, buf),
            Carrier::Process(process) => Pin::new(process).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Carrier::Channel(channel) => Pin::new(channel).poll_write(cx, buf),
            Carrier::Process(process) => Pin::new(process).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Carrier::Channel(channel) => Pin::new(channel).poll_flush(cx),
            Carrier::Process(process) => Pin::new(process).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Carrier::Channel(channel) => Pin::new(channel).poll_shutdown(cx),
            Carrier::Process(process) => Pin::new(process).poll_shutdown(cx),
        }
    }
}
