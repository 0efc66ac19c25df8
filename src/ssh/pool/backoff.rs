//! How long to wait before a lost connection is tried again.
//!
//! Two tracks: a machine that can't be reached costs nobody anything and is asked often; a server
//! that hangs up before the login counts such visitors and bans them (MaxStartups,
//! PerSourcePenalties), so it is asked rarely.

use std::time::Duration;

use tokio::time::Instant;

use crate::ssh::error::Cause;

/// The first wait of the fast track is at most this long.
const BASE: Duration = Duration::from_millis(250);

/// The longest wait in the first minute. With full jitter a machine that is back waits for less
/// than 0.78 of it in 95 of 100 cases: 1.2 s, and is to be used within 1.5 s.
const FIRST_CAP: Duration = Duration::from_millis(1500);

/// How long the first cap holds.
const FIRST: Duration = Duration::from_secs(60);

/// The longest wait later.
const CAP: Duration = Duration::from_secs(30);

const SLOW_BASE: Duration = Duration::from_secs(5);
const SLOW_CAP: Duration = Duration::from_secs(60);

/// A connection that lived shorter than this was none: its loss goes on with the waits before it.
const STOOD: Duration = Duration::from_secs(1);

/// The waits of one target.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// When the connection was lost.
    since: Option<Instant>,
    /// Failures since then, of either kind.
    fast: u32,
    slow: u32,
    /// The server that hung up is not to be asked before this, whoever wants it.
    held_until: Option<Instant>,
}

impl Backoff {
    /// A connection that stood for `lived` was lost: how long to wait before the first try, which
    /// is not at all, unless the server throws us out each time.
    pub(super) fn lost(&mut self, lived: Duration, now: Instant, jitter: f64) -> Duration {
        if lived >= STOOD {
            *self = Self::default();
        }
        if self.since.is_none() {
            self.since = Some(now);
            return Duration::ZERO;
        }
        self.failed_fast(now, jitter)
    }

    /// A try failed: how long to wait before the next one. `jitter` is from 0 to 1.
    pub(super) fn failed(&mut self, cause: &Cause, now: Instant, jitter: f64) -> Duration {
        if cause.is_before_login() {
            let ceiling = doubled(SLOW_BASE, self.slow, SLOW_CAP);
            self.slow = self.slow.saturating_add(1);
            // Never less: being early is what is punished.
            let wait = ceiling + ceiling.mul_f64(0.1 * jitter);
            self.held_until = now.checked_add(wait);
            wait
        } else {
            self.failed_fast(now, jitter)
        }
    }

    /// Until when the server must be left alone.
    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.held_until.filter(|until| *until > now)
    }

    /// The computer woke up or the network changed: what was learned before counts no more.
    /// What the server holds against us does.
    pub(super) fn restart(&mut self, now: Instant) {
        self.since = Some(now);
        self.fast = 0;
    }

    fn failed_fast(&mut self, now: Instant, jitter: f64) -> Duration {
        let since = *self.since.get_or_insert(now);
        let cap = if now.saturating_duration_since(since) < FIRST {
            FIRST_CAP
        } else {
            CAP
        };
        let ceiling = doubled(BASE, self.fast, cap);
        self.fast = self.fast.saturating_add(1);
        ceiling.mul_f64(jitter)
    }
}

fn doubled(base: Duration, times: u32, cap: Duration) -> Duration {
    let factor = 1_u32.checked_shl(times).unwrap_or(u32::MAX);
    base.saturating_mul(factor).min(cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALWAYS: f64 = 1.0;

    fn refused() -> Cause {
        Cause::Unanswered {
            after: Duration::from_secs(10),
        }
    }

    fn ms(waits: &[Duration]) -> Vec<u128> {
        waits.iter().map(Duration::as_millis).collect()
    }

    #[test]
    fn the_first_try_is_made_at_once_and_the_waits_double_up_to_the_cap() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        let mut waits = vec![backoff.lost(Duration::from_secs(3600), start, ALWAYS)];
        for _ in 0..5 {
            waits.push(backoff.failed(&refused(), start, ALWAYS));
        }
        assert_eq!(ms(&waits), [0, 250, 500, 1000, 1500, 1500]);
        let later = start + FIRST;
        assert_eq!(ms(&[backoff.failed(&refused(), later, ALWAYS)]), [8000]);
        for _ in 0..100 {
            backoff.failed(&refused(), later, ALWAYS);
        }
        assert_eq!(backoff.failed(&refused(), later, ALWAYS), CAP);
        assert_eq!(backoff.failed(&refused(), later, 0.0), Duration::ZERO);
    }

    #[test]
    fn a_server_that_hangs_up_before_the_login_is_left_alone_for_longer_and_longer() {
        let start = Instant::now();
        let mut now = start;
        let mut backoff = Backoff::default();
        let mut tries = 0;
        let hung_up = Cause::HandshakeClosed { said: None };
        while now < start + Duration::from_secs(60) {
            tries += 1;
            let wait = backoff.failed(&hung_up, now, 0.0);
            assert_eq!(backoff.held_until(now), Some(now + wait));
            now += wait;
        }
        assert_eq!(tries, 4, "at 0, 5, 15 and 35 s");
        assert_eq!(backoff.held_until(now), None);
        for _ in 0..10 {
            backoff.failed(&hung_up, now, 0.0);
        }
        assert_eq!(backoff.failed(&hung_up, now, 0.0), SLOW_CAP);
    }

    #[test]
    fn a_connection_that_is_lost_as_soon_as_it_stands_is_waited_for_like_a_failure() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let brief = Duration::from_millis(900);
        let waits: Vec<_> = (0..4).map(|_| backoff.lost(brief, now, ALWAYS)).collect();
        assert_eq!(ms(&waits), [0, 250, 500, 1000]);
        assert_eq!(backoff.lost(STOOD, now, ALWAYS), Duration::ZERO);
        backoff.lost(brief, now, ALWAYS);
        backoff.restart(now);
        assert_eq!(backoff.failed(&refused(), now, ALWAYS), BASE);
    }
}
