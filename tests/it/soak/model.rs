//! The LLM server's answers, and the host's tools.

use serde_json::{Value, json};

use super::ledger::Ledger;
use super::plan::{CallName, End, Plan};
use super::tally::{Tally, Wrong};
use super::token::{text_of_round, tokens_of_round};
use crate::support::daemon::{Answer, Question};
use crate::support::llm_server::{Call, Reply, Request, Step, script};

/// The only tool.
pub(super) const TOOL: &str = "Work";

/// Answers as the prompt's plan says.
pub(super) fn answer(ledger: &Ledger, tally: &Tally, request: &Request) -> Reply {
    let nobodys = || Reply::error(400, "a request that belongs to no prompt");
    let is = |message: &&Value, role: &str| message["role"] == role;
    let mut messages = request.messages().iter();
    let question = messages.find(|message| is(message, "user"));
    let question = question.and_then(|question| question["content"].as_str());
    let Some(id) = question.and_then(Plan::id_of) else {
        let finding = format!(
            "a request without a plan: {:.300}",
            request.body.to_string()
        );
        tally.wrong(Wrong::AskedAgain, finding);
        return nobodys();
    };
    let history: Vec<_> = messages.collect();
    let said = history.iter().filter(|message| is(message, "assistant"));
    let round = said.count();
    let name = request.header("x-request-id").unwrap_or_default();
    let Some((plan, before)) = ledger.asked(id, round, name) else {
        return nobodys();
    };
    let expected = said_before(&plan, round);
    if history.iter().map(|message| flat(message)).ne(expected) {
        let finding = format!("the history of round {round} of {plan:?} is {history:?}");
        tally.wrong(Wrong::LostText, finding);
    }
    let is_last = round + 1 == plan.rounds.len();
    match plan.refusals.get(before).filter(|_| is_last) {
        Some(status) => Reply::error(*status, "as planned"),
        None => reply(&plan, round),
    }
}

/// What stands between the question and a round.
fn said_before(plan: &Plan, round: usize) -> Vec<String> {
    let mut said = Vec::new();
    for before in 0..round {
        let mut assistant = text_of_round(plan, before);
        assistant.extend(plan.calls(before).map(|(call, _)| call.id()));
        said.push(assistant);
        let results = plan.calls(before);
        said.extend(results.map(|(call, _)| call.id() + &call.result()));
    }
    said
}

/// A message's text, with the ids of what it calls or answers.
fn flat(message: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut flat = text(&message["tool_call_id"]) + &text(&message["content"]);
    let calls = message["tool_calls"].as_array();
    flat.extend(calls.into_iter().flatten().map(|call| text(&call["id"])));
    flat
}

fn reply(plan: &Plan, round: usize) -> Reply {
    let is_last = round + 1 == plan.rounds.len();
    let end = if is_last { plan.end } else { End::Complete };
    match end {
        End::CompleteInOnePiece => return in_one_piece(plan, round),
        End::Complete | End::Cut | End::Unfinished | End::Silent => {}
    }
    let pause = plan.rounds[round].pause;
    let mut steps = vec![script::role()];
    for token in tokens_of_round(plan, round) {
        steps.push(script::text(&token));
        if !pause.is_zero() {
            steps.push(Step::Pause(pause));
        }
    }
    for (index, (call, _)) in plan.calls(round).enumerate() {
        let (id, input) = (call.id(), call.input().to_string());
        let (one, other) = input.split_at(input.len() / 2);
        let call = Call {
            id: &id,
            name: TOOL,
            arguments: &[one, other],
        };
        steps.extend(call.steps(index));
    }
    let tokens = plan.rounds[round].tokens;
    match end {
        End::Cut => steps.push(Step::Cut),
        End::Unfinished => steps.push(Step::End),
        End::Silent => steps.push(Step::Silence),
        _ if is_last => steps.extend(script::finish("stop", 1, tokens)),
        _ => steps.extend(script::finish("tool_calls", 1, tokens)),
    }
    Reply::Stream(steps)
}

fn in_one_piece(plan: &Plan, round: usize) -> Reply {
    let message = json!({"role": "assistant", "content": text_of_round(plan, round)});
    Reply::json(
        200,
        &json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "smol",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }),
    )
}

/// Runs a tool.
pub(super) fn run_tool(ledger: &Ledger, question: &Question) -> Answer {
    let call = question.tool().filter(|tool| *tool == TOOL);
    let call = call.and_then(|_| CallName::of_input(&question.params["input"]));
    let time = call.and_then(|call| Some((call, ledger.runs(call)?)));
    match time {
        Some((call, time)) if time.is_zero() => Answer::text(&call.result()),
        Some((call, time)) => Answer::After(time, Box::new(Answer::text(&call.result()))),
        None => Answer::error(3001, "TOOL_NOT_FOUND", "no such tool"),
    }
}
