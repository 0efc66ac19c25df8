//! Tool calls put together from fragments.
//!
//! Servers disagree on what identifies a call: some repeat its id and name in every fragment,
//! some send neither again, some count `index` from one, some never count. The rules below sort
//! all of these; nothing is final before the end of the stream, however complete it looks. A call
//! is told of once its arguments begin: until then its name may come again, and longer.

use std::collections::HashSet;

use serde_json::Value;

use super::{arguments, names::Names};
use crate::llm::{
    error::Fault,
    event::{ChatEvent, InvalidCall},
    message::Block,
    sanitize::is_unsafe,
};

const MAX_CALLS: usize = 64;
const MAX_ARGUMENTS: usize = 1024 * 1024;

/// The calls of one answer, in first-seen order.
#[derive(Debug, Default)]
pub(super) struct Calls {
    slots: Vec<Slot>,
    /// Our ids already given away.
    ids: HashSet<String>,
    /// Beginning of the ids made up for calls without one.
    seed: String,
}

#[derive(Debug, Default)]
struct Slot {
    /// The server's id, possibly empty.
    wire_id: String,
    index: Option<u64>,
    /// The server's name, possibly empty yet.
    name: String,
    arguments: String,
    closure: arguments::Closure,
    /// The arguments came as one JSON value, not as text.
    whole: bool,
    /// Our id, given when the call was first told of.
    id: Option<String>,
}

/// What one element of `tool_calls` says.
struct Fragment<'a> {
    id: &'a str,
    index: Option<u64>,
    name: &'a str,
    arguments: Arguments<'a>,
}

enum Arguments<'a> {
    Text(&'a str),
    Value(&'a Value),
}

/// The calls at the end of a stream.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) valid: Vec<Block>,
    pub(super) invalid: Vec<InvalidCall>,
    /// Calls without a name, which nobody could run.
    pub(super) nameless: usize,
}

impl Calls {
    /// The seed should differ from answer to answer: ids live as long as the conversation.
    pub(super) fn new(seed: String) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes one element of `tool_calls` and tells of what it adds.
    pub(super) fn take(
        &mut self,
        element: &Value,
        names: &Names,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), Fault> {
        let Some(fragment) = Fragment::read(element) else {
            return Ok(());
        };
        let position = self.slot_for(&fragment);
        if position >= MAX_CALLS {
            return Err(Fault::Protocol(format!(
                "the answer has more than {MAX_CALLS} tool calls"
            )));
        }
        if position == self.slots.len() {
            self.slots.push(Slot {
                index: fragment.index,
                ..Slot::default()
            });
        }
        let Some(slot) = self.slots.get_mut(position) else {
            return Ok(());
        };
        let before = slot.arguments.len();
        slot.merge(&fragment);
        if slot.arguments.len() > MAX_ARGUMENTS {
            return Err(Fault::Protocol(format!(
                "the arguments of a tool call are longer than {MAX_ARGUMENTS} bytes"
            )));
        }
        let told = if slot.id.is_some() { before } else { 0 };
        if slot.name.is_empty() || slot.arguments.len() == told {
            return Ok(());
        }
        let id = match &slot.id {
            Some(id) => id.clone(),
            None => {
                let id = unique_id(&mut self.ids, &slot.wire_id, &self.seed, position);
                out.push(slot.start(id.clone(), names));
                id
            }
        };
        let fragment = slot.arguments.get(told..).unwrap_or_default().to_owned();
        out.push(ChatEvent::ToolCallDelta { id, fragment });
        Ok(())
    }

    /// Where a fragment belongs; the number of slots means a new one.
    fn slot_for(&self, fragment: &Fragment<'_>) -> usize {
        let new = self.slots.len();
        let last = |matches: &dyn Fn(&Slot) -> bool| self.slots.iter().rposition(matches);
        let at_index = fragment
            .index
            .and_then(|index| last(&|slot: &Slot| slot.index == Some(index)));
        let slot = |position: usize| self.slots.get(position);

        if !fragment.id.is_empty() {
            let same_id = last(&|slot: &Slot| slot.wire_id == fragment.id);
            if let Some(position) = same_id {
                // Ids that are not unique: the function's name, for one.
                let another =
                    slot(position).is_some_and(|slot| slot.is_followed_by_namesake(fragment));
                return if another { new } else { position };
            }
            // Fill a slot that is still anonymous; otherwise a new call, though its index is taken.
            return at_index
                .filter(|position| {
                    slot(*position)
                        .is_some_and(|slot| slot.wire_id.is_empty() && slot.name.is_empty())
                })
                .unwrap_or(new);
        }
        if fragment.index.is_some() {
            let Some(position) = at_index else { return new };
            let another = slot(position).is_some_and(|slot| slot.is_followed_by_another(fragment));
            return if another { new } else { position };
        }
        let Some(latest) = new.checked_sub(1) else {
            return new;
        };
        let another = slot(latest).is_some_and(|slot| {
            !fragment.name.is_empty()
                && !slot.name.is_empty()
                && !slot.is_continued_by_namesake(fragment)
        });
        if another { new } else { latest }
    }

