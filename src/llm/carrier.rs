//! What this room needs from whoever carries its bytes. It never learns who that is.

use std::{future::Future, pin::Pin};

use tokio::io::{AsyncRead, AsyncWrite};

use super::endpoint::Dial;

/// A future in a box, `Send`, that may borrow for `'a`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The error of whatever carries the bytes.
pub trait Carrier: std::error::Error + Send + Sync + 'static {
    /// Whether trying again later may help without anyone changing anything.
    fn is_transient(&self) -> bool;
}

/// Two directions of bytes. Dropping it closes both at once.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// Opens byte streams to where the server listens.
pub trait Opener<E: Send + 'static>: Send + Sync {
    /// Makes sure that there is a way to the server's machine, which may take a person who answers
    /// questions: so no clock of ours runs, and the opener has time limits of its own.
    fn reach(&self) -> BoxFuture<'_, Result<(), E>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Opens a new stream. Dropping the future gives up.
    fn open(&self, to: &Dial) -> BoxFuture<'_, Result<Box<dyn ByteStream>, E>>;
}
