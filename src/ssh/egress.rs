//! The socket as russh sees it: writing never makes it wait.
//!
//! russh's loop writes all its output before it reads again, so on a slow
//! uplink one large prompt would stall every token stream. Here a write goes
//! into a queue that a task of its own drains; whoever puts data into channels
//! waits at the [`Gate`] while the queue is long. Control packets pass freely.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::backlog::Backlog;

/// Channel data waits while this much is queued.
const GATE: usize = 128 * 1024;

/// Nothing is accepted above this: only a server that makes us answer without
/// ever reading gets us here.
const HARD_LIMIT: usize = 16 * 1024 * 1024;

/// How long the rest may take to leave after the end.
const LINGER: Duration = Duration::from_secs(1);

/// How much of what the other side says first is kept, for error messages.
const FIRST_WORDS: usize = 256;

/// The stream given to russh.
pub(super) struct Egress<S> {
    reading: ReadHalf<S>,
    shared: Arc<Shared>,
    cut: CancellationToken,
    when_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    backlog: Arc<Backlog>,
    /// While the backlog wants it.
    rest: Option<Pin<Box<Sleep>>>,
}

/// Where writers of channel data wait. Clones are the same gate.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Rung when the queue shrinks or ends.
    drained: Notify,
    /// Rung when there is something to drain.
    filled: Notify,
    /// Nothing more will be queued.
    ended: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    /// No more will come.
    finished: bool,
    failed: Option<io::ErrorKind>,
    /// russh's loop, waiting below the hard limit.
    blocked: Option<Waker>,
    first_words: Vec<u8>,
    /// How many bytes have come from the other side.
    received: u64,
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Egress<S> {
    /// Wraps a stream. Cancelling `cut` ends it at once, both ways; it is
    /// cancelled from here when writing fails.
    pub(super) fn new(stream: S, cut: CancellationToken, backlog: Arc<Backlog>) -> (Self, Gate) {
        let (reading, writing) = tokio::io::split(stream);
        let shared = Arc::new(Shared::default());
        tokio::spawn(drain(writing, shared.clone(), cut.clone()));
        let gate = Gate(shared.clone());
        let egress = Self {
            reading,
            shared,
            when_cut: Box::pin(cut.clone().cancelled_owned()),
            cut,
            backlog,
            rest: None,
        };
        (egress, gate)
    }
}

impl Gate {
    /// Waits until channel data may be sent.
    pub(super) async fn pass(&self) {
        self.0
            .until(|state| state.queued < GATE || state.finished)
            .await;
    }

    /// Waits until everything has left.
    pub(super) async fn emptied(&self) {
        self.0.until(|state| state.queued == 0).await;
    }

    /// How many bytes the other side has sent.
    pub(super) fn received(&self) -> u64 {
        self.0.lock().received
    }

    /// The first bytes that the other side sent.
    pub(super) fn first_words(&self) -> Vec<u8> {
        self.0.lock().first_words.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a state of the queue, or for its failure.
    async fn until(&self, wanted: impl Fn(&State) -> bool) {
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            {
                let state = self.lock();
                if state.failed.is_some() || wanted(&state) {
                    return;
                }
            }
            drained.await;
        }
    }

    /// Takes no more; says whether that was so already.
    fn finish(&self) -> bool {
        let already = std::mem::replace(&mut self.lock().finished, true);
        self.ended.cancel();
        self.filled.notify_one();
        self.drained.notify_waiters();
        already
    }

    fn fail(&self, kind: io::ErrorKind) {
        let mut state = self.lock();
        state.failed.get_or_insert(kind);
        state.queue.clear();
        state.queued = 0;
        if let Some(waker) = state.blocked.take() {
            waker.wake();
        }
        drop(state);
        self.drained.notify_waiters();
    }
}

/// Moves the queue to the socket until the end, a failure or a cut.
async fn drain<S: AsyncWrite>(
    mut socket: WriteHalf<S>,
    shared: Arc<Shared>,
    cut: CancellationToken,
) {
    let linger = async {
        shared.ended.cancelled().await;
        tokio::time::sleep(LINGER).await;
    };
    let result = tokio::select! {
        biased;
        () = cut.cancelled() => Err(io::ErrorKind::ConnectionAborted.into()),
        result = drain_all(&mut socket, &shared) => result,
        () = linger => Err(io::ErrorKind::TimedOut.into()),
    };
    if let Err(error) = result {
        shared.fail(error.kind());
        cut.cancel();
    }
    // After a failure the other side may never know otherwise.
    let _ = tokio::time::timeout(LINGER, socket.shutdown()).await;
}

