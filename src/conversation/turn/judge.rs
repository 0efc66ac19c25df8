//! Which calls may run: those of declared tools, with an input that fits, within the limits.

use std::time::Duration;

use tokio::select;
use tokio::task::spawn_blocking;

use crate::conversation::call::{Call, Input};
use crate::conversation::guard::{Arguments, Circle, Verdict};
use crate::conversation::model::Model;
use crate::conversation::outcome::StopReason;
use crate::conversation::text::one_line;
use crate::conversation::tool::{CallFailure, ToolCall};
use crate::llm::Block;

use super::Turn;
use super::execute::{Fate, Reply};
use super::halt::Halt;

/// The most that a correction says of what is wrong with arguments, in characters.
const PROBLEM_CHARS: usize = 500;

impl<M: Model> Turn<'_, M> {
    /// What is to become of each call, and why the prompt ends after them, if it does.
    pub(super) async fn judge(
        &mut self,
        calls: Vec<Call>,
        stop_reason: StopReason,
    ) -> (Vec<Fate>, Option<Halt>) {
        let max_rounds = self.plan.limits.max_rounds;
        let mut halt = match stop_reason {
            StopReason::Refusal => Some(Halt::Refused),
            // Nobody would learn what the tools found.
            _ if self.round >= max_rounds => Some(Halt::Rounds(max_rounds)),
            _ if self.worked() >= self.plan.limits.prompt_time => {
                Some(Halt::Time(self.plan.limits.prompt_time))
            }
            _ => None,
        };
        let problems = match halt {
            None => self.problems(&calls).await,
            Some(_) => Vec::new(),
        };
        let mut problems = problems.into_iter();
        let mut fates = Vec::with_capacity(calls.len());
        for call in calls {
            let problem = problems.next().flatten();
            let fate = match &halt {
                Some(halt) => Fate::Answered(Reply::error(halt.failure(), halt.to_string())),
                None => self.judge_one(call, problem),
            };
            if let Fate::Answered(reply) = &fate {
                halt = halt.or_else(|| reply.halt.clone());
            }
            fates.push(fate);
        }
        (fates, halt)
    }

    fn judge_one(&mut self, call: Call, problem: Option<String>) -> Fate {
        if self.record.tool_calls >= self.plan.limits.max_tool_calls {
            return Fate::Answered(Reply::halt(Halt::Calls(self.plan.limits.max_tool_calls)));
        }
        self.record.tool_calls += 1;
        let arguments = match &call.input {
            Input::Object(input) => Arguments::Object(input),
            Input::Invalid { raw, .. } => Arguments::Invalid(raw),
        };
        match self.guard.judge(&call.name, arguments) {
            Verdict::Go => {}
            Verdict::Correct(circle) => {
                return Fate::Answered(Reply::error(
                    CallFailure::Loop,
                    correction(&call.name, circle),
                ));
            }
            Verdict::Stop(circle) => {
                let name = call.name;
                return Fate::Answered(Reply::halt(Halt::Loop { name, circle }));
            }
        }
        if self.plan.forbids_calls() {
            return Fate::Answered(Reply::error(
                CallFailure::Denied,
                "This call was not run: no tools are to be used here. Answer without.",
            ));
        }
        if !call.declared {
            return Fate::Answered(self.unknown(&call.name));
        }
        let unfit = |problem: &str| {
            Fate::Answered(Reply::error(
                CallFailure::InvalidInput,
                format!(
                    "This call was not run: {}. Make it again with one JSON object that fits the \
                     tool's input schema.",
                    one_line(problem, PROBLEM_CHARS)
                ),
            ))
        };
        match (call.input, problem) {
            (Input::Invalid { problem, .. }, _) => unfit(&problem),
            (Input::Object(_), Some(problem)) => {
                unfit(&format!("its arguments are wrong: {problem}"))
            }
            (Input::Object(input), None) => Fate::Run {
                read_only: self.plan.toolbox.is_read_only(&call.name),
                call: ToolCall {
                    id: call.id,
                    name: call.name,
                    input,
                    after_untrusted_read: self.has_read(),
                },
            },
        }
    }

    /// How long the prompt has worked, without the time in which a person was asked.
    fn worked(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.asked)
    }

    /// Whether any tool's result is in what the model was sent.
    fn has_read(&self) -> bool {
        let is_result = |block: &Block| matches!(block, Block::ToolResult { .. });
        let mut blocks = self.sent.iter().flat_map(|message| &message.content);
        blocks.any(is_result)
    }

    /// For each call what is wrong with its input by its tool's schema. On a thread that may take
    /// its time, since inputs and schemas may be large.
    async fn problems(&self, calls: &[Call]) -> Vec<Option<String>> {
        let checks: Vec<_> = calls
            .iter()
            .map(|call| match &call.input {
                Input::Object(input) => Some((self.plan.toolbox.check(&call.name)?, input.clone())),
                Input::Invalid { .. } => None,
            })
            .collect();
        if checks.iter().all(Option::is_none) {
            return Vec::new();
        }
        let checking = spawn_blocking(move || {
            let checks = checks.into_iter();
            checks
                .map(|check| check.and_then(|(check, input)| check(&input).err()))
                .collect()
        });
        select! {
            biased;
            // Then nothing runs anyway.
            () = self.cancel.cancelled() => Vec::new(),
            checked = checking => checked.unwrap_or_else(|_panicked| {
                let unchecked = || Some("they could not be checked".to_owned());
                calls.iter().map(|_| unchecked()).collect()
            }),
        }
    }
}

fn correction(name: &str, circle: Circle) -> String {
    let Circle { period } = circle;
    let what = match period {
        1 => format!(
            "it is the third equal call of `{name}` in a row, and the result would be the same"
        ),
        _ => format!("it ends the third round through the same {period} calls"),
    };
    format!(
        "This call was not run: {what}. Use the results you have, change the arguments, or answer \
         without the tool."
    )
}
