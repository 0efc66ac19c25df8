//! How long a call may take, and apart from that how long a person may take to allow it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::select;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long a person may take, over all questions about one call.
const APPROVAL: Duration = Duration::from_secs(600);

/// The time of one call. It begins with the tool's own, which stands still while a person is
/// asked.
#[derive(Debug)]
pub struct ToolClock {
    tool: Duration,
    waiting: watch::Sender<bool>,
    asked: Mutex<Asked>,
    stopped: CancellationToken,
}

/// How long a person has been asked.
#[derive(Debug, Default)]
struct Asked {
    /// Without the time that still runs.
    total: Duration,
    since: Option<Instant>,
}

/// Which time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spent {
    /// The tool's own.
    Tool,
    /// The person's.
    Approval,
}

impl ToolClock {
    pub(super) fn new(tool: Duration) -> Self {
        Self {
            tool,
            waiting: watch::Sender::new(false),
            asked: Mutex::default(),
            stopped: CancellationToken::new(),
        }
    }

    /// How long a person has been asked, in all.
    pub(super) fn asked(&self) -> Duration {
        let asked = self.lock();
        let running = asked.since.map_or(Duration::ZERO, |since| since.elapsed());
        asked.total + running
    }

    /// Says that the time is up: whoever runs the tool is to stop it.
    pub(super) fn stop(&self) {
        self.stopped.cancel();
    }

    /// Completes when the tool is to be stopped. What it still says is waited for, but not long.
    pub async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// The tool's own time, in all.
    #[must_use]
    pub fn tool_time(&self) -> Duration {
        self.tool
    }

    /// Says whether a person is being asked from now on.
    pub fn wait_for_person(&self, waiting: bool) {
        {
            let mut asked = self.lock();
            match (waiting, asked.since) {
                (true, None) => asked.since = Some(Instant::now()),
                (false, Some(since)) => {
                    asked.total += since.elapsed();
                    asked.since = None;
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
        self.waiting.send_if_modified(|present| {
            let changes = *present != waiting;
            *present = waiting;
            changes
        });
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when either time is up.
    pub(super) async fn spent(&self) -> Spent {
        let mut waiting = self.waiting.subscribe();
        let mut tool = self.tool;
        let mut approval = APPROVAL;
        loop {
            let (left, spent) = match *waiting.borrow_and_update() {
                true => (&mut approval, Spent::Approval),
                false => (&mut tool, Spent::Tool),
            };
            let since = Instant::now();
            select! {
                () = sleep(*left) => return spent,
                // The other end is `self`.
                _ = waiting.changed() => *left = left.saturating_sub(since.elapsed()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_tools_time_stands_still_while_a_person_is_asked() {
        let clock = Arc::new(ToolClock::new(10 * SECOND));
        let begun = Instant::now();
        let spent = tokio::spawn({
            let clock = Arc::clone(&clock);
            async move { clock.spent().await }
        });
        for _ in 0..3 {
            sleep(3 * SECOND).await;
            clock.wait_for_person(true);
            clock.wait_for_person(true);
            sleep(100 * SECOND).await;
            clock.wait_for_person(false);
        }
        assert_eq!(spent.await.unwrap(), Spent::Tool);
        assert_eq!(clock.asked(), 300 * SECOND);
        assert_eq!(begun.elapsed(), 310 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_has_ten_minutes_in_all() {
        let clock = ToolClock::new(10 * SECOND);
        let begun = Instant::now();
        let asking = async {
            clock.wait_for_person(true);
            sleep(400 * SECOND).await;
            clock.wait_for_person(false);
            sleep(SECOND).await;
            clock.wait_for_person(true);
            std::future::pending::<()>().await;
        };
        select! {
            () = asking => unreachable!(),
            spent = clock.spent() => assert_eq!(spent, Spent::Approval),
        }
        assert_eq!(begun.elapsed(), 601 * SECOND);
    }
}
