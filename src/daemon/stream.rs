//! The events of one prompt on their way to the host: numbered without gaps, in order, and
//! merged while the host is busy.
//!
//! A host that reads slowly must not slow the model down, and must lose nothing. So events
//! wait here, and as long as they wait, a text delta joins the one before it: what grows is
//! the answer's text, which is kept anyway, not a pile of small messages.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    protocol::{Event, Notification, StreamChunk, StreamChunkParams},
    rpc::{NotSent, Outbound},
};

use super::wire::json_bytes;

/// From this many waiting bytes on, the prompt waits for the host, and so does the server.
const FULL: usize = 1024 * 1024;

/// The same for all prompts together, each of which may have [`SHARE`] all the same.
const ALL_FULL: usize = 4 * 1024 * 1024;

/// The longest delta that others join. The host reads the events of other prompts between two.
const LONGEST: usize = 64 * 1024;

/// What no other prompt can take from one; a thousand of them have this each.
const SHARE: usize = 16 * 1024;

/// The waiting bytes of all prompts.
pub(super) type Total = Arc<AtomicUsize>;

/// Takes a prompt's events and hands them to the host in its own time.
#[derive(Debug)]
pub(super) struct EventStream {
    waiting: Arc<Waiting>,
    forwarder: JoinHandle<()>,
}

impl EventStream {
    /// A stream for the prompt that the host calls `request_id`.
    pub(super) fn new(request_id: String, outbound: Outbound, total: Total) -> Self {
        let waiting = Arc::new(Waiting::new(total));
        let forwarder = tokio::spawn(forward(Arc::clone(&waiting), request_id, outbound));
        Self { waiting, forwarder }
    }

    /// Adds an event. Waits only while far more is waiting than a working host leaves.
    pub(super) async fn push(&self, round: u32, event: Event) {
        self.waiting.push(round, event).await;
    }

    /// Adds the last event, and returns when every event is in the outbound queue, so that
    /// the reply comes after them.
    pub(super) async fn end(self, round: u32, event: Event) {
        self.waiting.push(round, event).await;
        self.waiting.lock().ended = true;
        self.waiting.arrived.notify_one();
        // The forwarder ends by itself; a panic in it has been reported by its task.
        let _ = self.forwarder.await;
    }
}

#[derive(Debug)]
struct Waiting {
    queue: Mutex<Queue>,
    arrived: Notify,
    drained: Notify,
    total: Total,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<(u32, Event)>,
    bytes: usize,
    /// No more events come.
    ended: bool,
    /// Nobody takes them any more.
    abandoned: bool,
}

