//! The prompts that are running, by the host's own names for them.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Every running prompt and how to cancel it.
#[derive(Debug, Default)]
pub(super) struct Running {
    tokens: Mutex<HashMap<String, CancellationToken>>,
    ended: Notify,
}

impl Running {
    /// Enters a prompt until the ticket is dropped; `None` when its name is taken.
    pub(super) fn enter(
        self: &Arc<Self>,
        request_id: &str,
        token: CancellationToken,
    ) -> Option<Ticket> {
        match self.lock().entry(request_id.to_owned()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                free.insert(token);
                Some(Ticket {
                    running: Arc::clone(self),
                    request_id: request_id.to_owned(),
                })
            }
        }
    }

    /// Cancels one prompt; `false` when there is none of that name.
    pub(super) fn cancel(&self, request_id: &str) -> bool {
        self.lock()
            .get(request_id)
            .inspect(|token| token.cancel())
            .is_some()
    }

    /// Cancels every prompt and waits until the last has ended. Dropping the future stops
    /// the waiting only.
    pub(super) async fn cancel_all(&self) {
        loop {
            let ended = self.ended.notified();
            {
                let tokens = self.lock();
                if tokens.is_empty() {
                    return;
                }
                tokens.values().for_each(CancellationToken::cancel);
            }
            ended.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A prompt's place among the running ones.
#[derive(Debug)]
pub(super) struct Ticket {
    running: Arc<Running>,
    request_id: String,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.running.lock().remove(&self.request_id);
        self.running.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_free_again_when_its_prompt_has_ended() {
        let running = Arc::new(Running::default());
        let token = CancellationToken::new();
        let ticket = running.enter("a", token.clone()).unwrap();
        assert!(running.enter("a", CancellationToken::new()).is_none());
        assert!(running.cancel("a") && token.is_cancelled());
        drop(ticket);
        assert!(!running.cancel("a"));
        assert!(running.enter("a", CancellationToken::new()).is_some());
    }

    #[tokio::test]
    async fn cancel_all_waits_for_the_last_one() {
        let running = Arc::new(Running::default());
        let token = CancellationToken::new();
        let ticket = running.enter("a", token.clone()).unwrap();
        let all = tokio::spawn({
            let running = Arc::clone(&running);
            async move { running.cancel_all().await }
        });
        token.cancelled().await;
        assert!(!all.is_finished());
        drop(ticket);
        all.await.unwrap();
    }
}
