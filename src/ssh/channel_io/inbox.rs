//! What has arrived and was not read yet: bounded per stream and over all of them.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::ReadBuf;
use tokio_util::sync::CancellationToken;

use crate::ssh::backlog::{Backlog, MUCH, SLACK};
use crate::ssh::error::{Lost, SlowConsumer};

/// A stream that holds more is given up. Its server is slowed down before only while its reader
/// works (`backlog`): russh grants it more as soon as the bytes have arrived.
const STREAM_LIMIT: usize = 8 * 1024 * 1024;

/// Over all streams of the process, so that it stays below 64 MiB as a whole.
const TOTAL_LIMIT: usize = 16 * 1024 * 1024;

/// Smaller messages are copied together: a token of 100 bytes should not cost
/// an allocation each while it waits.
const SMALL: usize = 4 * 1024;

/// Received bytes of one stream.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    budget: Arc<Budget>,
    backlog: Arc<Backlog>,
    /// Cancelled when the stream is given up: the pump then closes the channel.
    given_up: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// Small messages behind `chunks`.
    tail: BytesMut,
    len: usize,
    /// It counts in the backlog.
    behind: bool,
    end: Option<End>,
    reader: Option<Waker>,
}

/// Why no more will come.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// The other side ended its data, or closed the channel.
    Clean,
    Lost(Lost),
    Slow(SlowConsumer),
}

impl End {
    pub(super) fn error(&self, clean: io::ErrorKind) -> io::Error {
        match self {
            Self::Clean => clean.into(),
            Self::Lost(lost) => io::Error::new(io::ErrorKind::ConnectionReset, lost.clone()),
            Self::Slow(slow) => io::Error::other(*slow),
        }
    }
}

impl Inbox {
    pub(super) fn new(
        budget: Arc<Budget>,
        backlog: Arc<Backlog>,
        given_up: CancellationToken,
    ) -> Arc<Self> {
        let inbox = Arc::new(Self {
            state: Mutex::default(),
            budget,
            backlog,
            given_up,
        });
        inbox.budget.register(&inbox);
        inbox
    }

    /// Takes what arrived. Never waits; too much ends the stream.
    pub(super) fn push(&self, data: Bytes) {
        let mut state = self.lock();
        if state.end.is_some() || data.is_empty() {
            return;
        }
        state.len += data.len();
        let total = self.budget.add(data.len());
        if data.len() < SMALL {
            state.tail.extend_from_slice(&data);
            if state.tail.len() >= 4 * SMALL {
                state.seal_tail();
            }
        } else {
            state.seal_tail();
            state.chunks.push_back(data);
        }
        if state.len > MUCH && !state.behind {
            state.behind = true;
            self.backlog.begin();
        }
        if state.len > STREAM_LIMIT {
            self.give_up(&mut state);
        } else if let Some(reader) = state.reader.take() {
            reader.wake();
        }
        drop(state);
        if total > self.budget.limit {
            self.budget.relieve();
        }
    }

