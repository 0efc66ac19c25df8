//! When the socket of a connection had better rest, because its streams are behind.
//!
//! russh grants a server more as soon as bytes have arrived, so one that sends faster than its
//! answer is made sense of would fill the buffer of its stream up to the limit, although its
//! reader never rests. While such a reader works, nothing is taken from the socket, and TCP makes
//! the server wait. A reader that does nothing holds nobody up: its stream is given up at the
//! limit, as `channel_io` tells.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// A stream is behind that holds more.
pub(super) const MUCH: usize = 2 * 1024 * 1024;

/// It has caught up when it holds so much less. Little, since the other streams wait with it.
pub(super) const SLACK: usize = 256 * 1024;

/// So long after its last reading, nobody is kept waiting for a stream that is behind.
const PATIENCE: Duration = Duration::from_millis(100);

/// The streams of a connection that are behind.
#[derive(Debug, Default)]
pub(super) struct Backlog(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    behind: usize,
    /// When one of them was last read.
    read: Option<Instant>,
    socket: Option<Waker>,
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream is behind from now on.
    pub(super) fn begin(&self) {
        let mut state = self.lock();
        state.behind += 1;
        state.read = Some(Instant::now());
    }

    /// A stream that is behind was read.
    pub(super) fn read(&self) {
        self.lock().read = Some(Instant::now());
    }

    /// A stream has caught up, or is gone.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.behind = state.behind.saturating_sub(1);
        if state.behind == 0
            && let Some(socket) = state.socket.take()
        {
            socket.wake();
        }
    }

    /// Until when the socket is to rest; whoever asks is woken when it no longer has to.
    pub(super) fn rest(&self, cx: &Context<'_>) -> Option<Instant> {
        let mut state = self.lock();
        if state.behind == 0 {
            return None;
        }
        let until = state.read? + PATIENCE;
        if until <= Instant::now() {
            return None;
        }
        state.socket = Some(cx.waker().clone());
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_socket_rests_while_a_stream_is_behind_and_is_read() {
        let backlog = Backlog::default();
        let rest = || backlog.rest(&Context::from_waker(Waker::noop()));
        assert_eq!(rest(), None);
        backlog.begin();
        backlog.begin();
        assert_eq!(rest(), Some(Instant::now() + PATIENCE));
        tokio::time::advance(PATIENCE).await;
        assert_eq!(rest(), None, "nobody reads");
        backlog.read();
        assert!(rest().is_some());
        backlog.end();
        assert!(rest().is_some());
        backlog.end();
        assert_eq!(rest(), None);
    }
}
