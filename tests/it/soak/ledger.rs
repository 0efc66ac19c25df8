//! Who asked what of whom: the one place that knows every prompt that runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::plan::{CallName, Plan};
use super::tally::{Tally, Wrong};
use super::world::MOST_RESENT;

/// Clones are the same ledger.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    tally: Tally,
    next_id: Arc<AtomicU64>,
    prompts: Arc<Mutex<HashMap<u64, Prompt>>>,
}

#[derive(Debug)]
struct Prompt {
    plan: Arc<Plan>,
    /// How the server was asked for each round, by the name of the request.
    asked: HashMap<usize, Vec<String>>,
    ran: Vec<CallName>,
    over: bool,
}

/// What was done for a prompt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deeds {
    pub(super) tools_run: usize,
    /// How often the server was asked for something that it had been asked for before.
    pub(super) asked_again: usize,
}

impl Ledger {
    pub(super) fn new(tally: Tally) -> Self {
        Self {
            tally,
            next_id: Arc::default(),
            prompts: Arc::default(),
        }
    }

    /// Enters a new prompt.
    pub(super) fn enter(&self, plan: impl FnOnce(u64) -> Plan) -> Arc<Plan> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let plan = Arc::new(plan(id));
        let prompt = Prompt {
            plan: Arc::clone(&plan),
            asked: HashMap::new(),
            ran: Vec::new(),
            over: false,
        };
        self.lock().insert(id, prompt);
        plan
    }

    /// The server is asked for a round of a prompt; returns how often it was before.
    pub(super) fn asked(&self, id: u64, round: usize, name: &str) -> Option<(Arc<Plan>, usize)> {
        let mut prompts = self.lock();
        // A request can overtake the news that its prompt is over, but not by much.
        let Some(prompt) = prompts.get_mut(&id) else {
            self.asked_again(format!("for p{id}, long over"));
            return None;
        };
        let asked = prompt.asked.entry(round).or_default();
        let before = asked.len();
        asked.push(name.to_owned());
        if before > MOST_RESENT || asked.iter().any(|asked| asked != name) {
            self.asked_again(format!("{asked:?} for round {round} of {:?}", prompt.plan));
        }
        if round >= prompt.plan.rounds.len() {
            self.asked_again(format!("after the end of {:?}", prompt.plan));
            return None;
        }
        Some((Arc::clone(&prompt.plan), before))
    }

    /// The host is to run a tool; returns how long that takes.
    pub(super) fn runs(&self, call: CallName) -> Option<Duration> {
        let mut prompts = self.lock();
        let Some(prompt) = prompts.get_mut(&call.prompt) else {
            self.ran_again(format!("{}, whose prompt is long over", call.id()));
            return None;
        };
        if prompt.over {
            self.ran_again(format!("{}, whose prompt is over", call.id()));
        }
        if prompt.ran.contains(&call) {
            self.ran_again(format!("{} twice", call.id()));
        }
        prompt.ran.push(call);
        let mut calls = prompt.plan.all_calls();
        let (_, time) = calls.find(|(name, _)| *name == call)?;
        Some(time)
    }

    /// A prompt was answered; returns what was done for it.
    pub(super) fn over(&self, id: u64) -> Deeds {
        let mut prompts = self.lock();
        let prompt = prompts.get_mut(&id).expect("it was entered, and runs");
        prompt.over = true;
        let asked = prompt.asked.values();
        Deeds {
            tools_run: prompt.ran.len(),
            asked_again: asked.map(|asked| asked.len() - 1).sum(),
        }
    }

    /// The prompts that have not been answered.
    pub(super) fn running(&self) -> Vec<Arc<Plan>> {
        let prompts = self.lock();
        let running = prompts.values().filter(|prompt| !prompt.over);
        running.map(|prompt| Arc::clone(&prompt.plan)).collect()
    }

    /// Forgets prompts that are over, when nothing of them can be on its way any more.
    pub(super) fn forget(&self) {
        self.lock().retain(|_, prompt| !prompt.over);
    }

    fn asked_again(&self, finding: String) {
        self.tally.wrong(Wrong::AskedAgain, finding);
    }

    fn ran_again(&self, finding: String) {
        self.tally.wrong(Wrong::RanAgain, finding);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Prompt>> {
        self.prompts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
