//! Remembers for a while that `ssh -G` is of no use, so that not every connect waits for it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long it is left alone.
const REST: Duration = Duration::from_secs(60);

/// More hosts than anybody connects to within that time.
const MAX_ENTRIES: usize = 256;

/// Programs that gave no answer, and why.
#[derive(Debug, Default)]
pub(in crate::ssh) struct BrokenPrograms(HashMap<Subject, Failure>);

/// What there was no answer about. A host's own settings may be to blame (a `Match exec`
/// that hangs); a program that fails without any file fails for every host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    program: PathBuf,
    host: Option<String>,
}

#[derive(Debug)]
struct Failure {
    reason: String,
    since: Instant,
}

impl Subject {
    pub(super) fn program(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            host: None,
        }
    }

    pub(super) fn host(program: &Path, host: &str) -> Self {
        Self {
            program: program.to_owned(),
            host: Some(host.to_owned()),
        }
    }
}

impl BrokenPrograms {
    /// Why not to ask again so soon.
    pub(super) fn reason(&self, subject: &Subject, now: Instant) -> Option<String> {
        let failure = self.0.get(subject)?;
        failure.is_recent(now).then(|| failure.reason.clone())
    }

    pub(super) fn remember(&mut self, subject: Subject, reason: &str, now: Instant) {
        self.0.retain(|_, failure| failure.is_recent(now));
        if self.0.len() < MAX_ENTRIES {
            let reason = reason.to_owned();
            self.0.insert(subject, Failure { reason, since: now });
        }
    }
}

impl Failure {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < REST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_remembered_for_a_minute_and_for_its_subject() {
        let mut broken = BrokenPrograms::default();
        let program = Path::new("/usr/bin/ssh");
        let now = Instant::now();
        broken.remember(Subject::host(program, "gpu1"), "it hangs", now);
        let reason = |broken: &BrokenPrograms, subject, after| {
            broken.reason(&subject, now + Duration::from_secs(after))
        };
        let gpu1 = || Subject::host(program, "gpu1");
        assert_eq!(reason(&broken, gpu1(), 59).as_deref(), Some("it hangs"));
        assert_eq!(reason(&broken, gpu1(), 60), None);
        assert_eq!(reason(&broken, Subject::host(program, "gpu2"), 0), None);
        assert_eq!(reason(&broken, Subject::program(program), 0), None);
    }

    #[test]
    fn there_is_a_bound() {
        let mut broken = BrokenPrograms::default();
        let now = Instant::now();
        let program = Path::new("ssh");
        for host in 0..2 * MAX_ENTRIES {
            broken.remember(Subject::host(program, &host.to_string()), "x", now);
        }
        assert_eq!(broken.0.len(), MAX_ENTRIES);
        broken.remember(Subject::program(program), "x", now + REST);
        assert_eq!(broken.0.len(), 1);
    }
}
