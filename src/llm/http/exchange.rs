//! A response and the connection that carries it.

use std::{future::poll_fn, io, time::Duration};

use bytes::Bytes;
use hyper::{body::Incoming, header::HeaderMap};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use crate::llm::moment::Moment;

use super::{
    connection::{BodyError, Connection},
    earliest,
    pool::Pool,
};

/// Longest wait for the body of an error.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// A task reads this many bytes of a body in a row, then others have their turn. What they mean
/// takes some ten times as long as reading them, and a server that floods us always has more.
const STRETCH: usize = 16 * 1024;

/// A response whose body has not been read yet. Dropping it closes the connection.
pub(in crate::llm) struct Exchange {
    pub(in crate::llm) status: u16,
    pub(in crate::llm) headers: HeaderMap,
    /// Opening took this long; zero on a reused connection.
    pub(in crate::llm) connect: Duration,
    /// When the connection was there.
    pub(in crate::llm) connected: Moment,
    pub(super) connection: Connection,
    pub(super) body: Incoming,
    pub(super) ended: bool,
    /// Bytes read since others had their turn.
    pub(super) unbroken: usize,
    pub(super) pool: Pool,
}

/// Why a body could not be read to its end.
#[derive(Debug)]
pub(in crate::llm) enum ReadError {
    Cut(Option<io::Error>),
    TooLong,
    Late,
}

impl Exchange {
    /// The next piece of the body; `None` at its end. Safe to drop and to call again.
    pub(in crate::llm) async fn chunk(&mut self) -> Option<Result<Bytes, Option<io::Error>>> {
        if self.ended {
            return None;
        }
        if self.unbroken >= STRETCH {
            self.unbroken = 0;
            yield_now().await;
        }
        match poll_fn(|cx| self.connection.poll_chunk(&mut self.body, cx)).await {
            Some(Ok(data)) => {
                self.unbroken += data.len();
                Some(Ok(data))
            }
            Some(Err(BodyError(source))) => Some(Err(source)),
            None => {
                self.ended = true;
                None
            }
        }
    }

    /// Hands the connection on if the body has been read to its end; closes it otherwise.
    pub(in crate::llm) fn release(self) {
        if self.ended {
            let limit = keep_alive(&self.headers);
            self.pool.put(self.connection, limit);
        }
    }

    /// The body up to `limit` bytes, with what went wrong after them.
    pub(in crate::llm) async fn read(
        mut self,
        limit: usize,
        deadline: Instant,
    ) -> (Bytes, Result<(), ReadError>) {
        let mut body = Vec::new();
        let read = loop {
            match timeout_at(deadline, self.chunk()).await {
                Err(_) => break Err(ReadError::Late),
                Ok(None) => break Ok(()),
                Ok(Some(Err(source))) => break Err(ReadError::Cut(source)),
                Ok(Some(Ok(data))) => {
                    let room = limit.saturating_sub(body.len());
                    body.extend_from_slice(data.get(..room).unwrap_or(&data));
                    if data.len() > room {
                        break Err(ReadError::TooLong);
                    }
                }
            }
        };
        self.release();
        (body.into(), read)
    }

    /// The body of an error: as much as is there in reasonable time.
    pub(in crate::llm) async fn read_error(self, deadline: Option<Instant>) -> Bytes {
        const LIMIT: usize = 64 * 1024;
        let deadline = earliest(Instant::now() + BODY_PATIENCE, deadline);
        self.read(LIMIT, deadline).await.0
    }
}

/// `Keep-Alive: timeout=5, max=100`
fn keep_alive(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let seconds = value
        .split(',')
        .find_map(|part| part.trim().strip_prefix("timeout="))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}
