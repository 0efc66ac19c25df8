//! Requests to the host that wait for their answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::error::ErrorReply;

/// The notification that cancels a request, in both directions.
pub(super) const CANCEL: &str = "$/cancelRequest";

/// An answer as it came in.
pub(super) type Answer = Result<Box<RawValue>, ErrorReply>;

/// The table of pending calls. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    closed: bool,
}

/// A registered call. Dropping it takes it off the table.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) id: u64,
    answer: oneshot::Receiver<Answer>,
    calls: Calls,
}

// === impl Calls ===

impl Calls {
    /// Registers a new call under an id never used before; `None` once closed.
    pub(super) fn register(&self) -> Option<Pending> {
        let mut table = self.lock();
        if table.closed {
            return None;
        }
        table.next_id += 1;
        let id = table.next_id;
        let (sender, answer) = oneshot::channel();
        table.waiting.insert(id, sender);
        drop(table);
        Some(Pending {
            id,
            answer,
            calls: self.clone(),
        })
    }

    /// Hands an answer to whoever waits for it; `false` if nobody does.
    pub(super) fn resolve(&self, id: u64, answer: Answer) -> bool {
        let waiting = self.lock().waiting.remove(&id);
        waiting.is_some_and(|waiting| waiting.send(answer).is_ok())
    }

    /// Fails every pending call at once, and every later one.
    pub(super) fn close(&self) {
        let mut table = self.lock();
        table.closed = true;
        table.waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pending ===

impl Pending {
    /// Waits for the answer; `None` when the table was closed.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        (&mut self.answer).await.ok()
    }

    /// Whether an answer can still come.
    pub(super) fn is_waiting(&self) -> bool {
        self.calls.lock().waiting.contains_key(&self.id)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.calls.lock().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn null() -> Answer {
        Ok(RawValue::NULL.to_owned())
    }

    #[tokio::test]
    async fn an_answer_finds_its_call_once() {
        let calls = Calls::default();
        let mut first = calls.register().unwrap();
        let second = calls.register().unwrap();
        assert_ne!(first.id, second.id);
        assert!(calls.resolve(first.id, null()));
        assert!(first.answer().await.unwrap().is_ok());
        assert!(!calls.resolve(first.id, null()), "a duplicate is a stray");
        assert!(!calls.resolve(99, null()));
        let second_id = second.id;
        drop(second);
        assert!(!calls.resolve(second_id, null()));
    }

    #[tokio::test]
    async fn closing_fails_pending_and_later_calls() {
        let calls = Calls::default();
        let mut pending = calls.register().unwrap();
        calls.close();
        assert!(pending.answer().await.is_none());
        assert!(calls.register().is_none());
    }
}
