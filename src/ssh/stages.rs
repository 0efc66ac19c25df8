//! Tells the observer how far a hop's connect has come. One stage at a time.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::observe::{Observer, Stage, StageOutcome, StageReport};

pub(super) struct Stages {
    observer: Arc<dyn Observer>,
    hop: usize,
    host: String,
    current: Mutex<Option<(Stage, Instant)>>,
}

impl Stages {
    pub(super) fn new(observer: Arc<dyn Observer>, hop: usize, host: &str) -> Arc<Self> {
        Arc::new(Self {
            observer,
            hop,
            host: host.to_owned(),
            current: Mutex::default(),
        })
    }

    pub(super) fn begin(&self, stage: Stage) {
        let now = Instant::now();
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((stage, now));
        self.report(stage, StageOutcome::Started, now);
    }

    pub(super) fn pass(&self, detail: &str) {
        let detail = detail.to_owned();
        self.finish(StageOutcome::Passed { detail });
    }

    /// The stage under way, if any, has failed.
    pub(super) fn fail(&self) {
        self.finish(StageOutcome::Failed);
    }

    pub(super) fn skip(&self, stage: Stage, reason: &str) {
        let reason = reason.to_owned();
        self.report(stage, StageOutcome::Skipped { reason }, Instant::now());
    }

    fn finish(&self, outcome: StageOutcome) {
        let current = self
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((stage, since)) = current {
            self.report(stage, outcome, since);
        }
    }

    fn report(&self, stage: Stage, outcome: StageOutcome, since: Instant) {
        self.observer.stage(StageReport {
            hop: self.hop,
            host: self.host.clone(),
            stage,
            outcome,
            elapsed: since.elapsed(),
        });
    }
}
