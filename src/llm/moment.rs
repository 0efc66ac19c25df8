//! Moments of a clock that stands still while the wait is not the server's fault: while whoever
//! reads the answer does not, or a person answers a question on the way to the server.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// How long a clock has stood still, in all. Clone = the same clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pauses {
    nanoseconds: Arc<AtomicU64>,
}

/// A moment, past or to come. Each pause moves one that has not come further away.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    at: Instant,
    /// The pauses that `at` knows of.
    known: Duration,
    pauses: Pauses,
}

impl Pauses {
    /// Adds one, which has just ended.
    pub(crate) fn add(&self, pause: Duration) {
        let nanoseconds = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        // There are 584 years until it wraps.
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    fn total(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    pub(crate) fn now(&self) -> Moment {
        Moment {
            at: Instant::now(),
            known: self.total(),
            pauses: self.clone(),
        }
    }
}

impl Moment {
    /// The moment so long after this one.
    pub(crate) fn after(&self, time: Duration) -> Self {
        Self {
            at: self.at + time,
            ..self.clone()
        }
    }

    /// The clock that it is of.
    pub(crate) fn pauses(&self) -> &Pauses {
        &self.pauses
    }

    /// When it is, or will be if there is no further pause.
    pub(crate) fn instant(&self) -> Instant {
        self.at + self.pauses.total().saturating_sub(self.known)
    }

    pub(crate) fn is_past(&self) -> bool {
        Instant::now() >= self.instant()
    }

    /// How long until then.
    pub(crate) fn time_left(&self) -> Duration {
        self.instant().saturating_duration_since(Instant::now())
    }

    /// Whichever comes first; both are of one clock.
    pub(crate) fn or_earlier(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.instant() < self.instant() => other,
            _ => self,
        }
    }

    /// Waits until it has come.
    pub(crate) async fn come(&self) {
        while !self.is_past() {
            sleep_until(self.instant()).await;
        }
    }

    /// What a future comes to before this moment; `None` if it has come first.
    pub(crate) async fn limit<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.come() => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_pause_moves_what_is_to_come_even_while_it_is_waited_for() {
        let start = Instant::now();
        let pauses = Pauses::default();
        let moment = pauses.now().after(10 * SECOND);
        let pausing = async {
            sleep(5 * SECOND).await;
            pauses.add(4 * SECOND);
            sleep(8 * SECOND).await;
            pauses.add(SECOND);
        };
        tokio::join!(moment.come(), pausing);
        assert_eq!(start.elapsed(), 15 * SECOND);
        assert!(moment.is_past());
        assert_eq!(moment.time_left(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_before_a_moment_was_set_is_not_its_own() {
        let pauses = Pauses::default();
        pauses.add(100 * SECOND);
        let moment = pauses.now().after(SECOND);
        assert_eq!(moment.time_left(), SECOND);
        assert_eq!(moment.limit(sleep(2 * SECOND)).await, None);
        assert_eq!(moment.limit(std::future::ready(1)).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_moments_the_earlier_one_counts() {
        let now = Pauses::default().now();
        let (one, two) = (now.after(SECOND), now.after(2 * SECOND));
        assert_eq!(
            two.clone().or_earlier(Some(one.clone())).time_left(),
            SECOND
        );
        assert_eq!(one.clone().or_earlier(Some(two)).time_left(), SECOND);
        assert_eq!(one.or_earlier(None).time_left(), SECOND);
    }
}
