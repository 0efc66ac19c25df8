//! The one queue through which everything leaves, bounded by bytes and by count.

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::lane::Lanes;

/// Opens a queue of at most `bytes` bytes and `lines` messages.
///
/// A message larger than `bytes` is let in alone: it takes the whole budget.
pub(super) fn channel(bytes: usize, lines: usize) -> (Queue, Outlet) {
    let budget = u32::try_from(bytes.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let (sender, items) = mpsc::channel(lines.max(1));
    let queue = Queue {
        items: sender,
        bytes: Arc::new(Semaphore::new(budget as usize)),
        budget,
        lanes: Arc::default(),
        gone: CancellationToken::new(),
    };
    let outlet = Outlet {
        items,
        bytes: Arc::clone(&queue.bytes),
        lanes: Arc::clone(&queue.lanes),
        gone: queue.gone.clone(),
    };
    (queue, outlet)
}

/// One message, without its line end. It contains no raw `\n` or `\r`.
pub(super) struct Message(Box<str>);

/// The handlers' end.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    items: mpsc::Sender<Item>,
    bytes: Arc<Semaphore>,
    budget: u32,
    lanes: Arc<Lanes>,
    gone: CancellationToken,
}

/// The writer's end. Dropping it tells every sender that the host is gone.
#[derive(Debug)]
pub(super) struct Outlet {
    items: mpsc::Receiver<Item>,
    bytes: Arc<Semaphore>,
    lanes: Arc<Lanes>,
    gone: CancellationToken,
}

/// A place in the queue for one message. Filling it cannot fail.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    permit: mpsc::Permit<'a, Item>,
    bytes: OwnedSemaphorePermit,
}

/// What a message holds until it is written, or lost.
pub(super) type Held = OwnedSemaphorePermit;

/// What the writer receives.
#[derive(Debug)]
pub(super) enum Item {
    /// To be written.
    Message(Message, Held),
    /// To be answered when everything before it is written and flushed.
    Flush(oneshot::Sender<()>),
}

/// The host is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed;

/// Why a message was not taken at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not now.
    Full,
    /// Never again.
    Closed,
}

// === impl Message ===

impl Message {
    /// Takes a JSON text.
    ///
    /// serde_json writes no raw line ends, but a `RawValue` from elsewhere may hold some. In
    /// valid JSON they are white space between tokens, so blanks mean the same.
    pub(super) fn new(json: Box<str>) -> Self {
        if json.contains(['\n', '\r']) {
            Self(json.replace(['\n', '\r'], " ").into_boxed_str())
        } else {
            Self(json)
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Box<RawValue>> for Message {
    fn from(json: Box<RawValue>) -> Self {
        Self::new(json.into())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes)", self.0.len())
    }
}

// === impl Queue ===

impl Queue {
    /// Waits for room for a message of `length` bytes. Waiters are served in order.
    ///
    /// # Cancel safety
    /// Dropping the future gives its place up.
    pub(super) async fn reserve(&self, length: usize) -> Result<Slot<'_>, Closed> {
        let bytes = Arc::clone(&self.bytes)
            .acquire_many_owned(self.charge(length))
            .await
            .map_err(|_| Closed)?;
        let permit = self.items.reserve().await.map_err(|_| Closed)?;
        Ok(Slot { permit, bytes })
    }

    /// Queues a message, after waiting for room.
    pub(super) async fn push(&self, message: Message) -> Result<(), Closed> {
        self.reserve(message.len()).await?.fill(message);
        Ok(())
    }

    /// Queues a message only if there is room now.
    pub(super) fn try_push(&self, message: Message) -> Result<(), Refused> {
        if self.gone.is_cancelled() {
            return Err(Refused::Closed);
        }
        let bytes = Arc::clone(&self.bytes)
            .try_acquire_many_owned(self.charge(message.len()))
            .map_err(|_| Refused::Full)?;
        let permit = self.items.try_reserve().map_err(|_| Refused::Full)?;
        Slot { permit, bytes }.fill(message);
        Ok(())
    }

    /// Queues the request to answer `done` when all before it is written.
    pub(super) async fn flush(&self, done: oneshot::Sender<()>) -> Result<(), Closed> {
        self.items.send(Item::Flush(done)).await.map_err(|_| Closed)
    }

    pub(super) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Cancelled when the host can no longer be written to.
    pub(super) fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// The host is gone: senders that wait, and later ones, are told so.
    pub(super) fn give_up(&self) {
        self.gone.cancel();
        self.bytes.close();
    }

    fn charge(&self, length: usize) -> u32 {
        u32::try_from(length).map_or(self.budget, |length| length.min(self.budget))
    }
}

// === impl Slot ===

impl Slot<'_> {
    pub(super) fn fill(self, message: Message) {
        self.permit.send(Item::Message(message, self.bytes));
    }
}

// === impl Outlet ===

impl Outlet {
    /// Waits until there is something to write; `false` when there will never be.
    pub(super) async fn filled(&mut self, batch: &mut Vec<Item>) -> bool {
        tokio::select! {
            () = self.lanes.arrived() => true,
            taken = self.items.recv_many(batch, 1) => taken > 0,
        }
    }

    /// Moves what is there into `batch`, until that has `limit` items.
    pub(super) fn take(&mut self, batch: &mut Vec<Item>, limit: usize) {
        while batch.len() < limit
            && let Ok(item) = self.items.try_recv()
        {
            batch.push(item);
        }
    }

    pub(super) fn lanes(&self) -> &Lanes {
        &self.lanes
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.gone.cancel();
        self.bytes.close();
        self.items.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn message(length: usize) -> Message {
        Message::new("x".repeat(length).into_boxed_str())
    }

    #[test]
    fn raw_line_ends_become_blanks() {
        let pretty = Message::new("{\n  \"a\":\r\n 1\n}".into());
        assert_eq!(pretty.as_bytes(), b"{   \"a\":   1 }");
    }

    #[tokio::test]
    async fn a_queue_is_full_by_bytes_or_by_count() {
        let (queue, _outlet) = channel(100, 3);
        queue.push(message(60)).await.unwrap();
        assert_eq!(queue.try_push(message(41)), Err(Refused::Full));
        queue.push(message(20)).await.unwrap();
        queue.push(message(0)).await.unwrap();
        assert_eq!(queue.try_push(message(0)), Err(Refused::Full));
    }

    #[tokio::test]
    async fn a_message_larger_than_the_budget_goes_alone() {
        let (queue, mut outlet) = channel(100, 10);
        queue.push(message(1)).await.unwrap();
        assert!(queue.push(message(1000)).now_or_never().is_none());
        drop(outlet.items.recv().await);
        queue.push(message(1000)).await.unwrap();
        assert_eq!(queue.try_push(message(1)), Err(Refused::Full));
    }

    #[tokio::test]
    async fn waiting_senders_learn_that_the_host_is_gone() {
        let (queue, outlet) = channel(10, 10);
        queue.push(message(10)).await.unwrap();
        let waiting = queue.push(message(1));
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(outlet);
        assert_eq!(waiting.await, Err(Closed));
        assert_eq!(queue.try_push(message(0)), Err(Refused::Closed));
    }
}
