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

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::backoff::Backoff;
use super::demands::{Demand, Demands};
use super::key::Key;
use super::shared::Shared;
use super::state::{State, Step};
use super::{Inner, deadline};
use crate::ssh::connect::Dialer;
use crate::ssh::error::Error;
use crate::ssh::observe::{NoObserver, Observer, StageOutcome, StageReport};
use crate::ssh::prompt::{BoxFuture, NoPrompter};
use crate::ssh::session::Session;
use crate::ssh::target::Target;

/// An owner without work stays for this long, in case somebody has something for it after all.
const REST: Duration = Duration::from_secs(1);

/// Somebody who wants a lost connection has it tried at once, but not more often than this.
const EAGER: Duration = Duration::from_millis(250);

/// How long a try that nobody waits for waits for the hop before.
const BEFORE: Duration = Duration::from_secs(10);

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
    probing: Vec<oneshot::Sender<()>>,
    unprobed: usize,
}

/// What happens to the sessions.
enum Event {
    Gone(Session),
    /// Nobody used it for long enough. It is closed, and was given to nobody since.
    Unused,
    Probed(Session, Result<Option<Duration>, Error>),
    Saturated(Session),
    Grown(Result<Session, Error>),
}

/// How a try ended.
enum Tried {
    Connected(Session),
    Failed(Error),
    /// Those who wanted it have given up.
    Abandoned,
    Disconnected,
}

/// Whether a wait ends when nobody wants the connection any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Endless,
    OfThoseWhoWait,
}

/// How a wait ended.
enum Waited {
    /// It is time.
    Over,
    /// Those who wanted it have given up.
    Abandoned,
    Disconnected,
}

/// How serving ended.
enum End {
    /// Closed because nobody wants it.
    Over,
    Lost(Session),
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

    /// Makes a session everybody's.
    fn take_in(&mut self, session: Session) {
        let idle = self.target.as_ref().and_then(|target| target.idle);
        let watched = watch_over(Arc::clone(&self.shared), session.clone(), idle);
        self.events.push(Box::pin(watched));
        self.look_out(session.clone());
        self.shared.add(session.clone());
        // Those who are served can rely on it.
        if !matches!(self.shared.state(), State::Ready { .. }) {
            self.shared.set(State::Ready { latency: None });
        }
        self.demands.serve(&session);
    }

    fn look_out(&self, session: Session) {
        if self
            .target
            .as_ref()
            .is_some_and(|target| target.max_connections > 1)
        {
            self.events.push(Box::pin(async move {
                session.when_saturated().await;
                Event::Saturated(session)
            }));
        }
    }

    /// Serves those who want the connection while it is there.
    async fn serve(&mut self) -> End {
        loop {
            tokio::select! {
                biased;
                Some(event) = self.events.next() => {
                    if let Some(end) = self.happened(event) {
                        return end;
                    }
                }
                order = self.orders.recv() => match order {
                    Some(Order::Demand(demand)) => self.serve_one(*demand),
                    Some(Order::Probe(done)) => self.probe(done),
                    Some(Order::Disconnect(done)) => {
                        self.close(Some(done));
                        return End::Over;
                    }
                    None => {
                        self.close(None);
                        return End::Over;
                    }
                },
                () = self.demands.abandoned() => {}
            }
        }
    }

    fn serve_one(&mut self, demand: Demand) {
        self.want(demand);
        if let Some(session) = self.shared.usable() {
            self.demands.serve(&session);
        } else if self.shared.has_living() {
            // What is there is worn.
            self.grow();
        }
        // Else it has just been lost, which is about to be noticed.
    }

    fn happened(&mut self, event: Event) -> Option<End> {
        match event {
            Event::Gone(session) => {
                if !self.shared.remove(&session) || !self.shared.is_empty() {
                    return None;
                }
                Some(if session.was_closed_here() {
                    End::Over
                } else {
                    End::Lost(session)
                })
            }
            Event::Unused => self.shared.is_empty().then_some(End::Over),
            Event::Probed(session, answered) => self.probed(&session, answered),
            Event::Saturated(session) => {
                if self.shared.has(&session) {
                    let most = self
                        .target
                        .as_ref()
                        .map_or(1, |target| target.max_connections);
                    if self.shared.len() < most {
                        self.grow();
                    }
                    self.look_out(session);
                }
                None
            }
            Event::Grown(grown) => {
                self.growing = false;
                match grown {
                    Ok(session) => self.take_in(session),
                    Err(error) => {
                        tracing::info!("no further connection: {error}");
                        self.demands.refuse(&error);
                    }
                }
                None
            }
        }
    }

