//! What happened so far, and a way to wait for what comes next.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// A value that tests look at and wait on, instead of sleeping.
#[derive(Debug)]
pub(crate) struct Journal<T> {
    value: Mutex<T>,
    version: watch::Sender<u64>,
}

impl<T> Journal<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            version: watch::Sender::new(0),
        }
    }

    /// Changes the value and wakes everyone who waits on it.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.version.send_modify(|version| *version += 1);
        result
    }

    pub(crate) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    /// Waits until `find` answers; `None` once `limit` has passed.
    pub(crate) async fn wait<R>(
        &self,
        limit: Duration,
        mut find: impl FnMut(&T) -> Option<R>,
    ) -> Option<R> {
        let deadline = Instant::now() + limit;
        let mut version = self.version.subscribe();
        loop {
            version.borrow_and_update();
            if let Some(found) = find(&self.lock()) {
                return Some(found);
            }
            match timeout_at(deadline, version.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return None,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
