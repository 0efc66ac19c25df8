//! What the process remembers across connections, and shares between them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio_util::sync::CancellationToken;

use super::auth::Keyring;
use super::channel_io::Budget;
use super::error::HostKeyInfo;
use super::flight::Flight;
use super::prompt::{HostKeyDecision, PromptFailure};
use super::ssh_config::{BrokenPrograms, ConfigValues};

/// Clones are the same memory; one per process, with the default.
#[derive(Clone, Default)]
pub struct Memory(Arc<Inner>);

#[derive(Default)]
struct Inner {
    host_keys: Mutex<HostKeys>,
    /// What each `ssh` does without any file (see `ssh_config`).
    ssh_defaults: Mutex<HashMap<PathBuf, Arc<ConfigValues>>>,
    /// Each `ssh` that did not answer a short while ago.
    broken_ssh: Mutex<BrokenPrograms>,
    /// Bytes waiting to be read, over all streams of all connections.
    budget: Arc<Budget>,
    /// There is one while anybody connects.
    keyring: Mutex<Weak<Keyring>>,
}

/// Host keys that people were asked about.
#[derive(Default)]
pub(super) struct HostKeys {
    /// Accepted until the process ends: name and fingerprint.
    pub(super) accepted: HashSet<(String, String)>,
    /// Questions that are open now, by name.
    pub(super) open: HashMap<String, OpenQuestion>,
}

/// A question that others may wait for, too.
pub(super) struct OpenQuestion {
    pub(super) key: HostKeyInfo,
    pub(super) flight: Flight<QuestionEnd>,
    /// Cancelled when somebody is shown another key for the same host.
    pub(super) conflict: Arc<Mutex<Option<HostKeyInfo>>>,
    pub(super) conflicted: CancellationToken,
}

#[derive(Debug, Clone)]
pub(super) enum QuestionEnd {
    Answered(Result<HostKeyDecision, PromptFailure>),
    Conflict(HostKeyInfo),
}

impl Memory {
    pub(super) fn host_keys(&self) -> MutexGuard<'_, HostKeys> {
        self.0
            .host_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ssh_defaults(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<ConfigValues>>> {
        self.0
            .ssh_defaults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn broken_ssh(&self) -> MutexGuard<'_, BrokenPrograms> {
        self.0
            .broken_ssh
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys that people have opened. To be held as long as a connect lasts,
    /// over all its hops; when nobody holds it any more, the keys are gone.
    pub(super) fn keyring(&self) -> Arc<Keyring> {
        let mut current = self
            .0
            .keyring
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        current.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Keyring::default());
            *current = Arc::downgrade(&new);
            new
        })
    }

    pub(super) fn budget(&self) -> Arc<Budget> {
        self.0.budget.clone()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}
