//! What an owner shows to those who use its connection: its state and its sessions.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::state::{State, Step};
use crate::ssh::session::Session;

#[derive(Debug, Default)]
pub(super) struct Shared {
    state: watch::Sender<State>,
    /// Mostly one. Not all need to be alive.
    sessions: Mutex<Vec<Session>>,
}

impl Shared {
    // === the state ===

    pub(super) fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(super) fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    pub(super) fn enter(&self, step: Step) {
        self.state.send_if_modified(|state| state.enter(step));
    }

    pub(super) fn is_watched(&self) -> bool {
        self.state.receiver_count() > 0
    }

    /// Waits until nobody watches the state.
    pub(super) async fn unwatched(&self) {
        self.state.closed().await;
    }

    // === the sessions ===

    /// The session to use: of those that are good for somebody new the one with the fewest
    /// streams. A worn one is left to those who use it. Counts as use.
    pub(super) fn usable(&self) -> Option<Session> {
        let sessions = self.lock();
        let session = sessions
            .iter()
            .filter(|session| session.is_alive() && !session.is_worn())
            .min_by_key(|session| session.streams())?;
        session.touch();
        Some(session.clone())
    }

    pub(super) fn add(&self, session: Session) {
        self.lock().push(session);
    }

    /// Takes a session out; `false` if it was not there any more.
    pub(super) fn remove(&self, session: &Session) -> bool {
        self.remove_unless(session, || false)
    }

    /// Takes a session out, unless `keep` says otherwise. Nobody is given it in between.
    pub(super) fn remove_unless(&self, session: &Session, keep: impl FnOnce() -> bool) -> bool {
        let mut sessions = self.lock();
        if keep() {
            return false;
        }
        let before = sessions.len();
        sessions.retain(|known| !known.is(session));
        sessions.len() < before
    }

    pub(super) fn take_all(&self) -> Vec<Session> {
        std::mem::take(&mut *self.lock())
    }

    pub(super) fn all(&self) -> Vec<Session> {
        self.lock().clone()
    }

    pub(super) fn has(&self, session: &Session) -> bool {
        self.lock().iter().any(|known| known.is(session))
    }

    /// A session that will do until there is a better one. Counts as use.
    pub(super) fn living(&self) -> Option<Session> {
        let sessions = self.lock();
        let session = sessions.iter().find(|session| session.is_alive())?;
        session.touch();
        Some(session.clone())
    }

    /// Takes the worn sessions out.
    pub(super) fn take_worn(&self) -> Vec<Session> {
        let mut sessions = self.lock();
        let (worn, good) = std::mem::take(&mut *sessions)
            .into_iter()
            .partition(Session::is_worn);
        *sessions = good;
        worn
    }

    /// Whether one more can be made without asking anybody.
    pub(super) fn logs_in_silently(&self) -> bool {
        self.lock().iter().all(Session::logged_in_silently)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
