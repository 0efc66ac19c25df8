//! Tool calls as the model made them, brought into the conversation's terms.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::llm::{Block, Completion, InvalidCall, Message, StopReason, Tool};

use super::repair::repair;
use super::text::one_line;

/// The longest name kept of a tool that does not exist, in characters.
const UNKNOWN_NAME_CHARS: usize = 64;

/// One call of an answer, under an id unique in the conversation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) declared: bool,
    pub(super) input: Input,
    /// What was done to the arguments, if they were no object as they came.
    pub(super) repaired: Option<&'static str>,
}

/// What the model passed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input {
    /// A JSON object.
    Object(Value),
    /// Anything else. It is never echoed to a server: some fail on it in every later round.
    Invalid { raw: String, problem: String },
}

impl Call {
    pub(super) fn is_valid(&self) -> bool {
        matches!(self.input, Input::Object(_))
    }
}

/// Takes the calls out of a finished answer, in order. The content comes back with them in place,
/// invalid ones with an empty input.
///
/// Of an answer that reached its token limit no call is valid, and none is repaired: what looks
/// whole may lack its end, or the calls that were meant to follow.
pub(super) fn take_calls(
    completion: &mut Completion,
    tools: &[Tool],
    ids: &mut Ids,
) -> (Vec<Block>, Vec<Call>) {
    let cut = completion.stop_reason == StopReason::MaxTokens;
    let mut invalid = std::mem::take(&mut completion.invalid_calls);
    let mut content = std::mem::take(&mut completion.content);
    for InvalidCall { id, name, .. } in &invalid {
        let listed = content
            .iter()
            .any(|block| matches!(block, Block::ToolUse { id: known, .. } if known == id));
        if !listed {
            content.push(Block::ToolUse {
                id: id.clone(),
                name: name.clone(),
                input: empty_object(),
            });
        }
    }
    let mut calls: Vec<Call> = Vec::new();
    for block in &mut content {
        let Block::ToolUse { id, name, input } = block else {
            continue;
        };
        let fault = invalid
            .iter()
            .position(|call| call.id == *id)
            .map(|place| invalid.swap_remove(place));
        let mended = fault
            .as_ref()
            .filter(|_| !cut)
            .and_then(|call| repair(&call.raw));
        let repaired = mended.as_ref().map(|(_, how)| *how);
        let passed = match (mended, fault) {
            (Some((object, _)), _) => {
                *input = object.clone();
                Input::Object(object)
            }
            (None, Some(InvalidCall { raw, problem, .. })) => {
                *input = empty_object();
                Input::Invalid { raw, problem }
            }
            (None, None) if cut => Input::Invalid {
                raw: std::mem::replace(input, empty_object()).to_string(),
                problem: "the answer reached its token limit before the call was complete"
                    .to_owned(),
            },
            (None, None) if input.is_object() => Input::Object(input.clone()),
            (None, None) => Input::Invalid {
                raw: std::mem::replace(input, empty_object()).to_string(),
                problem: "the arguments are not a JSON object".to_owned(),
            },
        };
        *id = match ids.own(id) {
            own if calls.iter().any(|call| call.id == own) => ids.fresh(id),
            own => own,
        };
        let (shown, declared) = resolve(tools, name);
        *name = shown;
        calls.push(Call {
            id: id.clone(),
            name: name.clone(),
            declared,
            input: passed,
            repaired,
        });
    }
    (content, calls)
}

/// The name to report for one the model used, and whether there is such a tool.
pub(super) fn resolve(tools: &[Tool], used: &str) -> (String, bool) {
    match tools.iter().any(|tool| tool.name == used) {
        true => (used.to_owned(), true),
        false => (one_line(used, UNKNOWN_NAME_CHARS), false),
    }
}

fn empty_object() -> Value {
    Value::Object(Map::new())
}

/// Keeps call ids apart across rounds: some servers count from `call_0` in every answer, some use
/// the tool's name, and a result must name one call only.
#[derive(Debug, Default)]
pub(super) struct Ids {
    used: HashSet<String>,
    this_round: HashMap<String, String>,
}

