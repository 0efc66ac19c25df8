//! What became of a prompt, and whether that may be.

use serde_json::Value;

use super::ledger::Deeds;
use super::plan::Plan;
use super::tally::Wrong;
use super::token::{self, Reading};
use crate::support::daemon::{Chunk, RpcError};

/// How a prompt may fail in bad weather; all else needs another explanation.
const EXPECTED: &[&str] = &[
    "API_ERROR",
    "API_RATE_LIMITED",
    "API_UNAVAILABLE",
    "SSH_CHANNEL_ERROR",
    "SSH_CONNECTION_TIMEOUT",
    "SSH_DISCONNECTED",
    "SSH_UNREACHABLE",
    "STREAM_INTERRUPTED",
    "TIMEOUT_CONNECT",
    "TIMEOUT_FIRST_TOKEN",
    "TIMEOUT_IDLE",
];

/// What is known of a prompt that was answered.
pub(super) struct Case<'a> {
    pub(super) plan: &'a Plan,
    pub(super) chunks: &'a [Chunk],
    pub(super) outcome: &'a Result<Value, RpcError>,
    pub(super) deeds: Deeds,
    pub(super) was_cancelled: bool,
}

/// `complete` or the error's code, and everything that must not be.
pub(super) fn judge(case: &Case<'_>) -> (String, Vec<(Wrong, String)>) {
    let mut wrongs = Vec::new();
    let deltas = case.deltas();
    check(case.plan, "its deltas", &deltas, &mut wrongs);
    wrongs.extend(case.asked_again().err());
    let end = match case.outcome {
        Ok(result) => {
            wrongs.extend(case.completed(result, &deltas).err());
            "complete"
        }
        Err(error) => {
            case.failed(error, &deltas, &mut wrongs);
            error.code()
        }
    };
    let told = |what: String| format!("{what}; {end} of {:?}", case.plan);
    let wrongs = wrongs.into_iter().map(|(wrong, what)| (wrong, told(what)));
    (end.to_owned(), wrongs.collect())
}

impl Case<'_> {
    fn deltas(&self) -> String {
        let deltas = self.chunks.iter();
        let deltas = deltas.filter(|chunk| chunk.kind() == "text-delta");
        deltas
            .filter_map(|chunk| chunk.event["text"].as_str())
            .collect()
    }

    /// The terminal event.
    fn terminal(&self) -> &Value {
        self.chunks
            .last()
            .map_or(&Value::Null, |chunk| &chunk.event)
    }

    /// Whether the host was told of every request that was repeated, and that nothing of its answer
    /// had been told before.
    fn asked_again(&self) -> Result<(), (Wrong, String)> {
        if !self.plan.streamed {
            return Ok(());
        }
        let mut warnings = 0;
        for (place, chunk) in self.chunks.iter().enumerate() {
            let text = chunk.event["message"].as_str().unwrap_or_default();
            if chunk.kind() != "warning" || !text.contains("is sent again") {
                continue;
            }
            warnings += 1;
            let said = |before: &Chunk| {
                before.round == chunk.round
                    && matches!(before.kind(), "text-delta" | "tool-call-started")
            };
            if self.chunks[..place].iter().any(said) {
                return Err((
                    Wrong::AskedAgain,
                    format!("after something was told: {text}"),
                ));
            }
        }
        match self.deeds.asked_again > warnings {
            true => Err((
                Wrong::AskedAgain,
                format!("{:?}, {warnings} warnings", self.deeds),
            )),
            false => Ok(()),
        }
    }

    fn completed(&self, result: &Value, deltas: &str) -> Result<(), (Wrong, String)> {
        let plan = self.plan;
        let falsely = |what: String| Err((Wrong::FalselyCompleted, what));
        if !plan.can_complete() {
            return falsely("it cannot be complete".to_owned());
        }
        if plan.streamed {
            if token::read(plan, deltas) != Reading::Whole {
                return falsely(format!("{} bytes came as deltas", deltas.len()));
            }
            if self.terminal()["result"] != *result {
                return falsely("`finished` and the reply differ".to_owned());
            }
        }
        let last = token::text_of_round(plan, plan.rounds.len() - 1);
        if texts(&result["messages"]) != token::text(plan) || text(&result["message"]) != last {
            return falsely("the result's text is another".to_owned());
        }
        let calls = plan.all_calls().count();
        let rounds = plan.rounds.len() as u64;
        let told = (result["stopReason"].as_str(), result["rounds"].as_u64());
        if told != (Some("end_turn"), Some(rounds))
            || result["toolCalls"].as_u64() != Some(calls as u64)
        {
            return falsely(format!("another end, or not all rounds: {told:?}"));
        }
        if self.deeds.tools_run != calls {
            return falsely(format!("{} of {calls} tools ran", self.deeds.tools_run));
        }
        Ok(())
    }

    fn failed(&self, error: &RpcError, deltas: &str, wrongs: &mut Vec<(Wrong, String)>) {
        let plan = self.plan;
        let partial = error.data["partial"].as_str();
        let cancelled = error.code() == "CANCELLED";
        if let Some(partial) = partial {
            check(plan, "`partial`", partial, wrongs);
        }
        if plan.streamed {
            if partial.unwrap_or_default() != deltas {
                let what = format!(
                    "{} bytes came as deltas, and {:?} in `partial`",
                    deltas.len(),
                    partial.map(str::len)
                );
                wrongs.push((Wrong::LostText, what));
            }
            let result = &self.terminal()["result"];
            if cancelled
                && (texts(&result["messages"]) != deltas || result["stopReason"] != "cancelled")
            {
                wrongs.push((
                    Wrong::FalselyCompleted,
                    "`finished` of a cancelled one".to_owned(),
                ));
            }
        }
        if !(EXPECTED.contains(&error.code()) || cancelled && self.was_cancelled) {
            wrongs.push((Wrong::UnexpectedEnd, error.message.clone()));
        }
    }
}

fn check(plan: &Plan, what: &str, text: &str, wrongs: &mut Vec<(Wrong, String)>) {
    let wrong = match token::read(plan, text) {
        Reading::Whole | Reading::Beginning => return,
        Reading::Lost => Wrong::LostText,
        Reading::Doubled => Wrong::DoubledText,
        Reading::Reordered => Wrong::ReorderedText,
        Reading::Foreign => Wrong::ForeignText,
    };
    wrongs.push((wrong, format!("{what}, {} bytes", text.len())));
}

/// All that the model says in these messages.
fn texts(messages: &Value) -> String {
    let messages = messages.as_array().into_iter().flatten();
    let said = messages.filter(|message| message["role"] == "assistant");
    said.map(text).collect()
}

fn text(message: &Value) -> String {
    let blocks = message["content"].as_array().into_iter().flatten();
    blocks.filter_map(|block| block["text"].as_str()).collect()
}
