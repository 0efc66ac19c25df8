//! Notices a model that goes round in circles.

use serde_json::Value;

/// So many equal calls in a row are run …
const RUN: u32 = 2;
/// … the next is answered with a correction instead, and the one after it ends the prompt.
const CORRECT: u32 = RUN + 1;

/// Remembers the latest call and how often it came in a row, across rounds.
#[derive(Debug, Default)]
pub(super) struct LoopGuard {
    latest: Option<(String, Arguments)>,
    times: u32,
}

/// What a call was made with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Arguments {
    /// Compared as JSON: the order of keys does not matter.
    Object(Value),
    /// Not a JSON object, compared as text.
    Invalid(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Run it.
    Go,
    /// Don't run it, tell the model.
    Correct,
    /// It was told, and did it again.
    Stop { times: u32 },
}

impl LoopGuard {
    pub(super) fn judge(&mut self, name: &str, arguments: Arguments) -> Verdict {
        let call = (name.to_owned(), arguments);
        if self.latest.as_ref() == Some(&call) {
            self.times += 1;
        } else {
            self.latest = Some(call);
            self.times = 1;
        }
        match self.times {
            0..=RUN => Verdict::Go,
            CORRECT => Verdict::Correct,
            times => Verdict::Stop { times },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_third_equal_call_is_corrected_and_the_fourth_stops() {
        let mut guard = LoopGuard::default();
        let first = || Arguments::Object(json!({"a": 1, "b": 2}));
        let reordered = || Arguments::Object(json!({"b": 2, "a": 1}));
        assert_eq!(guard.judge("read", first()), Verdict::Go);
        assert_eq!(guard.judge("read", reordered()), Verdict::Go);
        assert_eq!(guard.judge("read", first()), Verdict::Correct);
        assert_eq!(guard.judge("read", first()), Verdict::Stop { times: 4 });
    }

    #[test]
    fn any_other_call_between_starts_the_count_again() {
        let mut guard = LoopGuard::default();
        let call = || Arguments::Invalid("{".to_owned());
        for _ in 0..5 {
            assert_eq!(guard.judge("read", call()), Verdict::Go);
            assert_eq!(guard.judge("read", call()), Verdict::Go);
            assert_eq!(guard.judge("write", call()), Verdict::Go);
        }
    }
}
