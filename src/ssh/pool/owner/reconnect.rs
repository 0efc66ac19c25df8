//! Gets a lost connection back.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::attempt::Tried;
use super::{Order, Owner, jitter};
use crate::ssh::error::Error;
use crate::ssh::pool::state::State;
use crate::ssh::session::Session;

/// Somebody who wants a lost connection has it tried at once, but not more often than this.
const EAGER: Duration = Duration::from_millis(250);

/// Whether a wait ends when nobody wants the connection any more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Endless,
    OfThoseWhoWait,
}

/// How a wait ended.
pub(super) enum Waited {
    /// It is time.
    Over,
    /// Those who wanted it have given up.
    Abandoned,
    Disconnected,
}

impl Owner {
    /// Gets a lost connection back: tries at once, and then again and again. Asks a person only
    /// if somebody waits for the connection.
    pub(super) async fn reconnect(&mut self, lost: &Session) -> Option<Session> {
        self.clear();
        let mut error = lost.loss();
        self.last = Some(error.clone());
        if let Some(last) = lost.last_use() {
            self.used = last;
        }
        if !lost.logged_in_silently() {
            self.shared.set(State::NeedsUser { error });
            return None;
        }
        let idle = self.target.as_ref().and_then(|target| target.idle);
        let mut wait = self.backoff.lost(lost.age(), Instant::now(), jitter());
        for attempt in 1.. {
            let next = Instant::now() + wait;
            let unused = idle.is_some_and(|idle| next.saturating_duration_since(self.used) > idle);
            if self.demands.is_empty() && (unused || !self.shared.is_watched()) {
                break;
            }
            let waited = self.wait(attempt, next, &error, Patience::Endless).await;
            if matches!(waited, Waited::Disconnected) {
                self.shared.set(State::Off);
                return None;
            }
            self.shared.set(State::Reconnecting {
                attempt,
                next: None,
                step: None,
                error: error.clone(),
            });
            self.answer_probes();
            match self.try_once().await {
                Tried::Connected(session) => return Some(session),
                Tried::Disconnected => {
                    self.shared.set(State::Off);
                    return None;
                }
                Tried::Abandoned => wait = EAGER,
                Tried::Failed(failed) if failed.is_transient() => {
                    wait = self.backoff.failed(&failed.cause, Instant::now(), jitter());
                    error = failed;
                    self.last = Some(error.clone());
                }
                Tried::Failed(failed) => {
                    self.fail(failed);
                    return None;
                }
            }
        }
        self.fail(error);
        None
    }

    /// Waits for the time of a try, which comes sooner when somebody wants the connection or the
    /// computer woke up, unless the server wants to be left alone.
    pub(super) async fn wait(
        &mut self,
        attempt: u32,
        mut next: Instant,
        error: &Error,
        patience: Patience,
    ) -> Waited {
        loop {
            let now = Instant::now();
            self.demands.expire(now, error);
            if next <= now {
                return Waited::Over;
            }
            if patience == Patience::OfThoseWhoWait && self.demands.is_empty() {
                return Waited::Abandoned;
            }
            self.shared.set(State::Reconnecting {
                attempt,
                next: Some(next),
                step: None,
                error: error.clone(),
            });
            self.answer_probes();
            let expiry = self
                .demands
                .next_expiry()
                .map_or(next, |expiry| expiry.min(next));
            let sooner = tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(Order::Demand(demand)) => {
                        self.want(*demand);
                        self.tried + EAGER
                    }
                    Some(Order::Probe(done)) => {
                        self.probing.push(done);
                        self.backoff.restart(now);
                        now
                    }
                    Some(Order::Disconnect(done)) => {
                        self.dismiss(done);
                        return Waited::Disconnected;
                    }
                    None => return Waited::Disconnected,
                },
                () = sleep_until(expiry) => continue,
                () = self.demands.abandoned() => continue,
            };
            let held = self.backoff.held_until(now).unwrap_or(now);
            next = next.min(sooner.max(held));
        }
    }
}
