//! What is claimed, as ratios and bounds of one run.

use crate::course::{WIDTHS, streams};
use crate::figures::{Figures, Way};

/// A claim, and what was measured.
pub(crate) struct Goal {
    pub(crate) claim: String,
    pub(crate) limit: String,
    pub(crate) measured: f64,
    pub(crate) is_met: bool,
}

struct Goals<'a> {
    figures: &'a Figures,
    all: Vec<Goal>,
}

const LATENCY: &str = "From the server to the host's code";
const SPEED: &str = "Tokens a second";
const FIRST: &str = "Until something comes";
const LOOP: &str = "Event loop's delay in the host, p99";

/// Those of which both sides were measured.
pub(crate) fn all(figures: &Figures) -> Vec<Goal> {
    let mut goals = Goals {
        figures,
        all: Vec::new(),
    };
    goals.against_tunnel();
    goals.against_ssh2();
    goals.by_themselves();
    goals.all
}

fn paced(width: usize, part: &str) -> String {
    format!("{}, 20 ms a token{part}", streams(width))
}

impl Goals<'_> {
    fn against_tunnel(&mut self) {
        let rival = Way::Tunnel;
        self.at_most(rival, FIRST, "warm request to first token", 1.0);
        self.at_most(rival, FIRST, "no connection to first token", 0.5);
        for width in WIDTHS {
            self.at_most(rival, LATENCY, &paced(width, ", p99"), 0.5);
        }
        self.at_least(rival, SPEED, "1000 streams, burst", 2.0);
        let cpu = "CPU of daemon or ssh, and host";
        self.at_most(rival, cpu, &paced(1000, ""), 1.0);
        self.at_least(rival, "Bulk", "10 MB up", 1.3);
        self.at_most(rival, "Memory", "daemon or ssh, 1000 streams", 1.0);
    }

    fn against_ssh2(&mut self) {
        let rival = Way::Ssh2;
        for width in WIDTHS {
            self.at_least(rival, SPEED, &format!("{}, burst", streams(width)), 1.0);
        }
        for width in WIDTHS {
            self.beyond(rival, LATENCY, &paced(width, ", p50"), 0.1);
            self.at_most(rival, LATENCY, &paced(width, ", p99"), 1.0);
        }
        self.at_most(rival, "CPU of the host", &paced(1000, ""), 0.7);
        self.at_most(rival, LOOP, "100 MB up, as 10 prompts", 0.5);
        self.at_most(rival, LOOP, "32 MB down, at 49 MB/s", 0.5);
    }

    fn by_themselves(&mut self) {
        for width in WIDTHS {
            self.beyond(Way::Direct, LATENCY, &paced(width, ", p50"), 0.15);
        }
        let group = "The daemon itself";
        for (what, limit, unit) in [
            ("start to `initialize` answered", 10.0, "ms"),
            ("binary", 12.0, "MB"),
        ] {
            if let Some(measured) = self.figures.median(group, what, Way::Ours) {
                self.all.push(Goal {
                    claim: what.to_owned(),
                    limit: format!("≤ {limit} {unit}"),
                    measured,
                    is_met: measured <= limit,
                });
            }
        }
    }

    fn both(&self, rival: Way, group: &str, what: &str) -> Option<(f64, f64)> {
        let of = |way| self.figures.median(group, what, way);
        Some((of(Way::Ours)?, of(rival)?))
    }

    fn at_most(&mut self, rival: Way, group: &str, what: &str, limit: f64) {
        let words = format!("≤ {limit} ×");
        self.ratio(rival, group, what, words, |ratio| ratio <= limit);
    }

    fn at_least(&mut self, rival: Way, group: &str, what: &str, limit: f64) {
        let words = format!("≥ {limit} ×");
        self.ratio(rival, group, what, words, |ratio| ratio >= limit);
    }

    fn ratio(
        &mut self,
        rival: Way,
        group: &str,
        what: &str,
        limit: String,
        is_met: impl FnOnce(f64) -> bool,
    ) {
        if let Some((ours, theirs)) = self.both(rival, group, what) {
            let ratio = ours / theirs;
            self.push(rival, group, what, limit, ratio, is_met(ratio));
        }
    }

    /// So many milliseconds more at most.
    fn beyond(&mut self, rival: Way, group: &str, what: &str, limit: f64) {
        if let Some((ours, theirs)) = self.both(rival, group, what) {
            let more = ours - theirs;
            self.push(
                rival,
                group,
                what,
                format!("≤ +{limit} ms"),
                more,
                more <= limit,
            );
        }
    }

    fn push(
        &mut self,
        rival: Way,
        group: &str,
        what: &str,
        limit: String,
        measured: f64,
        is_met: bool,
    ) {
        self.all.push(Goal {
            claim: format!("against {}: {group}: {what}", rival.title()),
            limit,
            measured,
            is_met,
        });
    }
}