    /// Nothing more will come. The first end counts.
    pub(super) fn end(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Why the stream ended, if it did.
    pub(super) fn ended(&self) -> Option<End> {
        self.lock().end.clone()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if state.len == 0 {
            return match &state.end {
                Some(End::Clean) => Poll::Ready(Ok(())),
                Some(end) => Poll::Ready(Err(end.error(io::ErrorKind::UnexpectedEof))),
                None => {
                    state.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        }
        let mut taken = 0;
        while buf.remaining() > 0 {
            if state.chunks.is_empty() {
                state.seal_tail();
            }
            let Some(chunk) = state.chunks.front_mut() else {
                break;
            };
            let n = chunk.len().min(buf.remaining());
            buf.put_slice(chunk.get(..n).unwrap_or_default());
            chunk.advance(n);
            if chunk.is_empty() {
                state.chunks.pop_front();
            }
            taken += n;
        }
        state.len -= taken;
        if state.behind {
            if state.len > MUCH - SLACK {
                self.backlog.read();
            } else {
                state.behind = false;
                self.backlog.end();
            }
        }
        drop(state);
        self.budget.subtract(taken);
        Poll::Ready(Ok(()))
    }

    fn give_up(&self, state: &mut State) {
        let buffered = self.discard(state);
        // Even after a clean end: what was to be read is gone.
        state.end = Some(End::Slow(SlowConsumer { buffered }));
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
        self.given_up.cancel();
    }

    /// Returns how much there was.
    fn discard(&self, state: &mut State) -> usize {
        let buffered = state.discard();
        self.budget.subtract(buffered);
        if std::mem::take(&mut state.behind) {
            self.backlog.end();
        }
        buffered
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
    }

    fn discard(&mut self) -> usize {
        self.chunks = VecDeque::new();
        self.tail = BytesMut::new();
        std::mem::take(&mut self.len)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.discard(&mut self.lock());
    }
}

/// The bytes that wait in all inboxes together.
#[derive(Debug)]
pub(in crate::ssh) struct Budget {
    used: AtomicUsize,
    limit: usize,
    inboxes: Mutex<Vec<Weak<Inbox>>>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::with_limit(TOTAL_LIMIT)
    }
}

impl Budget {
    fn with_limit(limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit,
            inboxes: Mutex::default(),
        }
    }

    fn register(&self, inbox: &Arc<Inbox>) {
        let mut inboxes = self.lock();
        inboxes.retain(|inbox| inbox.strong_count() > 0);
        inboxes.push(Arc::downgrade(inbox));
    }

    fn add(&self, bytes: usize) -> usize {
        self.used.fetch_add(bytes, Ordering::AcqRel) + bytes
    }

    fn subtract(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Gives up the fullest streams until the rest fits.
    fn relieve(&self) {
        // The lock also keeps two pumps from giving up one stream each.
        let inboxes = self.lock();
        while self.used.load(Ordering::Acquire) > self.limit {
            let fullest = inboxes
                .iter()
                .filter_map(Weak::upgrade)
                .max_by_key(|inbox| inbox.len());
            let Some(inbox) = fullest else { return };
            let mut state = inbox.lock();
            if state.len == 0 {
                return;
            }
            inbox.give_up(&mut state);
            drop(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Inbox>>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    fn inbox(budget: &Arc<Budget>) -> Arc<Inbox> {
        Inbox::new(budget.clone(), Arc::default(), CancellationToken::new())
    }

    async fn read(inbox: &Inbox, size: usize) -> io::Result<Vec<u8>> {
        let mut space = vec![0; size];
        let mut buffer = ReadBuf::new(&mut space);
        poll_fn(|cx| inbox.poll_read(cx, &mut buffer)).await?;
        Ok(buffer.filled().to_vec())
    }

    #[tokio::test]
    async fn small_and_large_messages_come_out_in_order() {
        let budget = Arc::new(Budget::default());
        let inbox = inbox(&budget);
        let mut sent = Vec::new();
        for n in 0..100_usize {
            let message = vec![n as u8; if n % 7 == 0 { 9000 } else { n }];
            sent.extend_from_slice(&message);
            inbox.push(message.into());
        }
        assert_eq!(inbox.len(), sent.len());
        inbox.end(End::Clean);
        let mut got = Vec::new();
        loop {
            let part = read(&inbox, 1234).await.unwrap();
            if part.is_empty() {
                break;
            }
            got.extend(part);
        }
        assert_eq!(got, sent);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_full_stream_is_given_up_and_its_bytes_are_freed() {
        let budget = Arc::new(Budget::default());
        let inbox = inbox(&budget);
        for _ in 0..=STREAM_LIMIT / 32_768 {
            inbox.push(vec![0; 32_768].into());
        }
        assert!(inbox.given_up.is_cancelled());
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
        let error = read(&inbox, 1).await.unwrap_err();
        let slow = error.get_ref().unwrap().downcast_ref::<SlowConsumer>();
        assert_eq!(slow.unwrap().buffered, STREAM_LIMIT + 32_768);
        // What comes later is discarded.
        inbox.push(vec![0; 10].into());
        assert_eq!(inbox.len(), 0);
    }

    #[tokio::test]
    async fn when_all_streams_hold_too_much_the_fullest_goes() {
        let budget = Arc::new(Budget::with_limit(1000));
        let (small, large) = (inbox(&budget), inbox(&budget));
        large.push(vec![1; 600].into());
        small.push(vec![2; 300].into());
        small.push(vec![3; 101].into());
        assert!(read(&large, 1).await.is_err());
        assert_eq!(read(&small, 1000).await.unwrap().len(), 401);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_dropped_stream_gives_its_share_back() {
        let budget = Arc::new(Budget::default());
        let inbox = inbox(&budget);
        inbox.push(vec![0; 10_000].into());
        drop(inbox);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
