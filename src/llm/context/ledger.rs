//! What is remembered of contexts: how large each model's is, and how many tokens was counted.

use std::{
    collections::{HashMap, VecDeque, hash_map::RandomState},
    hash::{BuildHasher as _, Hasher as _},
};

use super::{Window, tokenizer::Question};
use crate::llm::model::{Discovery, ServerKind};

/// How many counts are remembered. A conversation needs its last only.
const COUNTS: usize = 128;

/// What a template writes around a message, at most.
const AROUND: u64 = 64;

/// Where a window comes from that a person typed in.
pub(in crate::llm) const TYPED: &str = "profile";

/// One server's.
#[derive(Debug, Default)]
pub(in crate::llm) struct Ledger {
    windows: HashMap<String, Window>,
    /// The window of the one model that a server has, whatever name it is asked by.
    only: Option<Window>,
    /// Beginnings of conversations, by their digests, and their tokens. The newest is last.
    counts: VecDeque<(u64, u64)>,
    hashing: RandomState,
    /// It has no route to count by.
    lacks_tokenizer: bool,
}

/// How much of a conversation is counted already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// Of its longest beginning that was counted.
    pub(super) tokens: u64,
    /// What the rest has at most.
    pub(super) rest: u64,
}

impl Ledger {
    /// Takes over what a discovery found.
    pub(in crate::llm) fn learn(&mut self, found: &Discovery) {
        self.lacks_tokenizer = false;
        self.windows.clear();
        for model in &found.models {
            let context = &model.context_window;
            let tokens = context.effective.into_iter().chain(model.max_input_tokens);
            if let Some(tokens) = tokens.min() {
                let source = context.source.unwrap_or("as the server says");
                self.windows
                    .insert(model.id.clone(), Window { tokens, source });
            }
        }
        // llama.cpp answers to any name.
        self.only = match found.models.as_slice() {
            [model] if found.server.kind == ServerKind::LlamaCpp => {
                self.windows.get(&model.id).copied()
            }
            _ => None,
        };
    }

    pub(super) fn window(&self, model: &str) -> Option<Window> {
        self.windows.get(model).copied().or(self.only)
    }

    /// The server itself has just said how large it is. What a person typed in stays.
    pub(super) fn put(&mut self, model: &str, window: Window) {
        match self.windows.get_mut(model) {
            Some(known) if known.source == TYPED => {}
            Some(known) => *known = window,
            None => self.only = self.only.map(|_| window),
        }
    }

    pub(super) fn lacks_tokenizer(&self) -> bool {
        self.lacks_tokenizer
    }

    pub(super) fn has_no_tokenizer(&mut self) {
        self.lacks_tokenizer = true;
    }

    pub(super) fn known(&self, question: &Question) -> Option<Known> {
        let digests = self.digests(question);
        digests.iter().enumerate().rev().find_map(|(last, digest)| {
            let counted = self.counts.iter().rev().find(|(known, _)| known == digest);
            let (_, tokens) = counted?;
            let rest = question.messages.iter().skip(last + 1);
            let most = |message: &String| bytes(message).saturating_add(AROUND);
            Some(Known {
                tokens: *tokens,
                rest: rest.map(most).sum(),
            })
        })
    }

    pub(super) fn note(&mut self, question: &Question, tokens: u64) {
        let Some(whole) = self.digests(question).pop() else {
            return;
        };
        if self.counts.len() >= COUNTS {
            self.counts.pop_front();
        }
        self.counts.push_back((whole, tokens));
    }

    /// Of each beginning of a conversation, the shortest first.
    fn digests(&self, question: &Question) -> Vec<u64> {
        let mut hasher = self.hashing.build_hasher();
        let mut add = |text: &str| {
            hasher.write(text.as_bytes());
            hasher.write_u8(0xff);
            hasher.finish()
        };
        add(&question.setting);
        question
            .messages
            .iter()
            .map(|message| add(message))
            .collect()
    }
}

fn bytes(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(setting: &str, messages: &[&str]) -> Question {
        Question::of_parts(setting, messages)
    }

    #[test]
    fn only_what_was_added_since_is_unknown() {
        let mut ledger = Ledger::default();
        let known = |ledger: &Ledger, question| ledger.known(&question);
        assert_eq!(known(&ledger, question("s", &["a"])), None);
        ledger.note(&question("s", &["a", "b"]), 20);
        let found = |tokens, rest| Some(Known { tokens, rest });
        assert_eq!(known(&ledger, question("s", &["a", "b"])), found(20, 0));
        let longer = question("s", &["a", "b", "four", "c"]);
        assert_eq!(known(&ledger, longer), found(20, 4 + 1 + 2 * AROUND));
        ledger.note(&question("s", &["a", "b", "four"]), 30);
        let longer = question("s", &["a", "b", "four", "c"]);
        assert_eq!(known(&ledger, longer), found(30, 1 + AROUND));
        // Another tool, or something else said, is another conversation.
        assert_eq!(known(&ledger, question("t", &["a", "b"])), None);
        assert_eq!(known(&ledger, question("s", &["a", "c"])), None);
        assert_eq!(known(&ledger, question("s", &["ab"])), None);
    }

    #[test]
    fn no_more_than_the_newest_counts_are_kept() {
        let mut ledger = Ledger::default();
        for n in 0..=COUNTS {
            ledger.note(&question("s", &[&n.to_string()]), 1);
        }
        assert_eq!(ledger.counts.len(), COUNTS);
        assert_eq!(ledger.known(&question("s", &["0"])), None);
        assert!(ledger.known(&question("s", &["1"])).is_some());
    }
}
