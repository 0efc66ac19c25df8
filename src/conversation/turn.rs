//! A prompt's rounds: ask the model, run the tools it calls, tell it the results, ask again.

mod begun;
mod execute;
mod halt;
mod judge;
mod listen;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::llm::{Block, Message, Role, Usage};

use self::begun::Begun;
use self::listen::Partial;
use super::call::{Call, Ids, Input, take_calls};
use super::error::Error;
use super::event::{Event, Sink};
use super::guard::{LoopGuard, Setbacks};
use super::message::{append, is_blank};
use super::model::Model;
use super::outcome::{End, Outcome, StopReason, Timing, UsageReport};
use super::prompt::{Plan, Prompt};
use super::tool::Tools;

/// The most warnings kept for the outcome. A server that warns on every chunk is not listened to.
const MAX_WARNINGS: usize = 100;

/// Runs a prompt to its end. See [`run`](super::run).
pub(super) async fn drive<M: Model>(
    model: &M,
    prompt: Box<Prompt>,
    tools: &dyn Tools,
    sink: &dyn Sink,
    cancel: &CancellationToken,
) -> Outcome<M::Carrier> {
    let started = Instant::now();
    let (end, record) = match Turn::try_new(model, prompt, tools, sink, cancel, started) {
        Err(error) => (End::Failed(error), Record::default()),
        Ok(mut turn) => {
            let end = match turn.rounds().await {
                Ok((stop_reason, raw_finish_reason)) => End::Finished {
                    stop_reason,
                    raw_finish_reason,
                },
                Err(Stop::Cancelled) => End::Cancelled,
                Err(Stop::Failed(error)) => End::Failed(error),
            };
            (end, turn.record)
        }
    };
    record.into_outcome(end, started.elapsed())
}

/// A prompt on its way.
struct Turn<'a, M> {
    model: &'a M,
    tools: &'a dyn Tools,
    sink: &'a dyn Sink,
    cancel: &'a CancellationToken,
    started: Instant,
    /// How long a person was asked to allow calls.
    asked: Duration,
    plan: Plan,
    ids: Ids,
    guard: LoopGuard,
    setbacks: Setbacks,
    /// The whole conversation. Only ever appended to, so that a server
    /// finds its prefix again.
    sent: Vec<Message>,
    /// The answer to go on with, until that is done.
    begun: Option<Begun>,
    /// The round that runs, from 1.
    round: u32,
    /// What arrived of the answer that runs.
    partial: Partial,
    record: Record,
}

/// What is known of a prompt at any time, for its outcome.
#[derive(Default)]
struct Record {
    messages: Vec<Message>,
    partial: String,
    model: Option<String>,
    usage: UsageReport,
    connect: Option<Duration>,
    first_token: Option<Duration>,
    generation: Generation,
    rounds: u32,
    tool_calls: u32,
    warnings: Vec<String>,
}

/// Tokens and the time they took, of the rounds that know both.
#[derive(Default)]
struct Generation {
    tokens: u64,
    time: Duration,
}

/// Why the rounds stop before the model is done.
#[derive(Debug)]
enum Stop<E: crate::llm::Carrier> {
    Cancelled,
    Failed(Error<E>),
}

type Finish = (StopReason, Option<String>);

impl<'a, M: Model> Turn<'a, M> {
    /// Boxed: a thousand may wait for their answers at the same time.
    fn try_new(
        model: &'a M,
        prompt: Box<Prompt>,
        tools: &'a dyn Tools,
        sink: &'a dyn Sink,
        cancel: &'a CancellationToken,
        started: Instant,
    ) -> Result<Box<Self>, Error<M::Carrier>> {
        let (plan, messages) = Plan::try_new(*prompt)?;
        Ok(Box::new(Self {
            model,
            tools,
            sink,
            cancel,
            started,
            asked: Duration::ZERO,
            ids: Ids::new(&messages),
            begun: plan.continues.then(|| Begun::of(&messages)).flatten(),
            sent: messages,
            plan,
            guard: LoopGuard::default(),
            setbacks: Setbacks::default(),
            round: 0,
            partial: Partial::default(),
            record: Record::default(),
        }))
    }
}

