//! When a byte may go on: delay, jitter and rate.

use std::time::Duration;

use tokio::time::Instant;

use super::super::random::{Random, fraction};
use super::fault::Fault;

/// A rate holds over this much time; shorter bursts are let through.
const BURSTS_A_SECOND: u64 = 50;

/// The clock of one way of one connection.
pub(super) struct Pace {
    random: Random,
    /// Nothing may be due before what came before it.
    last_due: Instant,
    bucket: Bucket,
}

impl Pace {
    pub(super) fn new(stream: u64) -> Self {
        let now = Instant::now();
        Self {
            random: Random::new(stream),
            last_due: now,
            bucket: Bucket {
                filled_at: now,
                tokens: 0.0,
            },
        }
    }

    /// When something that arrives now may leave at the earliest.
    pub(super) fn due(&mut self, fault: &Fault) -> Instant {
        let jitter = fault
            .jitter
            .mul_f64(fraction(self.random.salted(fault.seed)));
        let due = (Instant::now() + fault.delay + jitter).max(self.last_due);
        self.last_due = due;
        due
    }

    /// How many of `wanted` bytes may leave now, or when to ask again.
    pub(super) fn allowed(&mut self, wanted: usize, fault: &Fault) -> Result<usize, Instant> {
        match fault.rate {
            None => Ok(wanted),
            Some(rate) => self.bucket.allowed(wanted, rate.max(1)),
        }
    }

    pub(super) fn spend(&mut self, bytes: usize, fault: &Fault) {
        if fault.rate.is_some() {
            self.bucket.tokens -= bytes as f64;
        }
    }
}

/// A token bucket: one token for each byte.
struct Bucket {
    filled_at: Instant,
    tokens: f64,
}

impl Bucket {
    fn allowed(&mut self, wanted: usize, rate: u64) -> Result<usize, Instant> {
        let burst = (rate / BURSTS_A_SECOND).max(1);
        let now = Instant::now();
        let earned = now.duration_since(self.filled_at).as_secs_f64() * rate as f64;
        self.tokens = (self.tokens + earned).min(burst as f64);
        self.filled_at = now;
        let part = wanted.min(usize::try_from(burst).unwrap_or(usize::MAX));
        let missing = part as f64 - self.tokens;
        if missing <= 0.0 {
            Ok(part)
        } else {
            Err(now + Duration::from_secs_f64(missing / rate as f64))
        }
    }
}
