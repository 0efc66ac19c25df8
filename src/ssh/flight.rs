//! Single flight: one task does the work, however many wait for it.
//!
//! The task is detached, so a waiter that gives up does not stop the others;
//! when the last one gives up, the task is stopped.

use std::future::Future;
use std::sync::{Arc, Weak};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Work in progress that can be joined.
#[derive(Debug)]
pub(super) struct Flight<T> {
    result: watch::Receiver<Option<T>>,
    lease: Weak<Lease>,
}

/// One who waits for the result. Dropping it gives up.
#[derive(Debug)]
pub(super) struct Waiter<T> {
    result: watch::Receiver<Option<T>>,
    _lease: Arc<Lease>,
}

/// Shared by all waiters; its end stops the work.
#[derive(Debug)]
struct Lease(CancellationToken);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// Starts the work, which is dropped as soon as nobody waits any more.
    pub(super) fn start(work: impl Future<Output = T> + Send + 'static) -> (Self, Waiter<T>) {
        let (sender, result) = watch::channel(None);
        let stop = CancellationToken::new();
        let lease = Arc::new(Lease(stop.clone()));
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                value = work => {
                    sender.send_replace(Some(value));
                }
            }
        });
        let flight = Self {
            result: result.clone(),
            lease: Arc::downgrade(&lease),
        };
        let waiter = Waiter {
            result,
            _lease: lease,
        };
        (flight, waiter)
    }

    /// Waits for the same work; `None` if everybody else has given up already.
    pub(super) fn join(&self) -> Option<Waiter<T>> {
        Some(Waiter {
            result: self.result.clone(),
            _lease: self.lease.upgrade()?,
        })
    }
}

impl<T: Clone> Waiter<T> {
    /// The result; `None` if the work was stopped or panicked.
    pub(super) async fn wait(mut self) -> Option<T> {
        self.result
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|value| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn everybody_gets_the_result_of_the_one_run() {
        let (go, wait) = oneshot::channel::<()>();
        let (flight, first) = Flight::start(async move {
            wait.await.unwrap();
            7
        });
        let second = flight.join().unwrap();
        drop(flight);
        go.send(()).unwrap();
        assert_eq!(first.wait().await, Some(7));
        assert_eq!(second.wait().await, Some(7));
    }

    #[tokio::test]
    async fn the_work_goes_on_for_those_who_still_wait_and_stops_with_the_last() {
        let (alive, mut gone) = oneshot::channel::<()>();
        let (flight, first) = Flight::start(async move {
            std::future::pending::<()>().await;
            drop(alive);
        });
        let second = flight.join().unwrap();
        drop(first);
        assert!(
            gone.try_recv()
                .is_err_and(|e| e == oneshot::error::TryRecvError::Empty)
        );
        drop(second);
        assert!(gone.await.is_err());
        assert!(flight.join().is_none());
    }

    #[tokio::test]
    async fn a_panic_of_the_work_reaches_the_waiters_as_nothing() {
        let (_flight, waiter) = Flight::<()>::start(async { panic!("scripted") });
        assert_eq!(waiter.wait().await, None);
    }
}
