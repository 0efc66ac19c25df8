//! What a target's connection is doing.

use std::time::Duration;

use tokio::time::Instant;

use crate::ssh::error::Error;
use crate::ssh::observe::Stage;

/// The state of a target's connection, as its owner sees it.
#[derive(Debug, Clone, Default)]
pub enum State {
    /// None, and none wanted.
    #[default]
    Off,
    /// On its way because somebody asked for it.
    Connecting { step: Option<Step> },
    /// Usable; `latency` is the last round trip that was measured.
    Ready { latency: Option<Duration> },
    /// Lost, and on its way again by itself.
    Reconnecting {
        /// Which try since the loss, from 1.
        attempt: u32,
        /// When it begins; `None`: it runs.
        next: Option<Instant>,
        step: Option<Step>,
        /// The loss, or how the last try ended.
        error: Error,
    },
    /// Only a person can help: a key, a password, a code, a decision.
    NeedsUser { error: Error },
    /// Given up.
    Failed { error: Error },
}

/// How far a connect has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub stage: Stage,
    pub host: String,
}

impl State {
    /// Where a connect ends that did not work.
    pub fn after(error: Error) -> Self {
        if error.is_transient() {
            Self::Failed { error }
        } else {
            Self::NeedsUser { error }
        }
    }

    /// Enters a step of the connect that is under way, if one is.
    pub(super) fn enter(&mut self, entered: Step) -> bool {
        match self {
            Self::Connecting { step } | Self::Reconnecting { step, .. } => {
                *step = Some(entered);
                true
            }
            Self::Off | Self::Ready { .. } | Self::NeedsUser { .. } | Self::Failed { .. } => false,
        }
    }
}
