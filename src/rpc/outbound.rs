//! The handle through which everyone talks to the host.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::calls::{Answer, Calls, Pending};
use super::decode::decode;
use super::error::{CallError, NotSent, code};
use super::message;
use super::queue::{Closed, Message, Queue, Slot};

/// Messages from those who cannot wait that may be kept until the queue has room. They are
/// small: at most a string id (1 KiB) and a sentence each.
const RESERVE: usize = 16 << 10;

/// The way to the host. A cheap clone; all clones feed one ordered queue.
///
/// # Those who cannot wait
/// The reader task and destructors must not wait for room in the queue. What they send (refusals
/// of requests, `$/cancelRequest` of a dropped call) goes to a reserve of 16384 small messages,
/// which one task moves into the queue, in order, as room appears. Only a host that leaves that
/// many refusals unread loses the ones after them; each loss is logged.
#[derive(Debug, Clone)]
pub struct Outbound {
    queue: Queue,
    reserve: mpsc::Sender<Reserved>,
    calls: Calls,
    message_bytes: usize,
}

#[derive(Debug)]
enum Reserved {
    Message(Message),
    Flush(oneshot::Sender<()>),
}

/// Sends `$/cancelRequest` when dropped before its call was answered.
#[derive(Debug)]
struct SentCall<'a> {
    pending: Pending,
    outbound: &'a Outbound,
}

// === impl Outbound ===

impl Outbound {
    pub(super) fn start(queue: Queue, message_bytes: usize) -> Self {
        let (reserve, mut reserved) = mpsc::channel(RESERVE);
        let forward = queue.clone();
        tokio::spawn(async move {
            while let Some(item) = reserved.recv().await {
                let sent = match item {
                    Reserved::Message(message) => forward.push(message).await,
                    Reserved::Flush(done) => forward.flush(done).await,
                };
                if sent.is_err() {
                    break;
                }
            }
        });
        Self {
            queue,
            reserve,
            calls: Calls::default(),
            message_bytes,
        }
    }

    /// Queues a notification; waits while the queue is full.
    ///
    /// # Errors
    /// See [`NotSent`].
    ///
    /// # Cancel safety
    /// A dropped future has sent nothing.
    pub async fn notify(
        &self,
        method: &'static str,
        params: &(impl Serialize + ?Sized),
    ) -> Result<(), NotSent> {
        let message = message::notification(method, &params, self.message_bytes)?;
        self.queue
            .push(message)
            .await
            .map_err(|Closed| NotSent::Closed)
    }

    /// Queues a notification that may be lost (logs, status): `false` when it was, because the
    /// queue is full, the host gone or the message too long. Never waits.
    pub fn try_notify(&self, method: &'static str, params: &(impl Serialize + ?Sized)) -> bool {
        message::notification(method, &params, self.message_bytes)
            .is_ok_and(|message| self.queue.try_push(message).is_ok())
    }

    /// Asks the host and waits for its answer.
    ///
    /// `deadline` counts from now on, the wait for room in the queue included; `None` waits for
    /// as long as the caller does.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Cancel safety
    /// Dropping the future before the answer came, like a deadline that passes, sends the host
    /// `$/cancelRequest`; a late answer is dropped.
    pub async fn call<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &(impl Serialize + ?Sized),
        deadline: Option<Duration>,
    ) -> Result<R, CallError> {
        let asked = self.ask(method, &params);
        let answer = match deadline {
            Some(deadline) => tokio::time::timeout(deadline, asked)
                .await
                .map_err(|_| CallError::TimedOut)??,
            None => asked.await?,
        };
        match answer {
            Ok(result) => decode(result.get()).map_err(CallError::BadReply),
            Err(error) if error.code == code::CANCELLED => Err(CallError::Cancelled),
            Err(error) => Err(CallError::Refused(error)),
        }
    }

    /// Completes when the host can no longer be written to.
    pub fn gone(&self) -> impl Future<Output = ()> + Send + '_ {
        self.gone_token().cancelled()
    }

    async fn ask(&self, method: &str, params: &impl Serialize) -> Result<Answer, CallError> {
        let mut pending = self.calls.register().ok_or(CallError::Closed)?;
        let request = message::request(pending.id, method, params, self.message_bytes)?;
        let slot = tokio::select! {
            slot = self.reserve_slot(request.len()) => slot,
            // Closed at end of file, which must end the wait for room too.
            _ = pending.answer() => Err(Closed),
        };
        slot.map_err(|Closed| CallError::Closed)?.fill(request);
        // No await since the request was queued: from here on a drop must tell the host.
        let mut call = SentCall {
            pending,
            outbound: self,
        };
        call.pending.answer().await.ok_or(CallError::Closed)
    }

    // === for the reader task ===

    /// Takes a message from someone who cannot wait.
    pub(super) fn send_reserved(&self, message: Message) {
        if let Err(mpsc::error::TrySendError::Full(_)) =
            self.reserve.try_send(Reserved::Message(message))
        {
            tracing::error!("a refusal was dropped: the host does not read its replies");
        }
    }

    /// As [`Self::send_reserved`], of a reply that jsonrpsee wrote.
    pub(super) fn refuse(&self, reply: Box<RawValue>) {
        self.send_reserved(reply.into());
    }

    /// Room for a reply, so that what must happen with its sending can happen at once.
    pub(super) async fn reserve_slot(&self, length: usize) -> Result<Slot<'_>, Closed> {
        self.queue.reserve(length).await
    }

    /// Waits until all that was sent before is written, the reserve included.
    pub(super) async fn flush(&self) -> Result<(), Closed> {
        let (done, written) = oneshot::channel();
        let sent = self.reserve.send(Reserved::Flush(done)).await;
        sent.map_err(|_| Closed)?;
        written.await.map_err(|_| Closed)
    }

    pub(super) fn gone_token(&self) -> &CancellationToken {
        self.queue.gone()
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }
}

// === impl SentCall ===

impl Drop for SentCall<'_> {
    fn drop(&mut self) {
        if self.pending.is_waiting() {
            let cancel = message::cancel(self.pending.id);
            self.outbound.send_reserved(cancel);
        }
    }
}