impl<M: Model> Turn<'_, M> {
    async fn rounds(&mut self) -> Result<Finish, Stop<M::Carrier>> {
        self.round = 1;
        self.emit(Event::Started).await;
        loop {
            self.record.rounds = self.round;
            self.record.usage.per_round.push(None);
            self.ids.begin_round();

            let mut completion = match self.listen().await {
                Ok(completion) => completion,
                Err(stop) => {
                    self.keep_partial();
                    return Err(stop);
                }
            };
            let (content, calls) = take_calls(&mut completion, &self.plan.tools, &mut self.ids);
            let finish = (completion.stop_reason.into(), completion.raw_finish_reason);
            if calls.is_empty() {
                if self.plan.demands_call(self.round) {
                    self.warn("the server did not heed toolChoice: the model called no tool")
                        .await;
                } else if content.iter().all(is_blank) {
                    self.warn("the model answered with nothing").await;
                }
            }
            for call in &calls {
                if let Some(how) = call.repaired {
                    self.warn(format!(
                        "the arguments of a call of `{}` were mended: {how}",
                        call.name
                    ))
                    .await;
                }
            }
            let (content, calls) = match self.plan.run_tools {
                true => (content, calls),
                false => self.without_invalid(content, calls).await,
            };
            let content = self.whole(content);
            self.add(Role::Assistant, content);
            self.emit_usage().await;
            if calls.is_empty() {
                return Ok(finish);
            }

            // The answer was filtered, or calls were not asked for: they are answered, no more.
            let wanted = finish.0 != StopReason::Refusal && !self.plan.forbids_calls();
            if wanted {
                for call in &calls {
                    self.emit_ready(call).await;
                }
                if !self.plan.run_tools && calls.iter().any(Call::is_valid) {
                    return Ok((StopReason::ToolUse, finish.1));
                }
            }
            if let Some(halt) = self.answer(calls, finish.0).await {
                return halt.finish(finish);
            }
            self.round += 1;
        }
    }

    /// Drops the invalid calls of an answer whose tools the host runs by itself: it would see them
    /// as calls with an empty input. If no other call is left, they stay, and the model is told.
    async fn without_invalid(
        &mut self,
        mut content: Vec<Block>,
        calls: Vec<Call>,
    ) -> (Vec<Block>, Vec<Call>) {
        if !calls.iter().any(Call::is_valid) {
            return (content, calls);
        }
        let (kept, dropped): (Vec<Call>, Vec<Call>) = calls.into_iter().partition(Call::is_valid);
        for call in dropped {
            content.retain(|block| !matches!(block, Block::ToolUse { id, .. } if *id == call.id));
            self.warn(format!(
                "a call of `{}` with invalid arguments was dropped",
                call.name
            ))
            .await;
        }
        (content, kept)
    }

    /// The whole of an answer, of which this is what came in this prompt. What had been sent of it
    /// makes room.
    fn whole(&mut self, content: Vec<Block>) -> Vec<Block> {
        let Some(begun) = self.begun.take() else {
            return content;
        };
        self.sent.pop();
        begun.join(content)
    }

    /// Appends a message to what was said, if there is anything in it.
    fn add(&mut self, role: Role, mut content: Vec<Block>) {
        content.retain(|block| !is_blank(block));
        if content.is_empty() {
            return;
        }
        let message = Message { role, content };
        append(&mut self.sent, message.clone());
        append(&mut self.record.messages, message);
    }

    /// Keeps what arrived of an answer that was cut short. Calls in it never came to an end, so
    /// they are not part of it.
    fn keep_partial(&mut self) {
        let partial = std::mem::take(&mut self.partial);
        let content = partial.into_content();
        if content.is_empty() {
            return;
        }
        let content = self.whole(content);
        self.record.partial = text_of(&content);
        self.add(Role::Assistant, content);
    }

    /// Tells an event while nothing is held that a cancel would have to drop.
    async fn emit(&self, event: Event) {
        self.sink.emit(self.round, event).await;
    }

    async fn emit_ready(&self, call: &Call) {
        if let Input::Object(input) = &call.input {
            let (id, name, input) = (call.id.clone(), call.name.clone(), input.clone());
            self.emit(Event::ToolCallReady { id, name, input }).await;
        }
    }

    async fn emit_usage(&self) {
        if let Some(Some(usage)) = self.record.usage.per_round.last() {
            self.emit(Event::Usage(*usage)).await;
        }
    }

    async fn warn(&mut self, message: impl Into<String>) {
        let message = message.into();
        self.record.keep_warning(&message);
        self.emit(Event::Warning { message }).await;
    }
}

fn text_of(content: &[Block]) -> String {
    let text = |block: &Block| match block {
        Block::Text { text } => Some(text.clone()),
        _ => None,
    };
    content.iter().filter_map(text).collect()
}

impl Record {
    fn keep_warning(&mut self, message: &str) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(message.to_owned());
        }
    }

    /// Also when nothing is counted any more: then the answer was begun anew.
    fn keep_usage(&mut self, usage: Option<Usage>) {
        if let Some(last) = self.usage.per_round.last_mut() {
            *last = usage;
        }
    }

    fn into_outcome<E: crate::llm::Carrier>(self, end: End<E>, total: Duration) -> Outcome<E> {
        Outcome {
            end,
            messages: self.messages,
            partial: self.partial,
            model: self.model,
            usage: self.usage,
            timing: Timing {
                connect: self.connect,
                first_token: self.first_token,
                total,
                tokens_per_second: self.generation.rate(),
            },
            rounds: self.rounds,
            tool_calls: self.tool_calls,
            warnings: self.warnings,
        }
    }
}

impl Generation {
    /// Tokens per second; `None` if an answer came in one piece, since there is no rate to it.
    fn rate(&self) -> Option<f64> {
        (self.time >= Duration::from_millis(1))
            .then(|| self.tokens as f64 / self.time.as_secs_f64())
    }
}
