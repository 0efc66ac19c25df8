//! What is counted in the whole run, and what went wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many findings are told in full.
const TOLD: usize = 40;

/// Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Prompts that have ended.
    pub(super) prompts: u64,
    /// The same by how: `complete`, or the error's code.
    pub(super) ends: BTreeMap<String, u64>,
    pub(super) troubles: BTreeMap<&'static str, u64>,
    pub(super) wrongs: BTreeMap<Wrong, u64>,
    pub(super) findings: Vec<String>,
    /// From a cancel to the reply.
    pub(super) cancels: Vec<Duration>,
    /// From when sshd listens again to `ready`, by profile.
    pub(super) reconnects: BTreeMap<&'static str, Vec<Duration>>,
    pub(super) memory: Vec<Sample>,
}

/// The daemon's memory at a quiet moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) prompts: u64,
    pub(super) bytes: u64,
}

/// What must never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wrong {
    LostText,
    DoubledText,
    ReorderedText,
    ForeignText,
    FalselyCompleted,
    /// The server was asked the same twice, or something that nobody wanted.
    AskedAgain,
    /// A tool was run twice, or for nobody.
    RanAgain,
    /// An end that no trouble explains.
    UnexpectedEnd,
    /// A prompt that should have come to a good end while nothing was wrong.
    NotServed,
    /// Slower than anything allows.
    Late,
    LeakedChannel,
    LeakedDescriptor,
    LeakedProcess,
    Panic,
}

impl Wrong {
    pub(super) const ALL: [(Self, &'static str); 14] = [
        (Self::LostText, "lost text"),
        (Self::DoubledText, "doubled text"),
        (Self::ReorderedText, "reordered text"),
        (Self::ForeignText, "foreign text"),
        (Self::FalselyCompleted, "falsely completed"),
        (Self::AskedAgain, "server asked again"),
        (Self::RanAgain, "tool run again"),
        (Self::UnexpectedEnd, "unexpected end"),
        (Self::NotServed, "not served though nothing was wrong"),
        (Self::Late, "late"),
        (Self::LeakedChannel, "leaked channels"),
        (Self::LeakedDescriptor, "leaked descriptors"),
        (Self::LeakedProcess, "leaked processes"),
        (Self::Panic, "panics and internal errors"),
    ];
}

impl Tally {
    pub(super) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ended(&self, how: &str) {
        let mut counts = self.lock();
        counts.prompts += 1;
        *counts.ends.entry(how.to_owned()).or_default() += 1;
    }

    pub(super) fn trouble(&self, name: &'static str) {
        *self.lock().troubles.entry(name).or_default() += 1;
    }

    pub(super) fn wrong(&self, wrong: Wrong, finding: String) {
        self.wrongs(wrong, 1, finding);
    }

    /// The same for several of a kind; none is nothing wrong.
    pub(super) fn wrongs(&self, wrong: Wrong, number: u64, finding: String) {
        if number == 0 {
            return;
        }
        let mut counts = self.lock();
        *counts.wrongs.entry(wrong).or_default() += number;
        if counts.findings.len() < TOLD {
            counts.findings.push(format!("{wrong:?}: {finding}"));
        }
    }
}