    /// At the end of the stream; tells of calls that have no arguments. `cut` means that the answer
    /// hit its token limit: then no call may run, since the last one may lack its end and the
    /// others the calls meant to follow.
    pub(super) fn finish(&mut self, names: &Names, cut: bool, out: &mut Vec<ChatEvent>) -> Outcome {
        let mut outcome = Outcome::default();
        for (position, mut slot) in std::mem::take(&mut self.slots).into_iter().enumerate() {
            if slot.name.is_empty() {
                outcome.nameless += 1;
                continue;
            }
            let id = match slot.id.take() {
                Some(id) => id,
                None => {
                    let id = unique_id(&mut self.ids, &slot.wire_id, &self.seed, position);
                    out.push(slot.start(id.clone(), names));
                    id
                }
            };
            let name = names.original(&slot.name);
            let input = if cut {
                Err("the answer reached its token limit before the call was complete".to_owned())
            } else {
                arguments::parse(&slot.arguments)
            };
            match input {
                Ok(input) => outcome.valid.push(Block::ToolUse { id, name, input }),
                Err(problem) => outcome.invalid.push(InvalidCall {
                    id,
                    name,
                    raw: slot.arguments,
                    problem,
                }),
            }
        }
        outcome
    }
}

/// The server's id, made unique; or one made up, also where the server's can't be shown or logged.
/// Nine letters and digits: some templates accept nothing else.
fn unique_id(ids: &mut HashSet<String>, wire: &str, seed: &str, position: usize) -> String {
    let base = if wire.is_empty() || wire.contains(is_unsafe) {
        format!("{seed}{position:02}")
    } else {
        wire.to_owned()
    };
    let mut id = base.clone();
    let mut number = 2;
    while !ids.insert(id.clone()) {
        id = format!("{base}_{number}");
        number += 1;
    }
    id
}

impl<'a> Fragment<'a> {
    fn read(element: &'a Value) -> Option<Self> {
        let element = element.as_object()?;
        let text = |value: Option<&'a Value>| value.and_then(Value::as_str).unwrap_or_default();
        let function = element.get("function").and_then(Value::as_object);
        let arguments = match function.and_then(|function| function.get("arguments")) {
            None | Some(Value::Null) => Arguments::Text(""),
            Some(Value::String(text)) => Arguments::Text(text),
            Some(value) => Arguments::Value(value),
        };
        Some(Self {
            id: text(element.get("id")),
            index: element.get("index").and_then(Value::as_u64),
            name: text(function.and_then(|function| function.get("name"))),
            arguments,
        })
    }

    /// Its arguments are the beginning of an object, not a piece from the middle of one.
    fn begins_arguments(&self) -> bool {
        match self.arguments {
            Arguments::Text(text) => text.trim_start().starts_with('{'),
            Arguments::Value(_) => true,
        }
    }

    fn has_arguments(&self) -> bool {
        match self.arguments {
            Arguments::Text(text) => !text.is_empty(),
            Arguments::Value(_) => true,
        }
    }
}

impl Slot {
    /// From now on it has this id, and its name stays.
    fn start(&mut self, id: String, names: &Names) -> ChatEvent {
        self.id = Some(id.clone());
        ChatEvent::ToolCallStarted {
            id,
            name: names.original(&self.name),
        }
    }

    fn is_complete(&self) -> bool {
        self.whole || self.closure.is_closed()
    }

    /// A fragment without an id but with this call's index is another call's: it has a name, and
    /// this call has all it needs.
    fn is_followed_by_another(&self, fragment: &Fragment<'_>) -> bool {
        if fragment.name.is_empty() || self.name.is_empty() {
            return false;
        }
        if self.is_complete() {
            return fragment.begins_arguments() || !fragment.has_arguments();
        }
        self.arguments.is_empty() && !self.accepts_name(fragment.name)
    }

    /// A fragment with this call's id is another call's: this one has its arguments, and others
    /// begin; or it counts itself as another.
    fn is_followed_by_namesake(&self, fragment: &Fragment<'_>) -> bool {
        if self.is_complete() && fragment.begins_arguments() {
            return true;
        }
        let counted_apart = matches!((self.index, fragment.index), (Some(a), Some(b)) if a != b);
        counted_apart
            && !fragment.name.is_empty()
            && (self.arguments.is_empty() || self.is_complete())
    }

    /// A fragment with neither id nor index repeats this call's name while its arguments are
    /// still open.
    fn is_continued_by_namesake(&self, fragment: &Fragment<'_>) -> bool {
        fragment.name == self.name && !self.arguments.is_empty() && !self.is_complete()
    }

    /// Names are repeated or sent again longer, never in pieces.
    fn accepts_name(&self, name: &str) -> bool {
        name.starts_with(&self.name)
    }

    fn merge(&mut self, fragment: &Fragment<'_>) {
        if self.wire_id.is_empty() {
            self.wire_id.push_str(fragment.id);
        }
        self.index = self.index.or(fragment.index);
        // Once it has been told of, a name stays.
        if self.id.is_none() && self.accepts_name(fragment.name) {
            self.name = fragment.name.to_owned();
        }
        match fragment.arguments {
            Arguments::Text(text) if !self.whole => {
                self.closure.feed(text);
                self.arguments.push_str(text);
            }
            Arguments::Value(value) if self.arguments.is_empty() => {
                self.arguments = value.to_string();
                self.whole = true;
            }
            Arguments::Text(_) | Arguments::Value(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