    /// Makes one more connection, beside those that are there, without asking anybody.
    fn grow(&mut self) {
        if self.growing || !self.shared.logs_in_silently() {
            return;
        }
        let (Some(pool), Some(target)) = (self.pool.upgrade(), self.target.clone()) else {
            return;
        };
        self.growing = true;
        let dialer = Dialer {
            environment: Arc::clone(&pool.environment),
            prompter: Arc::new(NoPrompter),
            observer: Arc::new(NoObserver),
        };
        let connecting = pool.connect(target, self.key.hops(), dialer, deadline(BEFORE));
        self.events
            .push(Box::pin(async move { Event::Grown(connecting.await) }));
    }

    /// Asks every session whether its server is still there.
    fn probe(&mut self, done: oneshot::Sender<()>) {
        self.probing.push(done);
        if self.unprobed > 0 {
            return;
        }
        for session in self.shared.all() {
            self.unprobed += 1;
            self.events.push(Box::pin(async move {
                let answered = session.latency().await;
                Event::Probed(session, answered)
            }));
        }
        if self.unprobed == 0 {
            self.answer_probes();
        }
    }

    fn probed(
        &mut self,
        session: &Session,
        answered: Result<Option<Duration>, Error>,
    ) -> Option<End> {
        self.unprobed = self.unprobed.saturating_sub(1);
        let mut end = None;
        match answered {
            Ok(latency) => {
                if self.shared.has(session) && latency.is_some() {
                    self.shared.set(State::Ready { latency });
                }
            }
            Err(_) => {
                session.give_up();
                if self.shared.remove(session) && self.shared.is_empty() {
                    end = Some(End::Lost(session.clone()));
                }
            }
        }
        // Those of a lost connection are answered when its state says so.
        if self.unprobed == 0 && end.is_none() {
            self.answer_probes();
        }
        end
    }

    fn answer_probes(&mut self) {
        for done in self.probing.drain(..) {
            let _ = done.send(());
        }
    }

    /// Closes everything; does not wait for it.
    fn close(&mut self, done: Option<oneshot::Sender<()>>) {
        let sessions = self.shared.take_all();
        tokio::spawn(async move {
            for session in sessions {
                session.close().await;
            }
            if let Some(done) = done {
                let _ = done.send(());
            }
        });
    }

    /// Gets a lost connection back: tries at once, and then again and again. Asks a person only
    /// if somebody waits for the connection.
    async fn reconnect(&mut self, lost: &Session) -> Option<Session> {
        self.events.clear();
        self.growing = false;
        self.unprobed = 0;
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
    async fn wait(
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
                        self.demands = Demands::default();
                        let _ = done.send(());
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

    /// Connects once, for the first who waits, or else without asking anybody. If that was not
    /// enough and somebody came meanwhile, once more.
    async fn try_once(&mut self) -> Tried {
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
                        self.demands = Demands::default();
                        let _ = done.send(());
                        return Tried::Disconnected;
                    }
                    None => return Tried::Disconnected,
                },
                () = self.demands.abandoned() => return Tried::Abandoned,
            }
        }
    }
}

/// Waits until a session is gone, or was of no use for long enough and is closed.
async fn watch_over(shared: Arc<Shared>, session: Session, idle: Option<Duration>) -> Event {
    let gone = session.when_gone();
    tokio::pin!(gone);
    let mut activity = session.activity();
    loop {
        let now = *activity.borrow_and_update();
        let unused = async {
            match idle.and_then(|idle| now.last.checked_add(idle)) {
                Some(end) if now.streams == 0 => sleep_until(end).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = &mut gone => return Event::Gone(session),
            changed = activity.changed() => if changed.is_err() {
                return Event::Gone(session);
            },
            () = unused => {
                // Who was given it at the last moment has touched it.
                let used = || activity.has_changed().unwrap_or(false);
                if shared.remove_unless(&session, used) {
                    session.close().await;
                    return Event::Unused;
                }
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

/// From 0 to 1, evenly.
fn jitter() -> f64 {
    const BITS: u32 = 32;
    // The last bits of a random UUID are all random.
    let (_, random) = Uuid::new_v4().as_u64_pair();
    let low = u32::try_from(random & u64::from(u32::MAX)).unwrap_or_default();
    f64::from(low) / 2_f64.powi(BITS.cast_signed())
}
