//! The calls of one answer: each answered exactly once, whatever happens.
//!
//! First each call is [judged](super::judge), in order. Then those that may run do: one after the
//! other, except that neighbours whose tools only read run beside each other. A call of a tool that
//! changes something waits for all before it, and all after it wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio::{join, select};

use crate::conversation::call::Call;
use crate::conversation::clock::{Spent, ToolClock};
use crate::conversation::event::Event;
use crate::conversation::guard::Ended;
use crate::conversation::limits::Limits;
use crate::conversation::model::Model;
use crate::conversation::outcome::StopReason;
use crate::conversation::output::{cap, preview, share};
use crate::conversation::text::note;
use crate::conversation::tool::{CallFailure, ToolCall, ToolFailure};
use crate::llm::{Block, Role};

use super::Turn;
use super::halt::Halt;

/// How long a tool that was told to stop is waited for.
const GRACE: Duration = Duration::from_secs(2);

/// What is to become of a call.
pub(super) enum Fate {
    /// It may run.
    Run { call: ToolCall, read_only: bool },
    /// It is answered without.
    Answered(Reply),
}

/// What one call is answered with.
pub(super) struct Reply {
    content: Vec<Block>,
    is_error: bool,
    /// Why it was answered for the tool.
    failure: Option<CallFailure>,
    /// How long a person was asked to allow it.
    asked: Duration,
    pub(super) halt: Option<Halt>,
}