async fn drain_all<S: AsyncWrite>(socket: &mut WriteHalf<S>, shared: &Shared) -> io::Result<()> {
    loop {
        let filled = shared.filled.notified();
        let next = {
            let mut state = shared.lock();
            match state.queue.pop_front() {
                Some(chunk) => Some(chunk),
                None if state.finished => return Ok(()),
                None => None,
            }
        };
        let Some(chunk) = next else {
            filled.await;
            continue;
        };
        socket.write_all(&chunk).await?;
        socket.flush().await?;
        let mut state = shared.lock();
        state.queued = state.queued.saturating_sub(chunk.len());
        if let Some(waker) = state.blocked.take() {
            waker.wake();
        }
        let open = state.queued < GATE;
        drop(state);
        if open {
            shared.drained.notify_waiters();
        }
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncRead for Egress<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.when_cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        while let Some(until) = this.backlog.rest(cx) {
            let rest = this
                .rest
                .get_or_insert_with(|| Box::pin(sleep_until(until)));
            if rest.deadline() != until {
                rest.as_mut().reset(until);
            }
            ready!(rest.as_mut().poll(cx));
        }
        this.rest = None;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.reading).poll_read(cx, buf))?;
        let mut state = this.shared.lock();
        state.received += (buf.filled().len() - before) as u64;
        let room = FIRST_WORDS.saturating_sub(state.first_words.len());
        if room > 0 {
            let new = buf.filled().get(before..).unwrap_or_default();
            let kept = new.get(..room.min(new.len())).unwrap_or_default();
            state.first_words.extend_from_slice(kept);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for Egress<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.shared.lock();
        if let Some(kind) = state.failed {
            return Poll::Ready(Err(kind.into()));
        }
        if state.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.queued >= HARD_LIMIT {
            state.blocked = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if !buf.is_empty() {
            state.queue.push_back(buf.to_vec());
            state.queued += buf.len();
        }
        drop(state);
        self.shared.filled.notify_one();
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.shared.lock().failed {
            Some(kind) => Poll::Ready(Err(kind.into())),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Lets the queue leave, without making russh wait for it: its end must be
    /// known at once to everybody who reads from a channel.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.finish();
        Poll::Ready(Ok(()))
    }
}

impl<S> Drop for Egress<S> {
    fn drop(&mut self) {
        if !self.shared.finish() {
            self.cut.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

    fn new(near: DuplexStream, cut: CancellationToken) -> (Egress<DuplexStream>, Gate) {
        Egress::new(near, cut, Arc::default())
    }

    #[tokio::test]
    async fn nothing_is_read_while_a_stream_is_behind_and_its_reader_works() {
        let (near, mut far) = duplex(64);
        let backlog = Arc::<Backlog>::default();
        let (mut egress, _gate) = Egress::new(near, CancellationToken::new(), backlog.clone());
        far.write_all(b"abc").await.unwrap();
        backlog.begin();
        let mut reading = Box::pin(egress.read_u8());
        assert!(reading.as_mut().now_or_never().is_none());
        backlog.end();
        assert_eq!(reading.await.unwrap(), b'a');
        backlog.begin();
        // Its reader does nothing: the others have waited long enough.
        assert_eq!(egress.read_u8().await.unwrap(), b'b');
        assert_eq!(egress.read_u8().await.unwrap(), b'c');
    }

    #[tokio::test]
    async fn a_write_is_taken_at_once_and_leaves_in_order() {
        let (near, mut far) = duplex(16);
        let (mut egress, gate) = new(near, CancellationToken::new());
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        // The other side does not read, and still nothing waits.
        for chunk in sent.chunks(1000) {
            egress.write_all(chunk).now_or_never().unwrap().unwrap();
        }
        egress.shutdown().now_or_never().unwrap().unwrap();
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, sent);
        gate.pass().await;
    }

    #[tokio::test]
    async fn the_gate_is_shut_while_much_is_queued() {
        let (near, mut far) = duplex(1024);
        let (mut egress, gate) = new(near, CancellationToken::new());
        egress.write_all(&vec![1; GATE - 1]).await.unwrap();
        assert!(gate.pass().now_or_never().is_some());
        egress.write_all(&vec![1; GATE]).await.unwrap();
        assert!(gate.pass().now_or_never().is_none());

        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        let mut buffer = vec![0; 2 * GATE - 1];
        far.read_exact(&mut buffer).await.unwrap();
        waiting.await.unwrap();
        assert!(gate.pass().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_socket_error_ends_both_directions_and_opens_the_gate() {
        let (near, far) = duplex(64);
        let cut = CancellationToken::new();
        let (mut egress, gate) = new(near, cut.clone());
        egress.write_all(&vec![1; 2 * GATE]).await.unwrap();
        assert!(gate.pass().now_or_never().is_none());
        drop(far);
        cut.cancelled().await;
        gate.pass().await;
        assert!(egress.write_all(b"x").await.is_err());
        assert!(egress.read_u8().await.is_err());
    }

    #[tokio::test]
    async fn a_cut_wakes_a_blocked_reader() {
        let (near, _far) = duplex(64);
        let cut = CancellationToken::new();
        let (mut egress, _gate) = new(near, cut.clone());
        let reading = tokio::spawn(async move { egress.read_u8().await });
        cut.cancel();
        let error = reading.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn the_first_words_are_kept_for_the_error_message() {
        let (near, mut far) = duplex(1024);
        let (mut egress, gate) = new(near, CancellationToken::new());
        far.write_all(&[b'h'; 600]).await.unwrap();
        let mut buffer = [0; 600];
        egress.read_exact(&mut buffer).await.unwrap();
        assert_eq!(gate.first_words(), [b'h'; FIRST_WORDS]);
    }
}
