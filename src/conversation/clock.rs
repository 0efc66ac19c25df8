//! How long a call may take, and apart from that how long a person may take to allow it.

use std::time::Duration;

use tokio::select;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How long a person may take, over all questions about one call.
const APPROVAL: Duration = Duration::from_secs(600);

/// The time of one call. It begins with the tool's own, which stands still while a person is
/// asked.
#[derive(Debug)]
pub struct ToolClock {
    tool: Duration,
    waiting: watch::Sender<bool>,
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
        }
    }

    /// The tool's own time, in all.
    #[must_use]
    pub fn tool_time(&self) -> Duration {
        self.tool
    }

    /// Says whether a person is being asked from now on.
    pub fn wait_for_person(&self, waiting: bool) {
        self.waiting.send_if_modified(|present| {
            let changes = *present != waiting;
            *present = waiting;
            changes
        });
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