impl<M: Model> Turn<'_, M> {
    /// Answers all calls and adds the one message that holds their results.
    pub(super) async fn answer(
        &mut self,
        calls: Vec<Call>,
        stop_reason: StopReason,
    ) -> Option<Halt> {
        let ids: Vec<String> = calls.iter().map(|call| call.id.clone()).collect();
        let (fates, mut halt) = self.judge(calls, stop_reason).await;
        let mut replies = Vec::with_capacity(fates.len());
        let host_gone = AtomicBool::new(false);
        let mut fates = fates.into_iter().zip(ids.clone()).peekable();
        while let Some(first) = fates.next() {
            let mut batch = vec![first];
            if batch.iter().all(|(fate, _)| fate.is_harmless()) {
                while let Some(next) = fates.next_if(|(fate, _)| fate.is_harmless()) {
                    batch.push(next);
                }
            }
            let answered = self.run(batch, &host_gone).await;
            // What was judged to be the end comes after all that run.
            let ends = |reply: &Reply| match &reply.halt {
                Some(end @ (Halt::Cancelled | Halt::HostGone)) => Some(end.clone()),
                _ => None,
            };
            halt = answered.iter().find_map(ends).or(halt);
            // Of those that ran beside each other, people are asked beside each other.
            self.asked += answered
                .iter()
                .map(|reply| reply.asked)
                .max()
                .unwrap_or_default();
            replies.extend(answered);
        }

        let outputs = replies.iter_mut().map(|reply| &mut reply.content).collect();
        share(outputs, Limits::ROUND_OUTPUT_BYTES);
        let all = |so: fn(&Reply) -> bool| replies.iter().all(so);
        let own: Vec<_> = replies.iter().filter_map(Reply::own_error).collect();
        let ended = match all(|reply| reply.is_error) {
            true => Ended::Badly { own: &own },
            false => Ended::Well,
        };
        let all_unfit = all(|reply| reply.failure == Some(CallFailure::InvalidInput));
        let setback = self.setbacks.note(all_unfit, ended);
        let results = ids
            .into_iter()
            .zip(replies)
            .map(|(id, reply)| Block::ToolResult {
                tool_use_id: id,
                content: reply.content,
                is_error: reply.is_error,
            });
        let results = results.collect();
        self.add(Role::User, results);
        if let Some(limit @ (Halt::Rounds(_) | Halt::Calls(_) | Halt::Time(_))) = &halt {
            self.warn(limit.to_string()).await;
        }
        halt.or(setback.map(Halt::Setback))
    }

    /// Answers calls that may be answered beside each other, and tells each result as it comes.
    async fn run(&self, batch: Vec<(Fate, String)>, host_gone: &AtomicBool) -> Vec<Reply> {
        let mut replies: Vec<Option<Reply>> = batch.iter().map(|_| None).collect();
        // Telling is apart, so that a host that reads slowly does not keep a cancel from the tools
        // that run. There is room for one message a call.
        let (told, mut to_tell) = mpsc::channel(batch.len().max(1));
        // Not mapped: a closure that makes them would not be general enough to be sent.
        let mut waiting = Vec::with_capacity(batch.len());
        for (place, (fate, id)) in batch.into_iter().enumerate() {
            waiting.push(self.settle(place, fate, id, host_gone));
        }
        let mut running = stream::iter(waiting).buffer_unordered(self.plan.limits.parallel_tools);
        let run = async {
            while let Some((place, id, reply)) = running.next().await {
                // A host that cancelled, or is gone, waits for the end only.
                if !matches!(reply.halt, Some(Halt::Cancelled | Halt::HostGone)) {
                    // Its receiver lives as long as this.
                    let _ = told.try_send(reply.told(&id));
                }
                if let Some(slot) = replies.get_mut(place) {
                    *slot = Some(reply);
                }
            }
            drop(told);
        };
        let tell = async {
            while let Some(event) = to_tell.recv().await {
                self.emit(event).await;
            }
        };
        join!(run, tell);
        drop(running);
        let lost = || Reply::halt(Halt::Cancelled);
        replies
            .into_iter()
            .map(|reply| reply.unwrap_or_else(lost))
            .collect()
    }

    async fn settle(
        &self,
        place: usize,
        fate: Fate,
        id: String,
        host_gone: &AtomicBool,
    ) -> (usize, String, Reply) {
        let reply = match fate {
            Fate::Answered(reply) => reply,
            Fate::Run { .. } if host_gone.load(Ordering::Relaxed) => Reply::halt(Halt::HostGone),
            Fate::Run { call, .. } => self.execute(call).await,
        };
        if reply.halt == Some(Halt::HostGone) {
            host_gone.store(true, Ordering::Relaxed);
        }
        (place, id, reply)
    }

    async fn execute(&self, call: ToolCall) -> Reply {
        if self.cancel.is_cancelled() {
            return Reply::halt(Halt::Cancelled);
        }
        let limits = &self.plan.limits;
        let name = call.name.clone();
        let own = self.plan.toolbox.timeout(&name);
        let time = own.unwrap_or(limits.tool_timeout);
        let clock = Arc::new(ToolClock::new(time.min(Limits::HIGHEST.tool_timeout)));
        let mut running = self.tools.execute(call, Arc::clone(&clock));
        // Losing the race drops the tool's future, which cancels it at the host.
        let ran = select! {
            biased;
            () = self.cancel.cancelled() => return cancelled(),
            ran = &mut running => ran,
            spent = clock.spent() => {
                clock.stop();
                // What it still says comes too late. The next call should not meet it, though.
                select! {
                    () = self.cancel.cancelled() => return cancelled(),
                    _ = timeout(GRACE, &mut running) => {}
                }
                match spent {
                    Spent::Tool => Err(ToolFailure::TimedOut),
                    Spent::Approval => return Reply {
                        asked: clock.asked(),
                        ..Reply::error(
                            CallFailure::TimedOut,
                            "This call was not run: nobody allowed it in time.",
                        )
                    },
                }
            }
        };
        let reply = match ran {
            Ok(output) => Reply {
                content: cap(output.content, limits.tool_output_bytes),
                is_error: output.is_error,
                failure: None,
                asked: Duration::ZERO,
                halt: None,
            },
            Err(failure) => self.failed(&name, &clock, failure),
        };
        Reply {
            asked: clock.asked(),
            ..reply
        }
    }

    fn failed(&self, name: &str, clock: &ToolClock, failure: ToolFailure) -> Reply {
        match failure {
            ToolFailure::NotFound => self.unknown(name),
            ToolFailure::InvalidInput(problem) => Reply::error(
                CallFailure::InvalidInput,
                format!("This call was not run: its arguments were refused: {problem}"),
            ),
            ToolFailure::Failed(problem) if problem.is_empty() => {
                Reply::error(CallFailure::Failed, "The tool failed.")
            }
            ToolFailure::Failed(problem) => Reply::error(CallFailure::Failed, problem),
            ToolFailure::TimedOut => Reply::error(
                CallFailure::TimedOut,
                format!(
                    "The tool did not answer within {} s and was stopped. It may have taken effect.",
                    clock.tool_time().as_secs_f64()
                ),
            ),
            ToolFailure::Denied => Reply::error(
                CallFailure::Denied,
                "The user did not allow this call. Do not make it again; go on without it, or ask.",
            ),
            ToolFailure::Cancelled => Reply::error(
                CallFailure::Cancelled,
                "The user stopped this call. It may have taken effect.",
            ),
            ToolFailure::Aborted => {
                // As if the host had cancelled the prompt: whatever else runs is stopped.
                self.cancel.cancel();
                Reply {
                    halt: Some(Halt::Cancelled),
                    ..Reply::error(
                        CallFailure::Cancelled,
                        "This call was not run: the user ended the prompt.",
                    )
                }
            }
            ToolFailure::HostGone => Reply {
                halt: Some(Halt::HostGone),
                ..Reply::error(
                    CallFailure::Cancelled,
                    "The connection was lost while this call ran. It may have taken effect.",
                )
            },
        }
    }

    pub(super) fn unknown(&self, name: &str) -> Reply {
        let tools = self.plan.tools.iter();
        let names: Vec<&str> = tools.map(|tool| tool.name.as_str()).collect();
        let text = match names.is_empty() {
            true => format!("There is no tool named `{name}`, and no other."),
            false => format!(
                "There is no tool named `{name}`. The tools are: {}.",
                names.join(", ")
            ),
        };
        Reply::error(CallFailure::NotFound, text)
    }
}

fn cancelled() -> Reply {
    Reply {
        halt: Some(Halt::Cancelled),
        ..Reply::error(
            CallFailure::Cancelled,
            "The prompt was cancelled while this call ran. It may have taken effect.",
        )
    }
}

impl Fate {
    /// Nothing is changed by it.
    fn is_harmless(&self) -> bool {
        match self {
            Self::Run { read_only, .. } => *read_only,
            Self::Answered(_) => true,
        }
    }
}

impl Reply {
    pub(super) fn error(failure: CallFailure, text: impl Into<String>) -> Self {
        Self {
            content: vec![Block::Text {
                text: note(text.into()),
            }],
            is_error: true,
            failure: Some(failure),
            asked: Duration::ZERO,
            halt: None,
        }
    }

    pub(super) fn halt(halt: Halt) -> Self {
        Self {
            halt: Some(halt.clone()),
            ..Self::error(halt.failure(), halt.to_string())
        }
    }

    /// What the tool itself says of its failure.
    fn own_error(&self) -> Option<String> {
        (self.is_error && self.failure.is_none()).then(|| format!("{:?}", self.content))
    }

    fn told(&self, id: &str) -> Event {
        Event::ToolResult {
            id: id.to_owned(),
            is_error: self.is_error,
            failure: self.failure,
            preview: preview(&self.content),
        }
    }
}
