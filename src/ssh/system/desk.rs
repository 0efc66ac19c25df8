//! Where the questions of `ssh` are answered while it signs in, and what came of them.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::ssh::clock::Clock;
use crate::ssh::error::{Cause, Place};
use crate::ssh::link::Link;
use crate::ssh::prompt::Prompter;
use crate::ssh::target::{Environment, Hop};

/// Who may be asked what, for one connection.
pub(super) struct Desk {
    pub(super) place: Place,
    pub(super) link: Arc<Link>,
    /// Their saved passwords and passphrases answer first.
    pub(super) hops: Vec<Hop>,
    pub(super) environment: Arc<Environment>,
    pub(super) prompter: Arc<dyn Prompter>,
    pub(super) clock: Clock,
    pub(super) outcome: Arc<Outcome>,
}

#[derive(Debug, Default)]
pub(super) struct Outcome {
    asked: OnceLock<()>,
    failure: Mutex<Option<Cause>>,
}

impl Outcome {
    /// A person is asked.
    pub(super) fn ask(&self) {
        let _ = self.asked.set(());
    }

    /// A question has no answer; the first reason counts.
    pub(super) fn fail(&self, cause: Cause) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(cause);
    }

    pub(super) fn was_asked(&self) -> bool {
        self.asked.get().is_some()
    }

    pub(super) fn failure(&self) -> Option<Cause> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone()
    }
}
