//! How much of a server's traffic may be requests sent again: when everything fails, sending it
//! all twice makes nothing better.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// What is looked back on.
const WINDOW: Duration = Duration::from_secs(60);

/// This many are always allowed.
const FLOOR: usize = 5;

/// One in so many, where that is more.
const SHARE: usize = 10;

/// The most requests that count. More of them would only allow more.
const MOST_REQUESTS: usize = 10_000;

/// What happened within the last minute. Whoever calls says what time it is.
#[derive(Debug, Default)]
pub(in crate::llm) struct Budget {
    requests: VecDeque<Instant>,
    resends: VecDeque<Instant>,
}

impl Budget {
    /// A new request is made.
    pub(in crate::llm) fn ask(&mut self, now: Instant) {
        forget(&mut self.requests, now);
        if self.requests.len() >= MOST_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(now);
    }

    /// Whether a request may be sent again.
    pub(in crate::llm) fn has_room(&mut self, now: Instant) -> bool {
        forget(&mut self.requests, now);
        forget(&mut self.resends, now);
        self.resends.len() < FLOOR.max(self.requests.len() / SHARE)
    }

    /// A request is sent again.
    pub(in crate::llm) fn spend(&mut self, now: Instant) {
        self.resends.push_back(now);
    }
}

/// Drops what is older than the window.
fn forget(times: &mut VecDeque<Instant>, now: Instant) {
    let is_old = |time: &Instant| now.saturating_duration_since(*time) >= WINDOW;
    while times.front().is_some_and(is_old) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many resends are allowed at a time, if all are taken.
    fn take_all(budget: &mut Budget, now: Instant) -> usize {
        let mut taken = 0;
        while budget.has_room(now) {
            budget.spend(now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn five_a_minute_or_a_tenth_of_the_requests_whichever_is_more() {
        let start = Instant::now();
        for (requests, allowed) in [(0, 5), (1, 5), (59, 5), (60, 6), (200, 20), (20_000, 1000)] {
            let mut budget = Budget::default();
            (0..requests).for_each(|_| budget.ask(start));
            assert_eq!(take_all(&mut budget, start), allowed, "{requests}");
        }
    }

    #[test]
    fn what_is_a_minute_old_counts_no_more() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut budget = Budget::default();
        (0..100).for_each(|_| budget.ask(start));
        assert_eq!(take_all(&mut budget, start), 10);
        assert_eq!(take_all(&mut budget, after(59)), 0);
        // The resends are forgotten, and so are the requests that allowed ten of them.
        assert_eq!(take_all(&mut budget, after(60)), 5);
        assert_eq!(take_all(&mut budget, after(61)), 0);
        assert_eq!(take_all(&mut budget, after(120)), 5);
    }
}
