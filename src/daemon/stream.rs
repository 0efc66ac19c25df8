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

use tokio::sync::Notify;

use crate::{
    protocol::{Event, Notification, StreamChunk, StreamChunkParams},
    rpc::{Lane, NotSent, Notifier, Outbound, Source},
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
    lane: Lane,
}

impl EventStream {
    /// A stream for the prompt that the host calls `request_id`.
    pub(super) fn new(request_id: String, outbound: &Outbound, total: Total) -> Self {
        let waiting = Arc::new(Waiting::new(request_id, total));
        let lane = outbound.lane(Arc::<Waiting>::clone(&waiting));
        Self { waiting, lane }
    }

    /// Adds an event. Waits only while far more is waiting than a working host leaves.
    pub(super) async fn push(&self, round: u32, event: Event) {
        self.waiting.add(round, event);
        self.until(|waiting| !waiting.is_full()).await;
    }

    /// Adds the last event, and returns when every event is on its way, so that the reply comes
    /// after them.
    pub(super) async fn end(self, round: u32, event: Event) {
        self.waiting.add(round, event);
        self.until(Waiting::is_empty).await;
    }

    async fn until(&self, enough: impl Fn(&Waiting) -> bool) {
        loop {
            let taken = self.waiting.taken.notified();
            if self.lane.ready().is_err() {
                // Nobody is left to lose anything.
                return self.waiting.clear();
            }
            if enough(&self.waiting) {
                return;
            }
            tokio::select! {
                () = taken => {}
                () = self.lane.gone() => {}
            }
        }
    }
}

/// What the host has not taken yet.
#[derive(Debug)]
struct Waiting {
    request_id: String,
    queue: Mutex<Queue>,
    taken: Notify,
    total: Total,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<(u32, Event)>,
    bytes: usize,
    /// The number of the next event that is told.
    seq: u64,
}

