//! Time limits that stop while a person thinks.
//!
//! A connect has a limit as a whole and one per phase. While a question is
//! open both stand still; questions have limits of their own, and a budget over
//! all of them, because a server hangs up on a login that takes two minutes
//! (LoginGraceTime).

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::prompt::PromptFailure;

/// Longer limits are none; it also keeps the sums below from overflowing.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What all questions of one login may take together.
const PROMPT_BUDGET: Duration = Duration::from_secs(110);

/// The clock of one hop's connect. Clones are the same clock.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    begun: Instant,
    total: Duration,
    pauses: Arc<watch::Sender<Pauses>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Pauses {
    open: u32,
    since: Option<Instant>,
    spent: Duration,
}

/// A limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    Phase(Duration),
    Total(Duration),
}

impl Clock {
    pub(super) fn start(total: Duration) -> Self {
        Self {
            begun: Instant::now(),
            total: total.min(LONGEST),
            pauses: Arc::new(watch::Sender::new(Pauses::default())),
        }
    }

    /// The limit of the connect as a whole.
    pub(super) fn total(&self) -> Duration {
        self.total
    }

    /// Runs one phase. Dropping the returned future drops the phase.
    pub(super) async fn run<T>(
        &self,
        limit: Duration,
        phase: impl Future<Output = T>,
    ) -> Result<T, Expired> {
        let mut phase = pin!(phase);
        let mut pauses = self.pauses.subscribe();
        let phase_begun = Instant::now();
        let spent_before = pauses.borrow().spent;
        loop {
            let now = *pauses.borrow_and_update();
            let phase_end = phase_begun + limit + now.spent.saturating_sub(spent_before);
            let total_end = self.begun + self.total + now.spent;
            let running = now.since.is_none();
            tokio::select! {
                biased;
                value = &mut phase => return Ok(value),
                // The sender lives as long as this clock.
                _ = pauses.changed() => {}
                () = sleep_until(phase_end.min(total_end)), if running => {
                    return Err(if total_end <= phase_end {
                        Expired::Total(self.total)
                    } else {
                        Expired::Phase(limit)
                    });
                }
            }
        }
    }

    /// How long a question of at most `limit` may still take.
    pub(super) fn prompt_limit(&self, limit: Duration) -> Duration {
        limit.min(PROMPT_BUDGET.saturating_sub(self.pauses.borrow().spent))
    }

    /// Waits for a person, with the clock stopped.
    pub(super) async fn ask<T>(
        &self,
        limit: Duration,
        question: impl Future<Output = Result<T, PromptFailure>>,
    ) -> Result<T, PromptFailure> {
        let _pause = self.pause();
        timeout(self.prompt_limit(limit), question)
            .await
            .unwrap_or(Err(PromptFailure::TimedOut))
    }

    fn pause(&self) -> Pause<'_> {
        self.pauses.send_modify(|pauses| {
            pauses.open += 1;
            pauses.since.get_or_insert_with(Instant::now);
        });
        Pause(self)
    }
}

struct Pause<'a>(&'a Clock);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.pauses.send_modify(|pauses| {
            pauses.open = pauses.open.saturating_sub(1);
            if pauses.open == 0
                && let Some(since) = pauses.since.take()
            {
                pauses.spent += since.elapsed();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::sleep;

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[tokio::test(start_paused = true)]
    async fn the_shorter_limit_ends_a_phase() {
        let clock = Clock::start(seconds(30));
        assert_eq!(
            clock.run(seconds(10), pending::<()>()).await,
            Err(Expired::Phase(seconds(10)))
        );
        assert_eq!(
            clock.run(seconds(25), pending::<()>()).await,
            Err(Expired::Total(seconds(30)))
        );
        assert_eq!(clock.begun.elapsed(), seconds(30));
    }

    #[tokio::test(start_paused = true)]
    async fn time_stands_still_while_a_person_thinks() {
        let clock = Clock::start(seconds(30));
        let asking = clock.clone();
        let phase = async move {
            sleep(seconds(9)).await;
            asking
                .ask(seconds(90), async {
                    sleep(seconds(80)).await;
                    Ok(())
                })
                .await
                .unwrap();
            pending::<()>().await;
        };
        assert_eq!(
            clock.run(seconds(10), phase).await,
            Err(Expired::Phase(seconds(10)))
        );
        assert_eq!(clock.begun.elapsed(), seconds(90));
    }

    #[tokio::test(start_paused = true)]
    async fn questions_have_a_limit_each_and_one_over_all() {
        let clock = Clock::start(seconds(30));
        let never = || pending::<Result<(), PromptFailure>>();
        assert_eq!(
            clock.ask(seconds(90), never()).await,
            Err(PromptFailure::TimedOut)
        );
        assert_eq!(clock.begun.elapsed(), seconds(90));
        assert_eq!(
            clock.ask(seconds(90), never()).await,
            Err(PromptFailure::TimedOut)
        );
        assert_eq!(clock.begun.elapsed(), seconds(110));
        assert_eq!(clock.prompt_limit(seconds(90)), Duration::ZERO);
    }
}
