//! Notices a model that goes round in circles, or that nothing works for.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};

use serde_json::Value;

/// The longest circle that is looked for, in calls.
const LONGEST: usize = 3;
/// The last call of this round through a circle is answered with a correction instead of being
/// run; the next one in the same circle ends the prompt.
const ROUNDS: usize = 3;

/// Remembers the latest calls, across rounds.
#[derive(Debug, Default)]
pub(super) struct LoopGuard {
    /// Fingerprints, newest last: as many as the longest circle needs.
    latest: VecDeque<u64>,
    fingerprints: RandomState,
}

/// What a call was made with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arguments<'a> {
    /// Compared as JSON: the order of keys does not matter.
    Object(&'a Value),
    /// Not a JSON object, compared as text.
    Invalid(&'a str),
}

/// A model that makes the same calls over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Circle {
    /// How many calls there are to it.
    pub(super) period: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Run it.
    Go,
    /// Don't run it, tell the model.
    Correct(Circle),
    /// It was told, and did it again.
    Stop(Circle),
}

impl LoopGuard {
    pub(super) fn judge(&mut self, name: &str, arguments: Arguments<'_>) -> Verdict {
        self.latest
            .push_back(self.fingerprints.hash_one((name, arguments)));
        if self.latest.len() > LONGEST * ROUNDS + 1 {
            self.latest.pop_front();
        }
        for period in 1..=LONGEST {
            let newest = self.latest.iter().rev();
            let before = self.latest.iter().rev().skip(period);
            let equal = newest.zip(before).take_while(|(a, b)| a == b).count();
            let circle = Circle { period };
            match (equal + period).cmp(&(period * ROUNDS)) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Verdict::Correct(circle),
                std::cmp::Ordering::Greater => return Verdict::Stop(circle),
            }
        }
        Verdict::Go
    }
}

impl Hash for Arguments<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Object(value) => hash(value, state),
            Self::Invalid(text) => text.hash(state),
        }
    }
}

fn hash(value: &Value, state: &mut impl Hasher) {
    std::mem::discriminant(value).hash(state);
    match value {
        Value::Null => {}
        Value::Bool(value) => value.hash(state),
        Value::Number(value) => value.hash(state),
        Value::String(value) => value.hash(state),
        Value::Array(values) => {
            values.len().hash(state);
            for value in values {
                hash(value, state);
            }
        }
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            fields.len().hash(state);
            for (name, value) in fields {
                name.hash(state);
                hash(value, state);
            }
        }
    }
}

/// So many rounds in a row in which no call had a fitting input: one more ends the prompt.
const REPAIRS: u32 = 2;
/// So many rounds in a row in which every call was answered with an error end the prompt.
const FAILURES: u32 = 5;

/// Counts rounds in a row that came to nothing. Rounds and not calls: a model that makes ten calls
/// at once hears of all their errors at once.
///
/// A tool that ran and says itself that it failed is another matter: a command whose tests fail is
/// how a model learns. Only the same failure again is a setback.
#[derive(Debug, Default)]
pub(super) struct Setbacks {
    unfit: u32,
    failed: u32,
    /// What the tools themselves said in the last round that failed.
    said: Option<u64>,
    fingerprints: RandomState,
}

/// How the calls of a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended<'a> {
    /// At least one of them well.
    Well,
    /// All were answered with errors; these are the tools' own.
    Badly { own: &'a [String] },
}

/// Nothing works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setback {
    /// The input of no call was fit, this many rounds in a row.
    Unfit { rounds: u32 },
    /// Every call failed, this many rounds in a row.
    Failed { rounds: u32 },
}

