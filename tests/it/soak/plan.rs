//! What is to become of one prompt if nothing goes wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::random::Random;

#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Unique in the whole run.
    pub(super) id: u64,
    /// One request to the server each.
    pub(super) rounds: Vec<Round>,
    /// With what the last round is refused the first times that it is asked for.
    pub(super) refusals: Vec<u16>,
    pub(super) end: End,
    /// Bytes of the question that mean nothing.
    pub(super) padding: usize,
    pub(super) streamed: bool,
    pub(super) cancel: Option<Cancel>,
}

/// What the model says and calls. Every round but the last calls something.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) tokens: u64,
    /// Bytes of each token that mean nothing.
    pub(super) filler: usize,
    /// After each token.
    pub(super) pause: Duration,
    /// How long each of the called tools takes.
    pub(super) calls: Vec<Duration>,
}

/// How the last round ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    /// The same, not streamed.
    CompleteInOnePiece,
    /// In the middle of a chunk.
    Cut,
    /// As if that were all, but without a finish reason.
    Unfinished,
    /// Nothing more comes, and the connection stays.
    Silent,
}

/// When the host cancels it, unless it is over by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cancel {
    pub(super) after: Duration,
    /// By the prompt's own name, not by the request's id.
    pub(super) by_name: bool,
}

impl Plan {
    /// Any of the prompts that there can be.
    pub(super) fn any(id: u64, random: &mut Random) -> Self {
        let mut plan = Self {
            streamed: random.percent(70),
            ..Self::simple(id, random)
        };
        let last = plan.rounds.last_mut().expect("there is one");
        match random.within(0..100) {
            0..40 => {}
            40..50 => {
                last.tokens = random.within(200..1000);
                last.filler = random.within(200..400) as usize;
                last.pause = Duration::ZERO;
            }
            50..56 => {
                last.tokens = random.within(20..50);
                last.pause = Duration::from_millis(100);
            }
            56..66 => plan.end = End::CompleteInOnePiece,
            66..76 => {
                let status = *random.pick(&[400, 429, 500, 503]);
                plan.refusals = vec![status; *random.pick(&[1, 2, 9])];
            }
            76..86 => plan.end = End::Cut,
            86..90 => plan.end = End::Unfinished,
            90..94 => plan.end = End::Silent,
            _ => plan.padding = random.within(10_000..300_000) as usize,
        }
        let cancelled = if plan.end == End::Silent { 80 } else { 20 };
        plan.cancel = random.percent(cancelled).then(|| Cancel {
            after: Duration::from_millis(random.within(0..2000)),
            by_name: random.percent(50),
        });
        plan
    }

    /// One with a short answer, perhaps after some tools, that comes to a good end.
    pub(super) fn simple(id: u64, random: &mut Random) -> Self {
        let with_tools = random.percent(30);
        let tool_rounds = if with_tools { random.within(1..4) } else { 0 };
        let mut rounds: Vec<_> = (0..tool_rounds).map(|_| Round::calling(random)).collect();
        rounds.push(Round::short(random));
        Self {
            id,
            rounds,
            refusals: Vec::new(),
            end: End::Complete,
            padding: 0,
            streamed: true,
            cancel: None,
        }
    }

    /// The host's name for it.
    pub(super) fn name(&self) -> String {
        format!("p{}", self.id)
    }

    /// What the user says.
    pub(super) fn question(&self) -> String {
        format!("{} {}", self.id, "?".repeat(self.padding))
    }

    /// Which plan's question this is.
    pub(super) fn id_of(question: &str) -> Option<u64> {
        question.split(' ').next()?.parse().ok()
    }

    /// The calls of a round, and how long they take.
    pub(super) fn calls(&self, round: usize) -> impl Iterator<Item = (CallName, Duration)> {
        let calls = self.rounds[round].calls.iter().enumerate();
        calls.map(move |(call, time)| {
            let name = CallName {
                prompt: self.id,
                round,
                call,
            };
            (name, *time)
        })
    }

    pub(super) fn all_calls(&self) -> impl Iterator<Item = (CallName, Duration)> {
        (0..self.rounds.len()).flat_map(|round| self.calls(round))
    }

    /// Whether the answer can be whole.
    pub(super) fn can_complete(&self) -> bool {
        matches!(self.end, End::Complete | End::CompleteInOnePiece)
    }
}

impl Round {
    fn short(random: &mut Random) -> Self {
        Self {
            tokens: random.within(1..60),
            filler: random.within(0..20) as usize,
            pause: Duration::from_millis(random.within(0..30)),
            calls: Vec::new(),
        }
    }

    fn calling(random: &mut Random) -> Self {
        let calls = random.within(1..4);
        Self {
            tokens: random.within(0..20),
            calls: (0..calls).map(|_| tool_time(random)).collect(),
            ..Self::short(random)
        }
    }
}

/// Mostly none.
fn tool_time(random: &mut Random) -> Duration {
    let slow = random.percent(30);
    Duration::from_millis(if slow { random.within(1..800) } else { 0 })
}

/// Which call of which prompt; also the call's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct CallName {
    pub(super) prompt: u64,
    pub(super) round: usize,
    pub(super) call: usize,
}

impl CallName {
    /// The id that the server gives it.
    pub(super) fn id(self) -> String {
        format!("call_{}_{}_{}", self.prompt, self.round, self.call)
    }

    pub(super) fn input(self) -> Value {
        serde_json::to_value(self).expect("plain data")
    }

    pub(super) fn of_input(input: &Value) -> Option<Self> {
        serde_json::from_value(input.clone()).ok()
    }

    /// What the tool says.
    pub(super) fn result(self) -> String {
        format!("the result of {}", self.id())
    }
}
