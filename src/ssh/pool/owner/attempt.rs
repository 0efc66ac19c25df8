//! One connect, for those who wait or for nobody.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Order, Owner};
use crate::ssh::connect::Dialer;
use crate::ssh::error::Error;
use crate::ssh::observe::{Observer, StageOutcome, StageReport};
use crate::ssh::pool::deadline;
use crate::ssh::pool::shared::Shared;
use crate::ssh::pool::state::Step;
use crate::ssh::prompt::NoPrompter;
use crate::ssh::session::Session;

/// How long a try that nobody waits for waits for the hop before.
pub(super) const BEFORE: Duration = Duration::from_secs(10);

/// How a try ended.
pub(super) enum Tried {
    Connected(Session),
    Failed(Error),
    /// Those who wanted it have given up.
    Abandoned,
    Disconnected,
}

impl Owner {
    /// Connects once, for the first who waits, or else without asking anybody. If that was not
    /// enough and somebody came meanwhile, once more.
    pub(super) async fn try_once(&mut self) -> Tried {
        loop {
            let unattended = self.demands.is_empty();
            let tried = self.connect_once().await;
            self.tried = Instant::now();
            match tried {
                Tried::Failed(error)
                    if unattended && !error.is_transient() && !self.demands.is_empty() => {}
                tried => return tried,
            }
        }
    }

    async fn connect_once(&mut self) -> Tried {
        let (Some(pool), Some(target)) = (self.pool.upgrade(), self.target.clone()) else {
            return Tried::Disconnected;
        };
        let first = self.demands.first();
        let until = first.map_or_else(|| deadline(BEFORE), |demand| demand.until);
        let dialer = Dialer {
            environment: Arc::clone(&pool.environment),
            prompter: first.map_or_else(
                || Arc::new(NoPrompter) as _,
                |demand| Arc::clone(&demand.prompter),
            ),
            observer: Arc::new(Steps {
                shared: Arc::clone(&self.shared),
                also: first.and_then(|demand| demand.observer.clone()),
            }),
        };
        let connecting = pool.connect(target, self.key.hops(), dialer, until);
        tokio::pin!(connecting);
        loop {
            tokio::select! {
                biased;
                result = &mut connecting => return match result {
                    Ok(session) => Tried::Connected(session),
                    Err(error) => Tried::Failed(error),
                },
                order = self.orders.recv() => match order {
                    Some(Order::Demand(demand)) => self.want(*demand),
                    Some(Order::Probe(done)) => {
                        let _ = done.send(());
                    }
                    Some(Order::Disconnect(done)) => {
                        self.dismiss(done);
                        return Tried::Disconnected;
                    }
                    None => return Tried::Disconnected,
                },
                () = self.demands.abandoned() => return Tried::Abandoned,
            }
        }
    }
}

/// Turns the steps of a connect into the target's state.
struct Steps {
    shared: Arc<Shared>,
    also: Option<Arc<dyn Observer>>,
}

impl Observer for Steps {
    fn stage(&self, report: StageReport) {
        if report.outcome == StageOutcome::Started {
            self.shared.enter(Step {
                stage: report.stage,
                host: report.host.clone(),
            });
        }
        if let Some(also) = &self.also {
            also.stage(report);
        }
    }
}