impl Waiting {
    fn new(request_id: String, total: Total) -> Self {
        Self {
            request_id,
            queue: Mutex::default(),
            taken: Notify::new(),
            total,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, round: u32, event: Event) {
        self.total.fetch_add(weight(&event), Ordering::Relaxed);
        self.lock().add(round, event);
    }

    fn is_empty(&self) -> bool {
        self.lock().events.is_empty()
    }

    fn is_full(&self) -> bool {
        let limit = if self.total.load(Ordering::Relaxed) < ALL_FULL {
            FULL
        } else {
            SHARE
        };
        self.lock().bytes >= limit
    }

    fn clear(&self) {
        let mut queue = self.lock();
        queue.events.clear();
        self.total
            .fetch_sub(std::mem::take(&mut queue.bytes), Ordering::Relaxed);
    }
}

impl Source for Waiting {
    fn next(&self, to: &mut Notifier<'_>) -> bool {
        let mut queue = self.lock();
        let Some((round, event)) = queue.events.pop_front() else {
            return false;
        };
        let weight = weight(&event);
        queue.bytes = queue.bytes.saturating_sub(weight);
        self.total.fetch_sub(weight, Ordering::Relaxed);
        let chunk = StreamChunkParams {
            request_id: &self.request_id,
            seq: queue.seq,
            round,
            event,
        };
        match to.notify(StreamChunk::METHOD, &chunk) {
            Ok(()) => queue.seq += 1,
            Err(problem @ (NotSent::TooBig { .. } | NotSent::NoJson(_) | NotSent::Closed)) => {
                tracing::error!(%problem, "an event was lost");
            }
        }
        self.taken.notify_one();
        !queue.events.is_empty()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Queue {
    fn add(&mut self, round: u32, event: Event) {
        self.bytes += weight(&event);
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use serde_json::{Value, json};

    const REQUEST: &str = "r-1";

    fn waiting(total: &Total) -> Waiting {
        Waiting::new(REQUEST.to_owned(), Arc::clone(total))
    }

    fn text(text: &str) -> Event {
        Event::TextDelta {
            text: text.to_owned(),
        }
    }

    /// Takes one event; tells whether there is another.
    fn take(waiting: &Waiting, lines: &mut Vec<u8>) -> bool {
        waiting.next(&mut Notifier::new(lines, usize::MAX))
    }

    fn all(waiting: &Waiting) -> Vec<Value> {
        let mut lines = Vec::new();
        while take(waiting, &mut lines) {}
        assert!(waiting.is_empty());
        lines
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice::<Value>(line).unwrap()["params"].take())
            .collect()
    }

    #[test]
    fn deltas_that_wait_become_one() {
        let waiting = waiting(&Total::default());
        for piece in ["a", "b", "c"] {
            waiting.add(1, text(piece));
        }
        waiting.add(
            1,
            Event::ReasoningDelta {
                text: "why".to_owned(),
            },
        );
        waiting.add(2, text("d"));
        let told = |seq, round, kind, text| {
            let event = json!({"type": kind, "text": text});
            json!({"requestId": REQUEST, "seq": seq, "round": round, "event": event})
        };
        assert_eq!(
            all(&waiting),
            [
                told(0, 1, "text-delta", "abc"),
                told(1, 1, "reasoning-delta", "why"),
                told(2, 2, "text-delta", "d"),
            ]
        );
    }

    #[test]
    fn a_long_delta_takes_no_more_in() {
        let waiting = waiting(&Total::default());
        for piece in ["x".repeat(LONGEST - 1), "xx".to_owned(), "y".to_owned()] {
            waiting.add(1, text(&piece));
        }
        let told = all(&waiting);
        let lengths = told
            .iter()
            .map(|params| params["event"]["text"].as_str().unwrap().len());
        assert!(lengths.eq([LONGEST + 1, 1]));
    }

    #[test]
    fn an_event_that_cannot_be_told_leaves_no_gap() {
        let waiting = waiting(&Total::default());
        waiting.add(1, text(&"x".repeat(1000)));
        waiting.add(2, text("y"));
        let mut lines = Vec::new();
        while waiting.next(&mut Notifier::new(&mut lines, 500)) {}
        let line: Value = serde_json::from_slice(&lines).unwrap();
        assert_eq!(line["params"]["seq"], 0);
        assert_eq!(line["params"]["event"]["text"], "y");
    }

    #[test]
    fn the_arguments_of_a_call_count_too() {
        let waiting = waiting(&Total::default());
        let arguments = json!({ "text": "x".repeat(FULL) });
        let call = Event::ToolCallReady {
            id: "a".to_owned(),
            name: "Write".to_owned(),
            input: arguments.as_object().cloned().unwrap_or_default(),
        };
        waiting.add(1, call);
        assert!(waiting.is_full());
        take(&waiting, &mut Vec::new());
        assert!(!waiting.is_full());
    }

    #[test]
    fn all_streams_together_are_bounded_too() {
        let total = Total::default();
        let other = waiting(&total);
        total.store(ALL_FULL, Ordering::Relaxed);
        other.add(1, text(&"x".repeat(SHARE - 1)));
        assert!(!other.is_full());
        other.add(1, text("xx"));
        assert!(other.is_full());
        total.store(SHARE + 1, Ordering::Relaxed);
        assert!(!other.is_full());
        drop(other);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }

    /// Where nobody reads, and the room of the pipe is full.
    #[cfg(unix)]
    #[tokio::test]
    async fn a_full_stream_waits_for_the_host_and_then_goes_on() {
        use crate::rpc::{HostPipe, Limits, Peer};
        use std::{fs::File, io::Read as _, os::fd::OwnedFd, os::unix::net::UnixStream};

        let (ours, mut host) = UnixStream::pair().unwrap();
        let output = HostPipe::from(File::from(OwnedFd::from(ours)));
        let (outbound, _incoming) =
            Peer::start(std::io::empty(), output, Limits::default()).unwrap();
        let total = Total::default();
        let stream = EventStream::new(REQUEST.to_owned(), &outbound, Arc::clone(&total));
        let piece = "x".repeat(LONGEST);
        let mut sent = 0;
        loop {
            sent += 1;
            if stream.push(1, text(&piece)).now_or_never().is_none() {
                break;
            }
        }
        assert!(sent * LONGEST >= FULL);
        let reading = std::thread::spawn(move || {
            let mut read = Vec::new();
            host.read_to_end(&mut read).unwrap();
            read
        });
        stream.end(1, text("the end")).await;
        assert_eq!(total.load(Ordering::Relaxed), 0);
        drop((outbound, _incoming));
        // The reading ends with the runtime, which has the writer.
        let read = tokio::task::spawn_blocking(|| reading.join().unwrap());
        let read = read.await.unwrap();
        let texts: usize = read
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
            .map(|line| line["params"]["event"]["text"].as_str().unwrap().len())
            .sum();
        assert_eq!(texts, sent * LONGEST + "the end".len());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_waits_for_a_host_that_is_gone() {
        use crate::rpc::{HostPipe, Limits, Peer};
        use std::{fs::File, os::fd::OwnedFd, os::unix::net::UnixStream};

        let (ours, _host) = UnixStream::pair().unwrap();
        let output = HostPipe::from(File::from(OwnedFd::from(ours)));
        let (outbound, _incoming) =
            Peer::start(std::io::empty(), output, Limits::default()).unwrap();
        let total = Total::default();
        let stream = EventStream::new(REQUEST.to_owned(), &outbound, Arc::clone(&total));
        let long = "x".repeat(4 * FULL);
        // The first is taken by the writer, and then nobody reads.
        let waits = async {
            loop {
                stream.push(1, text(&long)).await;
                tokio::task::yield_now().await;
                if outbound.is_gone() {
                    return;
                }
            }
        };
        let mut waits = Box::pin(waits);
        assert!(waits.as_mut().now_or_never().is_none());
        outbound.give_up();
        waits.await;
        stream.end(1, text("the end")).await;
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }
}
