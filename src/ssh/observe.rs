//! The steps of a connect, told as they happen.

use std::time::Duration;

/// Told of each step (test-connection's stages, the status line while connecting).
/// Called from the connecting task: must not block.
pub trait Observer: Send + Sync {
    fn stage(&self, report: StageReport);
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageReport {
    /// Counted from 0 along the route.
    pub hop: usize,
    pub host: String,
    pub stage: Stage,
    pub outcome: StageOutcome,
    /// Since the stage started.
    pub elapsed: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    Resolve,
    Tcp,
    SshHandshake,
    HostKey,
    Auth,
}

impl Stage {
    /// In the order of the way.
    pub(super) const ALL: [Self; 5] = [
        Self::Resolve,
        Self::Tcp,
        Self::SshHandshake,
        Self::HostKey,
        Self::Auth,
    ];
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageOutcome {
    Started,
    Passed {
        detail: String,
    },
    /// Does not apply here, and why.
    Skipped {
        reason: String,
    },
    /// The error itself is what the connect returns.
    Failed,
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn stage(&self, _: StageReport) {}
}