impl Waiting {
    fn new(total: Total) -> Self {
        Self {
            queue: Mutex::default(),
            arrived: Notify::new(),
            drained: Notify::new(),
            total,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn push(&self, round: u32, event: Event) {
        self.total.fetch_add(weight(&event), Ordering::Relaxed);
        self.lock().add(round, event);
        self.arrived.notify_one();
        loop {
            let drained = self.drained.notified();
            if !self.is_full() {
                return;
            }
            drained.await;
        }
    }

    fn is_full(&self) -> bool {
        let queue = self.lock();
        let limit = if self.total.load(Ordering::Relaxed) < ALL_FULL {
            FULL
        } else {
            SHARE
        };
        queue.bytes >= limit && !queue.abandoned
    }

    /// Nobody is left to lose anything.
    fn abandon(&self) {
        let mut queue = self.lock();
        queue.abandoned = true;
        queue.events.clear();
        self.drained.notify_one();
    }

    /// The next event, or `None` after the last one.
    async fn next(&self) -> Option<(u32, Event)> {
        loop {
            {
                let mut queue = self.lock();
                if let Some((round, event)) = queue.events.pop_front() {
                    queue.bytes = queue.bytes.saturating_sub(weight(&event));
                    self.total.fetch_sub(weight(&event), Ordering::Relaxed);
                    self.drained.notify_one();
                    return Some((round, event));
                }
                if queue.ended {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.total.fetch_sub(self.lock().bytes, Ordering::Relaxed);
    }
}

impl Queue {
    fn add(&mut self, round: u32, event: Event) {
        self.bytes += weight(&event);
        if self.abandoned {
            return;
        }
        match self.events.back_mut() {
            Some((last_round, last)) if *last_round == round => match (last, event) {
                (Event::TextDelta { text }, Event::TextDelta { text: more })
                | (Event::ReasoningDelta { text }, Event::ReasoningDelta { text: more })
                    if text.len() < LONGEST =>
                {
                    text.push_str(&more);
                }
                (
                    Event::ToolCallDelta { id, fragment },
                    Event::ToolCallDelta {
                        id: same,
                        fragment: more,
                    },
                ) if *id == same && fragment.len() < LONGEST => fragment.push_str(&more),
                (_, event) => self.events.push_back((round, event)),
            },
            _ => self.events.push_back((round, event)),
        }
    }
}

/// The bytes of an event, roughly; exactly of those that grow by merging.
fn weight(event: &Event) -> usize {
    const SMALL: usize = 64;
    match event {
        Event::TextDelta { text } | Event::ReasoningDelta { text } => text.len(),
        Event::ToolCallDelta { fragment, .. } => fragment.len(),
        Event::ToolCallReady { input, .. } => SMALL + json_bytes(input),
        Event::ToolResult { preview, .. } => SMALL + preview.len(),
        Event::Warning { message } => SMALL + message.len(),
        Event::Started { .. }
        | Event::Status { .. }
        | Event::ToolCallStarted { .. }
        | Event::Usage { .. } => SMALL,
        // The answer is kept for the reply, too.
        Event::Finished { .. } | Event::Failed { .. } => SMALL,
    }
}

async fn forward(waiting: Arc<Waiting>, request_id: String, outbound: Outbound) {
    let lane = outbound.lane();
    let mut seq = 0;
    loop {
        // First the turn: what comes meanwhile joins what waits.
        let Ok(turn) = lane.turn().await else {
            return waiting.abandon();
        };
        let Some((round, event)) = waiting.next().await else {
            return;
        };
        let chunk = StreamChunkParams {
            request_id: &request_id,
            seq,
            round,
            event,
        };
        match turn.notify(StreamChunk::METHOD, &chunk).await {
            Ok(()) => seq += 1,
            Err(problem @ (NotSent::TooBig { .. } | NotSent::NoJson(_))) => {
                tracing::error!(%problem, "an event was lost");
            }
            Err(NotSent::Closed) => return waiting.abandon(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Event {
        Event::TextDelta {
            text: text.to_owned(),
        }
    }

    async fn all(waiting: &Waiting) -> Vec<(u32, String)> {
        waiting.lock().ended = true;
        let mut seen = Vec::new();
        while let Some((round, event)) = waiting.next().await {
            seen.push((round, serde_json::to_string(&event).unwrap()));
        }
        seen
    }

    #[tokio::test]
    async fn deltas_that_wait_become_one() {
        let waiting = Waiting::new(Total::default());
        for piece in ["a", "b", "c"] {
            waiting.push(1, text(piece)).await;
        }
        waiting
            .push(
                1,
                Event::ReasoningDelta {
                    text: "why".to_owned(),
                },
            )
            .await;
        waiting.push(2, text("d")).await;
        assert_eq!(
            all(&waiting).await,
            [
                (1, r#"{"type":"text-delta","text":"abc"}"#.to_owned()),
                (1, r#"{"type":"reasoning-delta","text":"why"}"#.to_owned()),
                (2, r#"{"type":"text-delta","text":"d"}"#.to_owned()),
            ]
        );
    }

    #[tokio::test]
    async fn a_long_delta_takes_no_more_in() {
        let waiting = Waiting::new(Total::default());
        for piece in ["x".repeat(LONGEST - 1), "xx".to_owned(), "y".to_owned()] {
            waiting.push(1, text(&piece)).await;
        }
        let told: Vec<_> = all(&waiting).await;
        let lengths: Vec<_> = told.iter().map(|(_, event)| event.len()).collect();
        let frame = r#"{"type":"text-delta","text":""}"#.len();
        assert_eq!(lengths, [frame + LONGEST + 1, frame + 1]);
    }

    #[tokio::test]
    async fn a_full_stream_waits_for_the_host_and_then_goes_on() {
        let waiting = Arc::new(Waiting::new(Total::default()));
        let pushed = tokio::spawn({
            let waiting = Arc::clone(&waiting);
            async move { waiting.push(1, text(&"x".repeat(FULL))).await }
        });
        while waiting.lock().bytes == 0 {
            tokio::task::yield_now().await;
        }
        assert!(!pushed.is_finished());
        waiting.next().await.unwrap();
        pushed.await.unwrap();
    }

    #[tokio::test]
    async fn the_arguments_of_a_call_count_too() {
        let waiting = Waiting::new(Total::default());
        let arguments = serde_json::json!({ "text": "x".repeat(FULL) });
        let call = Event::ToolCallReady {
            id: "a".to_owned(),
            name: "Write".to_owned(),
            input: arguments.as_object().cloned().unwrap_or_default(),
        };
        waiting.lock().add(1, call);
        assert!(waiting.is_full());
        waiting.next().await.unwrap();
        assert!(!waiting.is_full());
    }

    #[tokio::test]
    async fn all_streams_together_are_bounded_too() {
        let total = Total::default();
        let other = Waiting::new(Arc::clone(&total));
        total.store(ALL_FULL, Ordering::Relaxed);
        other.push(1, text(&"x".repeat(SHARE - 1))).await;
        assert!(!other.is_full());
        other.lock().add(1, text("xx"));
        assert!(other.is_full());
        total.store(SHARE + 1, Ordering::Relaxed);
        assert!(!other.is_full());
        drop(other);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }
}
