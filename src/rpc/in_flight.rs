//! Requests of the host's that are being handled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jsonrpsee_types::Id;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The bytes of a request of at most this many do not count: it may be the one that cancels
/// those whose bytes do.
const SMALL: usize = 1024;

/// The table of requests in flight. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    table: Arc<Mutex<Table>>,
    /// Parent of every request's token.
    all: CancellationToken,
    /// How many requests have no reply in the queue yet.
    unanswered: Arc<watch::Sender<usize>>,
    requests: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Table {
    tokens: HashMap<Id<'static>, CancellationToken>,
    bytes: usize,
}

/// A request in flight. Dropping it frees its id and its share of the limits.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) token: CancellationToken,
    id: Id<'static>,
    bytes: usize,
    table: Arc<Mutex<Table>>,
    unanswered: Unanswered,
}

/// A request without its reply in the queue.
#[derive(Debug)]
pub(super) struct Unanswered(Arc<watch::Sender<usize>>);

/// Why a request was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    DuplicateId,
    TooMany,
}

// === impl InFlight ===

impl InFlight {
    pub(super) fn new(requests: usize, bytes: usize) -> Self {
        Self {
            table: Arc::default(),
            all: CancellationToken::new(),
            unanswered: Arc::default(),
            requests,
            bytes,
        }
    }

    /// Lets a request of `bytes` bytes in.
    pub(super) fn register(&self, id: Id<'static>, bytes: usize) -> Result<Entry, Refusal> {
        let mut table = lock(&self.table);
        if table.tokens.contains_key(&id) {
            return Err(Refusal::DuplicateId);
        }
        let bytes = if bytes <= SMALL { 0 } else { bytes };
        let fits = bytes == 0 || table.bytes == 0 || table.bytes + bytes <= self.bytes;
        if table.tokens.len() >= self.requests || !fits {
            return Err(Refusal::TooMany);
        }
        let token = self.all.child_token();
        table.tokens.insert(id.clone(), token.clone());
        table.bytes += bytes;
        drop(table);
        self.unanswered.send_modify(|count| *count += 1);
        Ok(Entry {
            unanswered: Unanswered(Arc::clone(&self.unanswered)),
            token,
            id,
            bytes,
            table: Arc::clone(&self.table),
        })
    }

    /// Cancels one request; an unknown or finished one is ignored.
    pub(super) fn cancel(&self, id: &Id<'static>) {
        let token = lock(&self.table).tokens.get(id).cloned();
        // Outside the lock: cancelling runs wakers.
        if let Some(token) = token {
            token.cancel();
        }
    }

    /// Cancels every request, the later ones too.
    pub(super) fn cancel_all(&self) {
        self.all.cancel();
    }

    /// Waits until no request but one has its reply still to come.
    pub(super) async fn but_one(&self) {
        // The sender is ours, so it lives.
        let _ = self
            .unanswered
            .subscribe()
            .wait_for(|&count| count <= 1)
            .await;
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.table).tokens.len()
    }
}

// === impl Entry ===

impl Entry {
    /// Frees the id, before the host can see the reply.
    pub(super) fn free(self) -> Unanswered {
        self.unanswered.0.send_modify(|count| *count += 1);
        Unanswered(Arc::clone(&self.unanswered.0))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        table.tokens.remove(&self.id);
        table.bytes = table.bytes.saturating_sub(self.bytes);
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_ids_are_given_back() {
        let in_flight = InFlight::new(2, 100 * SMALL);
        let first = in_flight.register(Id::Number(1), 90 * SMALL).unwrap();
        let duplicate = in_flight.register(Id::Number(1), 1).unwrap_err();
        assert_eq!(duplicate, Refusal::DuplicateId);
        let too_long = in_flight.register(Id::Number(2), 11 * SMALL).unwrap_err();
        assert_eq!(too_long, Refusal::TooMany);
        let _second = in_flight.register(Id::Str("1".into()), 10 * SMALL).unwrap();
        let too_many = in_flight.register(Id::Number(3), 0).unwrap_err();
        assert_eq!(too_many, Refusal::TooMany);
        drop(first);
        in_flight.register(Id::Number(1), 0).unwrap();
    }

    #[test]
    fn of_the_long_requests_one_over_the_limit_goes_alone_and_a_short_one_always_does() {
        let in_flight = InFlight::new(3, 100 * SMALL);
        let _alone = in_flight.register(Id::Number(1), 1000 * SMALL).unwrap();
        assert!(in_flight.register(Id::Number(2), SMALL + 1).is_err());
        in_flight.register(Id::Number(2), SMALL).unwrap();
    }

    #[test]
    fn a_cancel_reaches_one_request_and_an_unknown_id_is_ignored() {
        let in_flight = InFlight::new(9, 9);
        let one = in_flight.register(Id::Number(1), 0).unwrap();
        let other = in_flight.register(Id::Number(2), 0).unwrap();
        in_flight.cancel(&Id::Number(1));
        in_flight.cancel(&Id::Number(7));
        assert!(one.token.is_cancelled());
        assert!(!other.token.is_cancelled());
        in_flight.cancel_all();
        assert!(other.token.is_cancelled());
    }
}
