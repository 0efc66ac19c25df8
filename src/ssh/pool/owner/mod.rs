//! The one task that a target's connection belongs to.
//!
//! ```text
//! rest ──demand──▶ connect ──▶ serve ──lost──▶ reconnect ─┐
//!  ▲                  │          │  ▲                     │
//!  └──────failed──────┴───idle───┘  └─────────────────────┘
//! ```
//!
//! Every way to a session goes through a login of its own, so there is none around the check of the
//! host key.

mod attempt;
mod reconnect;
mod serve;

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::attempt::Tried;
use self::reconnect::{Patience, Waited};
use self::serve::{End, Event};
use super::Inner;
use super::backoff::Backoff;
use super::demands::{Demand, Demands};
use super::key::Key;
use super::shared::Shared;
use super::state::State;
use crate::ssh::error::Error;
use crate::ssh::prompt::BoxFuture;
use crate::ssh::session::Session;
use crate::ssh::target::Target;

/// An owner without work stays for this long, in case somebody has something for it after all.
const REST: Duration = Duration::from_secs(1);

/// What an owner is told.
pub(super) enum Order {
    Demand(Box<Demand>),
    /// Answered when everything is closed.
    Disconnect(oneshot::Sender<()>),
    /// Answered when every session has answered, or was given up.
    Probe(oneshot::Sender<()>),
}

pub(super) struct Owner {
    pool: Weak<Inner>,
    key: Key,
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    demands: Demands,
    /// As somebody wanted it last: with the secrets and time-outs of today.
    target: Option<Target>,
    backoff: Backoff,
    /// How the last connection or the last try ended.
    last: Option<Error>,
    tried: Instant,
    /// When somebody used the connection last; to have it made again is no use.
    used: Instant,
    events: FuturesUnordered<BoxFuture<'static, Event>>,
    growing: bool,
    grow_after: Instant,
    probing: Vec<oneshot::Sender<()>>,
    unprobed: usize,
}

impl Owner {
    pub(super) fn new(
        pool: Weak<Inner>,
        key: Key,
        shared: Arc<Shared>,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        Self {
            pool,
            key,
            shared,
            orders,
            demands: Demands::default(),
            target: None,
            backoff: Backoff::default(),
            last: None,
            tried: Instant::now(),
            used: Instant::now(),
            events: FuturesUnordered::new(),
            growing: false,
            grow_after: Instant::now(),
            probing: Vec::new(),
            unprobed: 0,
        }
    }

    /// Runs until nobody needs it any more. At the pool's end the sessions are left to it, and
    /// those who wait learn that it is closed.
    pub(super) async fn run(mut self, shut: CancellationToken) {
        tokio::select! {
            biased;
            () = shut.cancelled() => {}
            () = self.live() => {}
        }
    }

    async fn live(&mut self) {
        while self.rest().await {
            if let Some(session) = self.connect().await {
                self.keep(session).await;
            }
            self.clear();
            self.probing.clear();
        }
    }

    /// Waits until somebody wants the connection; `false`: nobody is left who could.
    async fn rest(&mut self) -> bool {
        while self.demands.is_empty() {
            let unwatched = async {
                sleep(REST).await;
                self.shared.unwatched().await;
            };
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(Order::Demand(demand)) => self.want(*demand),
                    Some(Order::Disconnect(done)) => {
                        self.shared.set(State::Off);
                        let _ = done.send(());
                    }
                    Some(Order::Probe(done)) => {
                        let _ = done.send(());
                    }
                    None => return false,
                },
                () = unwatched => if self.is_forgotten() {
                    return false;
                },
            }
        }
        true
    }

    /// Leaves the table, unless somebody has the way to this owner in hand.
    fn is_forgotten(&self) -> bool {
        self.pool.upgrade().is_none_or(|pool| {
            pool.forget(&self.key, || {
                // The table has one.
                self.orders.sender_strong_count() <= 1
                    && self.orders.is_empty()
                    && !self.shared.is_watched()
            })
        })
    }

    fn want(&mut self, demand: Demand) {
        self.used = Instant::now();
        self.target = Some(demand.target.clone());
        self.demands.push(demand);
    }

    /// Connects for those who wait. When it does not work they learn why at once.
    async fn connect(&mut self) -> Option<Session> {
        if let (Some(until), Some(error)) =
            (self.backoff.held_until(Instant::now()), self.last.clone())
        {
            let before = self.shared.state();
            match self.wait(1, until, &error, Patience::OfThoseWhoWait).await {
                Waited::Over => {}
                Waited::Abandoned => {
                    self.shared.set(before);
                    return None;
                }
                Waited::Disconnected => {
                    self.shared.set(State::Off);
                    return None;
                }
            }
        }
        self.shared.set(State::Connecting { step: None });
        match self.try_once().await {
            Tried::Connected(session) => Some(session),
            Tried::Failed(error) => {
                self.backoff.failed(&error.cause, Instant::now(), jitter());
                self.fail(error);
                None
            }
            Tried::Abandoned | Tried::Disconnected => {
                self.shared.set(State::Off);
                None
            }
        }
    }

    /// Those who wait learn that it is closed; there is nothing else to close.
    fn dismiss(&mut self, done: oneshot::Sender<()>) {
        self.demands = Demands::default();
        let _ = done.send(());
    }

    fn fail(&mut self, error: Error) {
        self.last = Some(error.clone());
        self.shared.set(State::after(error.clone()));
        self.demands.refuse(&error);
    }

    /// Has a session until it is no longer wanted, or can't be had again.
    async fn keep(&mut self, mut session: Session) {
        loop {
            self.take_in(session);
            let lost = match self.serve().await {
                End::Over => {
                    self.shared.set(State::Off);
                    return;
                }
                End::Lost(lost) => lost,
            };
            match self.reconnect(&lost).await {
                Some(again) => session = again,
                None => return,
            }
        }
    }

    /// Forgets what was under way for sessions that are gone.
    fn clear(&mut self) {
        self.events.clear();
        self.growing = false;
        self.unprobed = 0;
    }
}

/// From 0 to 1, evenly.
fn jitter() -> f64 {
    const BITS: u32 = 32;
    // The last bits of a random UUID are all random.
    let (_, random) = Uuid::new_v4().as_u64_pair();
    let low = u32::try_from(random & u64::from(u32::MAX)).unwrap_or_default();
    f64::from(low) / 2_f64.powi(BITS.cast_signed())
}
