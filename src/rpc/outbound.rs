//! The handle through which everyone talks to the host.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::calls::{Answer, Calls, Pending};
use super::decode::decode;
use super::error::{CallError, NotSent, code};
use super::lane::{Lane, Lanes, Source};
use super::message;
use super::queue::{Closed, Message, Queue, Slot};

/// Refusals that may be kept until the queue has room. They are small: at most a string id
/// (1 KiB) and a sentence each.
const REFUSALS: usize = 16 << 10;

/// Cancellations that may be kept so: more than there can be calls in the queue and at the host.
const CANCELS: usize = 4 << 10;

/// The way to the host. A cheap clone; all clones feed one ordered queue.
///
/// # Those who cannot wait
/// The reader task and destructors must not wait for room in the queue. What they send (refusals
/// of requests, `$/cancelRequest` of a dropped call) is kept apart, and one task moves it into
/// the queue as room appears. No refusal is lost: from a host that leaves 16384 of them unread
/// nothing more is read until it has taken one.
#[derive(Debug, Clone)]
pub struct Outbound {
    queue: Queue,
    refusals: mpsc::Sender<Refusal>,
    cancels: mpsc::Sender<Message>,
    calls: Calls,
    message_bytes: usize,
}

#[derive(Debug)]
enum Refusal {
    Message(Message),
    Flush(oneshot::Sender<()>),
}

/// Sends `$/cancelRequest` when dropped before its call was answered.
#[derive(Debug)]
struct SentCall<'a> {
    pending: Pending,
    outbound: &'a Outbound,
    cancelled: bool,
}

// === impl Outbound ===

impl Outbound {
    pub(super) fn start(queue: Queue, message_bytes: usize) -> Self {
        let (refusals, refused) = mpsc::channel(REFUSALS);
        let (cancels, cancelled) = mpsc::channel(CANCELS);
        tokio::spawn(forward(queue.clone(), refused, cancelled));
        Self {
            queue,
            refusals,
            cancels,
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
        let slot = self.reserve_slot(message.len()).await;
        slot.map_err(|Closed| NotSent::Closed)?.fill(message);
        Ok(())
    }

    /// A way to the host for one stream among many.
    #[must_use]
    pub fn lane(&self, source: Arc<dyn Source>) -> Lane {
        Lane::new(self.clone(), source)
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
        let asked = self.ask(method, &params, std::future::pending());
        let answer = match deadline {
            Some(deadline) => tokio::time::timeout(deadline, asked)
                .await
                .map_err(|_| CallError::TimedOut)??,
            None => asked.await?,
        };
        read(answer)
    }

    /// Asks the host and waits for its answer; when `stop` completes, the host is sent
    /// `$/cancelRequest` once, and is waited for all the same.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Cancel safety
    /// As of [`Self::call`].
    pub async fn call_until<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &(impl Serialize + ?Sized),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<R, CallError> {
        read(self.ask(method, &params, stop).await?)
    }

    /// Completes when the host can no longer be written to.
    pub fn gone(&self) -> impl Future<Output = ()> + Send + '_ {
        self.gone_token().cancelled()
    }

    /// Whether the host can no longer be written to.
    #[cfg(test)]
    pub fn is_gone(&self) -> bool {
        self.gone_token().is_cancelled()
    }

    /// Tells that the host is gone, where that is known from elsewhere: nothing more is written.
    pub fn give_up(&self) {
        self.queue.give_up();
    }

    async fn ask(
        &self,
        method: &str,
        params: &impl Serialize,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Answer, CallError> {
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
            cancelled: false,
        };
        tokio::select! {
            biased;
            answer = call.pending.answer() => return answer.ok_or(CallError::Closed),
            () = stop => call.cancel(),
        }
        call.pending.answer().await.ok_or(CallError::Closed)
    }

    // === for the reader task ===

    /// Answers a request that is not served. Waits only while very many refusals are unread.
    pub(super) async fn refuse(&self, reply: Box<RawValue>) {
        // A host that is gone has no use for it.
        let _ = self.refusals.send(Refusal::Message(reply.into())).await;
    }

    /// Room for a reply, so that what must happen with its sending can happen at once.
    pub(super) async fn reserve_slot(&self, length: usize) -> Result<Slot<'_>, Closed> {
        self.queue.reserve(length).await
    }

    /// Waits until all that was sent before is written, refusals and cancellations included.
    pub(super) async fn flush(&self) -> Result<(), Closed> {
        let (done, written) = oneshot::channel();
        let sent = self.refusals.send(Refusal::Flush(done)).await;
        sent.map_err(|_| Closed)?;
        written.await.map_err(|_| Closed)
    }

    pub(super) fn lanes(&self) -> &Lanes {
        self.queue.lanes()
    }

    pub(super) fn gone_token(&self) -> &CancellationToken {
        self.queue.gone()
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }
}

// === impl SentCall ===

impl SentCall<'_> {
    /// Tells the host, once.
    fn cancel(&mut self) {
        if self.pending.is_waiting() && !self.cancelled {
            self.cancelled = true;
            let cancel = message::cancel(self.pending.id);
            // A host that is gone has cancelled everything.
            if let Err(TrySendError::Full(_)) = self.outbound.cancels.try_send(cancel) {
                tracing::error!("a cancellation was lost: the host does not read");
            }
        }
    }
}

impl Drop for SentCall<'_> {
    fn drop(&mut self) {
        self.cancel();
    }
}

fn read<R: DeserializeOwned>(answer: Answer) -> Result<R, CallError> {
    match answer {
        Ok(result) => decode(result.get()).map_err(CallError::BadReply),
        Err(error) if error.code == code::CANCELLED => Err(CallError::Cancelled),
        Err(error) => Err(CallError::Refused(error)),
    }
}

/// Moves what could not wait into the queue, until nobody sends any more or the host is gone.
async fn forward(
    queue: Queue,
    mut refusals: mpsc::Receiver<Refusal>,
    mut cancels: mpsc::Receiver<Message>,
) {
    loop {
        let sent = tokio::select! {
            // First, so that a flush comes after all that was sent before it.
            biased;
            Some(cancel) = cancels.recv() => queue.push(cancel).await,
            Some(refusal) = refusals.recv() => match refusal {
                Refusal::Message(reply) => queue.push(reply).await,
                Refusal::Flush(done) => queue.flush(done).await,
            },
            else => return,
        };
        if sent.is_err() {
            return;
        }
    }
}