impl Setbacks {
    /// Takes note of a round: whether all of its calls had an unfit input, and how they ended.
    pub(super) fn note(&mut self, all_unfit: bool, ended: Ended<'_>) -> Option<Setback> {
        self.unfit = if all_unfit { self.unfit + 1 } else { 0 };
        let said = match ended {
            Ended::Badly { own } if !own.is_empty() => Some(self.fingerprints.hash_one(own)),
            Ended::Badly { .. } | Ended::Well => None,
        };
        self.failed = match ended {
            Ended::Well => 0,
            Ended::Badly { .. } if said.is_some() && said != self.said => 1,
            Ended::Badly { .. } => self.failed + 1,
        };
        self.said = said;
        match (self.unfit, self.failed) {
            (rounds, _) if rounds > REPAIRS => Some(Setback::Unfit { rounds }),
            (_, rounds) if rounds >= FAILURES => Some(Setback::Failed { rounds }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BADLY: Ended<'static> = Ended::Badly { own: &[] };

    /// Makes the calls that the letters stand for.
    fn verdicts(calls: &str) -> Vec<Verdict> {
        let mut guard = LoopGuard::default();
        calls
            .chars()
            .map(|call| {
                guard.judge(
                    "read",
                    Arguments::Object(&json!({"path": call.to_string()})),
                )
            })
            .collect()
    }

    #[test]
    fn the_third_equal_call_is_corrected_and_the_fourth_stops() {
        let mut guard = LoopGuard::default();
        let first = json!({"a": 1, "b": [{"c": 2, "d": 3}]});
        let reordered = json!({"b": [{"d": 3, "c": 2}], "a": 1});
        let circle = Circle { period: 1 };
        let mut judge = |input| guard.judge("read", Arguments::Object(input));
        assert_eq!(judge(&first), Verdict::Go);
        assert_eq!(judge(&reordered), Verdict::Go);
        assert_eq!(judge(&first), Verdict::Correct(circle));
        assert_eq!(judge(&first), Verdict::Stop(circle));
    }

    #[test]
    fn a_circle_of_two_or_three_is_corrected_at_its_third_end() {
        for (calls, period) in [
            ("ABABAB", 2),
            ("xyABABAB", 2),
            ("ABCABCABC", 3),
            ("AABAABAAB", 3),
        ] {
            let all = verdicts(calls);
            let (last, before) = all.split_last().unwrap();
            assert_eq!(*last, Verdict::Correct(Circle { period }), "{calls}");
            assert!(
                before.iter().all(|verdict| *verdict == Verdict::Go),
                "{calls}"
            );
        }
        assert_eq!(
            verdicts("ABABABA").last(),
            Some(&Verdict::Stop(Circle { period: 2 }))
        );
        assert_eq!(
            verdicts("ABCABCABCA").last(),
            Some(&Verdict::Stop(Circle { period: 3 }))
        );
    }

    #[test]
    fn what_is_no_circle_goes() {
        for calls in [
            "AABBAABBAABB",
            "ABABACABABAC",
            "ABCABCABX",
            "ABABAABABA",
            "ABCDABCDABCDABCD",
        ] {
            assert!(
                verdicts(calls)
                    .iter()
                    .all(|verdict| *verdict == Verdict::Go),
                "{calls}"
            );
        }
    }

    #[test]
    fn any_other_call_between_starts_the_count_again() {
        let mut guard = LoopGuard::default();
        let calls = [
            "read", "read", "write", "list", "read", "read", "find", "read", "write",
        ];
        for name in calls {
            assert_eq!(guard.judge(name, Arguments::Invalid("{")), Verdict::Go);
        }
    }

    #[test]
    fn the_third_round_of_unfit_inputs_is_the_last() {
        let mut setbacks = Setbacks::default();
        assert_eq!(setbacks.note(true, BADLY), None);
        assert_eq!(setbacks.note(true, BADLY), None);
        assert_eq!(setbacks.note(false, BADLY), None);
        assert_eq!(setbacks.note(true, BADLY), None);
        assert_eq!(setbacks.note(false, Ended::Well), None);
        assert_eq!(setbacks.note(true, BADLY), None);
        assert_eq!(setbacks.note(true, BADLY), None);
        assert_eq!(
            setbacks.note(true, BADLY),
            Some(Setback::Unfit { rounds: 3 })
        );
    }

    #[test]
    fn five_failed_rounds_in_a_row_are_enough() {
        let mut setbacks = Setbacks::default();
        for _ in 0..4 {
            assert_eq!(setbacks.note(false, BADLY), None);
        }
        assert_eq!(setbacks.note(false, Ended::Well), None);
        for _ in 0..4 {
            assert_eq!(setbacks.note(false, BADLY), None);
        }
        assert_eq!(
            setbacks.note(false, BADLY),
            Some(Setback::Failed { rounds: 5 })
        );
    }

    #[test]
    fn what_a_tool_says_of_its_own_failure_counts_only_when_it_is_the_same_again() {
        let mut setbacks = Setbacks::default();
        let mut fails = |said: &str| {
            let own = [said.to_owned()];
            setbacks.note(false, Ended::Badly { own: &own })
        };
        for number in 0..20 {
            assert_eq!(fails(&format!("{number} tests failed")), None);
        }
        for _ in 0..4 {
            assert_eq!(fails("no such file"), None);
        }
        assert_eq!(fails("no such file"), Some(Setback::Failed { rounds: 5 }));
    }
}