impl Ids {
    /// Knows the ids of what was said before.
    pub(super) fn new(messages: &[Message]) -> Self {
        let used = messages
            .iter()
            .flat_map(|message| &message.content)
            .filter_map(|block| match block {
                Block::ToolUse { id, .. } => Some(id.clone()),
                _ => None,
            })
            .collect();
        Self {
            used,
            this_round: HashMap::new(),
        }
    }

    pub(super) fn begin_round(&mut self) {
        self.this_round.clear();
    }

    /// Our id for the server's; the same one throughout a round.
    pub(super) fn own(&mut self, theirs: &str) -> String {
        if let Some(own) = self.this_round.get(theirs) {
            return own.clone();
        }
        let own = self.fresh(theirs);
        self.this_round.insert(theirs.to_owned(), own.clone());
        own
    }

    /// An id nobody has yet, as like the server's as can be.
    pub(super) fn fresh(&mut self, theirs: &str) -> String {
        let base = if theirs.is_empty() { "call" } else { theirs };
        let mut id = base.to_owned();
        let mut number = 2u64;
        while !self.used.insert(id.clone()) {
            id = format!("{base}_{number}");
            number += 1;
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::llm::{Role, StopReason};

    use super::*;

    fn call(id: &str, name: &str, input: Value) -> Block {
        Block::ToolUse {
            id: id.into(),
            name: name.into(),
            input,
        }
    }

    fn completion(content: Vec<Block>, invalid_calls: Vec<InvalidCall>) -> Completion {
        Completion {
            content,
            invalid_calls,
            stop_reason: StopReason::ToolUse,
            raw_finish_reason: None,
            usage: None,
            model: None,
            timing: Default::default(),
        }
    }

    #[test]
    fn calls_come_out_under_declared_names_and_own_ids() {
        let tools = [Tool {
            name: "fs.read".into(),
            description: None,
            input_schema: json!({}),
        }];
        let mut ids = Ids::new(&[Message {
            role: Role::Assistant,
            content: vec![call("call_0", "fs.read", json!({}))],
        }]);
        let mut answer = completion(
            vec![
                call("call_0", "fs.read", json!({"path": "a"})),
                call("x", "no\nsuch", json!([1])),
                call("x", "fs.read", json!({})),
            ],
            vec![InvalidCall {
                id: "bad".into(),
                name: "fs.read".into(),
                raw: "{".into(),
                problem: "cut off".into(),
            }],
        );
        let (content, calls) = take_calls(&mut answer, &tools, &mut ids);
        let told = |id: &str, name: &str, declared, input| Call {
            id: id.into(),
            name: name.into(),
            declared,
            input,
            repaired: None,
        };
        let invalid = |raw: &str, problem: &str| Input::Invalid {
            raw: raw.into(),
            problem: problem.into(),
        };
        assert_eq!(
            calls,
            [
                told(
                    "call_0_2",
                    "fs.read",
                    true,
                    Input::Object(json!({"path": "a"}))
                ),
                told(
                    "x",
                    "no such",
                    false,
                    invalid("[1]", "the arguments are not a JSON object")
                ),
                told("x_2", "fs.read", true, Input::Object(json!({}))),
                told("bad", "fs.read", true, invalid("{", "cut off")),
            ]
        );
        assert_eq!(
            content,
            [
                call("call_0_2", "fs.read", json!({"path": "a"})),
                call("x", "no such", json!({})),
                call("x_2", "fs.read", json!({})),
                call("bad", "fs.read", json!({})),
            ]
        );
    }

    #[test]
    fn an_id_stays_the_same_within_a_round_and_never_comes_twice() {
        let mut ids = Ids::default();
        assert_eq!(
            (ids.own("a"), ids.own("a"), ids.own("")),
            ("a".into(), "a".into(), "call".into())
        );
        ids.begin_round();
        assert_eq!(
            (ids.own("a"), ids.own("a"), ids.own("")),
            ("a_2".into(), "a_2".into(), "call_2".into())
        );
    }
}
