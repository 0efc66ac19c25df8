//! Whether a connection is saturated, told by how long its channels take to open.
//!
//! To open a channel costs one round trip, so the fastest of them shows what the way costs when it
//! is free. Channels that don't open say nothing: that is their destination's fault.

use std::collections::VecDeque;
use std::time::Duration;

/// So many openings are looked at.
const WINDOW: usize = 8;

/// Saturated is what takes this many times as long as the best, and this much longer.
const TIMES: u32 = 8;
const LONGER: Duration = Duration::from_millis(200);

/// The last openings of one connection.
#[derive(Debug, Default)]
pub(super) struct Openings {
    best: Option<Duration>,
    last: VecDeque<Duration>,
}

impl Openings {
    /// Adds an opening; says whether the median of the last ones shows saturation. If so, the
    /// count begins anew, so that the next answer is about what was done about it.
    pub(super) fn saturated_by(&mut self, took: Duration) -> bool {
        let best = *self
            .best
            .insert(self.best.map_or(took, |best| best.min(took)));
        self.last.push_back(took);
        if self.last.len() < WINDOW {
            return false;
        }
        let mut sorted: Vec<_> = self.last.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted.get(WINDOW / 2).copied().unwrap_or_default();
        let saturated = median > (best * TIMES).max(best + LONGER);
        if saturated {
            self.last.clear();
        } else {
            self.last.pop_front();
        }
        saturated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saturated(openings: &mut Openings, took: u64, times: usize) -> usize {
        (0..times)
            .filter(|_| openings.saturated_by(Duration::from_millis(took)))
            .count()
    }

    #[test]
    fn a_busy_connection_is_told_from_a_long_way_and_from_a_single_hiccup() {
        let mut far = Openings::default();
        assert_eq!(saturated(&mut far, 300, 100), 0);
        let mut near = Openings::default();
        assert_eq!(saturated(&mut near, 1, 20), 0);
        assert_eq!(saturated(&mut near, 900, 3), 0, "hiccups");
        assert_eq!(saturated(&mut near, 1, 20), 0);
        assert_eq!(saturated(&mut near, 100, 20), 0, "slow, but not to be felt");
        assert_eq!(saturated(&mut near, 300, 4), 1);
        assert_eq!(
            saturated(&mut near, 300, 7),
            0,
            "each answer takes a new count"
        );
    }
}
