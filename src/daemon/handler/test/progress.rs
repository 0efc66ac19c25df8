//! A test while it runs: what the SSH room sees, kept for the result and told to the host.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    protocol::{
        Notification as _, StageName, StageProgress, StageState, TestStage, TestStageParams,
    },
    rpc::Outbound,
    ssh::{self, Observer, StageOutcome, StageReport},
};

/// Tells a host that asked for it how far its test is. Telling never waits: what is lost while
/// the host reads slowly is in the result all the same.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    outbound: Outbound,
    request_id: String,
    hops: usize,
}

impl Progress {
    pub(super) fn new(outbound: Outbound, request_id: String, hops: usize) -> Self {
        Self {
            outbound,
            request_id,
            hops,
        }
    }

    /// `hop` counts from 0.
    pub(super) fn tell(
        &self,
        name: StageName,
        hop: Option<usize>,
        status: StageState,
        took: Option<Duration>,
        detail: &str,
    ) {
        let params = TestStageParams {
            request_id: self.request_id.clone(),
            stage: StageProgress {
                name,
                hop: hop.map(|hop| hop + 1),
                hops: self.hops,
                status,
                duration_ms: took.map(super::milliseconds),
                detail: detail.to_owned(),
            },
        };
        self.outbound.try_notify(TestStage::METHOD, &params);
    }
}

/// What the SSH room reported while it connected.
#[derive(Debug)]
pub(super) struct Seen {
    ended: Mutex<Vec<StageReport>>,
    progress: Option<Progress>,
}

impl Seen {
    pub(super) fn new(progress: Option<Progress>) -> Self {
        Self {
            ended: Mutex::default(),
            progress,
        }
    }

    /// The stages that are over, in the order in which they ended.
    pub(super) fn ended(&self) -> MutexGuard<'_, Vec<StageReport>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Seen {
    fn stage(&self, report: StageReport) {
        if let Some(progress) = &self.progress {
            let (status, took, detail) = match &report.outcome {
                StageOutcome::Started => (StageState::Started, None, ""),
                StageOutcome::Passed { detail } => {
                    (StageState::Passed, Some(report.elapsed), detail.as_str())
                }
                StageOutcome::Skipped { reason } => (StageState::Skipped, None, reason.as_str()),
                StageOutcome::Failed => (StageState::Failed, Some(report.elapsed), ""),
            };
            progress.tell(
                stage_name(report.stage),
                Some(report.hop),
                status,
                took,
                detail,
            );
        }
        if report.outcome != StageOutcome::Started {
            self.ended().push(report);
        }
    }
}

pub(super) fn stage_name(stage: ssh::Stage) -> StageName {
    match stage {
        ssh::Stage::Resolve => StageName::Resolve,
        ssh::Stage::Tcp => StageName::Tcp,
        ssh::Stage::SshHandshake => StageName::SshHandshake,
        ssh::Stage::HostKey => StageName::HostKey,
        ssh::Stage::Auth => StageName::Auth,
    }
}
