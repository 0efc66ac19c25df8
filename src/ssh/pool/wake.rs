//! Notices that the computer slept: the clock on the wall went on, the timers did not.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Inner;

const TICK: Duration = Duration::from_secs(1);

/// More than a clock is corrected by. That it is corrected by more costs a probe, no more.
const SLEPT: Duration = Duration::from_secs(3);

/// The time on both clocks.
struct Clocks {
    wall: SystemTime,
    timer: Instant,
}

impl Clocks {
    fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            timer: Instant::now(),
        }
    }

    /// Whether there was a sleep before this.
    fn slept_since(&self, before: &Self) -> bool {
        let timer = self.timer.saturating_duration_since(before.timer);
        // A clock that was set back shows nothing.
        let wall = self.wall.duration_since(before.wall).unwrap_or_default();
        wall.saturating_sub(timer) > SLEPT
    }
}

/// Probes a pool's connections after each sleep, whoever noticed it, for as long as there is a pool.
pub(super) async fn watch(pool: Weak<Inner>, resumed: Arc<Notify>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Clocks::now();
    loop {
        let told = tokio::select! {
            () = resumed.notified() => true,
            _ = ticks.tick() => false,
        };
        let Some(pool) = pool.upgrade() else { return };
        if told || Clocks::now().slept_since(&before) {
            tracing::info!("the computer slept; probing its connections");
            pool.probe_all().await;
        }
        before = Clocks::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_told_from_a_busy_machine_and_from_a_clock_that_is_set() {
        let start = Clocks::now();
        let after = |wall: i64, timer| Clocks {
            wall: match u64::try_from(wall) {
                Ok(ahead) => start.wall + Duration::from_secs(ahead),
                Err(_) => start.wall - Duration::from_secs(wall.unsigned_abs()),
            },
            timer: start.timer + Duration::from_secs(timer),
        };
        assert!(after(60, 1).slept_since(&start));
        assert!(!after(60, 60).slept_since(&start), "busy");
        assert!(!after(3, 1).slept_since(&start), "corrected");
        assert!(!after(-86_400, 1).slept_since(&start), "set back");
    }
}
