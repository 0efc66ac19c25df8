//! How long a reader waits from one token to the next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When each token arrived. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Arrivals(Arc<Mutex<Vec<Instant>>>);

/// The gaps of one measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gaps {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
}

impl Arrivals {
    pub(crate) fn note(&self) {
        self.lock().push(Instant::now());
    }

    pub(crate) fn any(&self) -> bool {
        !self.lock().is_empty()
    }

    /// The gaps within a time; a token that is still missing at its end counts as one.
    pub(crate) fn between(&self, begin: Instant, end: Instant) -> Gaps {
        let within = |at: &Instant| (begin..end).contains(at);
        let arrivals: Vec<_> = self.lock().iter().copied().filter(within).collect();
        let later = arrivals.iter().copied().chain([end]);
        let earlier = [begin].into_iter().chain(arrivals.iter().copied());
        let mut gaps: Vec<_> = later.zip(earlier).map(|(to, from)| to - from).collect();
        gaps.sort_unstable();
        let at = |hundredths: usize| {
            let index = (gaps.len() * hundredths / 100).min(gaps.len().saturating_sub(1));
            gaps.get(index).copied().unwrap_or_default()
        };
        Gaps {
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
