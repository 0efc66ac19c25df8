//! The connection while it is there: given to those who want it, watched, probed, and multiplied
//! where it is saturated.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::attempt::BEFORE;
use super::{Order, Owner};
use crate::ssh::connect::Dialer;
use crate::ssh::error::Error;
use crate::ssh::observe::NoObserver;
use crate::ssh::pool::deadline;
use crate::ssh::pool::demands::Demand;
use crate::ssh::pool::shared::Shared;
use crate::ssh::pool::state::State;
use crate::ssh::prompt::NoPrompter;
use crate::ssh::session::{Session, unused_for};

/// How long to leave it at the connections that there are, when no further one could be made.
const GROW_AGAIN: Duration = Duration::from_secs(10);

/// What happens to the sessions.
pub(super) enum Event {
    Gone(Session),
    /// Nobody used it for long enough. It is closed, and was given to nobody since.
    Unused,
    Probed(Session, Result<Option<Duration>, Error>),
    Saturated(Session),
    Grown(Result<Session, Error>),
}

/// How serving ended.
pub(super) enum End {
    /// Closed because nobody wants it.
    Over,
    Lost(Session),
}

impl Owner {
    /// Makes a session everybody's.
    pub(super) fn take_in(&mut self, session: Session) {
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
    pub(super) async fn serve(&mut self) -> End {
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
        } else if let Some(worn) = self.shared.living() {
            self.demands.serve(&worn);
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
                    Ok(session) => {
                        for worn in self.shared.take_worn() {
                            tokio::spawn(worn.retire());
                        }
                        self.take_in(session);
                    }
                    Err(error) => {
                        tracing::info!("no further connection: {error}");
                        self.grow_after = deadline(GROW_AGAIN);
                    }
                }
                None
            }
        }
    }

    /// Makes one more connection, beside those that are there, without asking anybody.
    fn grow(&mut self) {
        let too_early = Instant::now() < self.grow_after;
        if self.growing || too_early || !self.shared.logs_in_silently() {
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

    pub(super) fn answer_probes(&mut self) {
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
}

/// Waits until a session is gone, or was of no use for long enough and is closed.
async fn watch_over(shared: Arc<Shared>, session: Session, idle: Option<Duration>) -> Event {
    let gone = session.when_gone();
    tokio::pin!(gone);
    let mut activity = session.activity();
    loop {
        tokio::select! {
            biased;
            () = &mut gone => return Event::Gone(session),
            () = unused_for(&mut activity, idle) => {}
        }
        // Who was given it at the last moment has touched it.
        let used = || activity.has_changed().unwrap_or(false);
        if shared.remove_unless(&session, used) {
            session.close().await;
            return Event::Unused;
        }
        // One that is worn is closed by who took it out.
        if !shared.has(&session) {
            gone.await;
            return Event::Gone(session);
        }
    }
}
