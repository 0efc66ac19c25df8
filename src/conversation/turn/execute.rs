//! The calls of one answer: run in order, and each answered exactly once, whatever happens.

use tokio::select;
use tokio::time::timeout;

use crate::conversation::call::{Call, Input};
use crate::conversation::error::Error;
use crate::conversation::event::Event;
use crate::conversation::guard::{Arguments, Verdict};
use crate::conversation::model::Model;
use crate::conversation::outcome::StopReason;
use crate::conversation::output::{cap, preview};
use crate::conversation::text::{note, one_line};
use crate::conversation::tool::{ToolCall, ToolFailure};
use crate::llm::{Block, Carrier, Role};

use super::{Finish, Stop, Turn};

/// The most that a correction says of what is wrong with arguments, in characters.
const PROBLEM_CHARS: usize = 500;

/// Why no further call is run and the model is not asked again.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Halt {
    Cancelled,
    HostGone,
    /// The answer was cut by the server's content filter: what it calls is not to be trusted.
    Refused,
    Rounds(u32),
    Calls(u32),
    Loop {
        name: String,
        times: u32,
    },
}

/// What one call is answered with.
struct Reply {
    content: Vec<Block>,
    is_error: bool,
    halt: Option<Halt>,
}

impl<M: Model> Turn<'_, M> {
    /// Answers all calls and adds the one message that holds their results.
    pub(super) async fn answer(
        &mut self,
        calls: Vec<Call>,
        stop_reason: StopReason,
    ) -> Option<Halt> {
        let max_rounds = self.plan.limits.max_rounds.max(1);
        let mut halt = match stop_reason {
            StopReason::Refusal => Some(Halt::Refused),
            // Nobody would learn what the tools found.
            _ if self.round >= max_rounds => Some(Halt::Rounds(max_rounds)),
            _ => None,
        };
        let mut results = Vec::with_capacity(calls.len());
        for call in calls {
            let id = call.id.clone();
            let reply = match &halt {
                Some(halt) => Reply::error(halt.to_string()),
                None => self.answer_one(call).await,
            };
            halt = halt.or(reply.halt);
            // A host that cancelled, or is gone, waits for the end only.
            if !matches!(halt, Some(Halt::Cancelled | Halt::HostGone)) {
                let preview = preview(&reply.content);
                let (id, is_error) = (id.clone(), reply.is_error);
                self.emit(Event::ToolResult {
                    id,
                    is_error,
                    preview,
                })
                .await;
            }
            results.push(Block::ToolResult {
                tool_use_id: id,
                content: reply.content,
                is_error: reply.is_error,
            });
        }
        self.add(Role::User, results);
        if let Some(limit @ (Halt::Rounds(_) | Halt::Calls(_))) = &halt {
            self.warn(limit.to_string()).await;
        }
        halt
    }

    async fn answer_one(&mut self, call: Call) -> Reply {
        if self.cancel.is_cancelled() {
            return Reply::halt(Halt::Cancelled);
        }
        if self.record.tool_calls >= self.plan.limits.max_tool_calls {
            return Reply::halt(Halt::Calls(self.plan.limits.max_tool_calls));
        }
        self.record.tool_calls += 1;
        let arguments = match &call.input {
            Input::Object(input) => Arguments::Object(input.clone()),
            Input::Invalid { raw, .. } => Arguments::Invalid(raw.clone()),
        };
        match self.guard.judge(&call.name, arguments) {
            Verdict::Go => {}
            Verdict::Correct => {
                return Reply::error(format!(
                    "This call was not run: it is the third equal call of `{}` in a row, and the \
                     result would be the same. Use the results you have, change the arguments, or \
                     answer without the tool.",
                    call.name
                ));
            }
            Verdict::Stop { times } => {
                return Reply::halt(Halt::Loop {
                    name: call.name,
                    times,
                });
            }
        }
        if self.plan.forbids_calls() {
            return Reply::error(
                "This call was not run: no tools are to be used here. Answer without.",
            );
        }
        if !call.declared {
            return Reply::error(self.unknown(&call.name));
        }
        match call.input {
            Input::Object(input) => {
                self.execute(ToolCall {
                    id: call.id,
                    name: call.name,
                    input,
                })
                .await
            }
            Input::Invalid { problem, .. } => Reply::error(format!(
                "This call was not run: {}. Make it again with one JSON object.",
                one_line(&problem, PROBLEM_CHARS)
            )),
        }
    }

    async fn execute(&mut self, call: ToolCall) -> Reply {
        let limits = &self.plan.limits;
        let name = call.name.clone();
        let running = timeout(
            limits.tool_timeout,
            self.tools.execute(call, limits.tool_timeout),
        );
        // Losing the race drops the tool's future, which cancels it at the host.
        let ran = select! {
            biased;
            () = self.cancel.cancelled() => {
                return Reply {
                    halt: Some(Halt::Cancelled),
                    ..Reply::error("The prompt was cancelled while this call ran. It may have taken effect.")
                };
            }
            ran = running => ran.unwrap_or(Err(ToolFailure::TimedOut)),
        };
        let failure = match ran {
            Ok(output) => {
                return Reply {
                    content: cap(output.content, limits.tool_output_bytes),
                    is_error: output.is_error,
                    halt: None,
                };
            }
            Err(failure) => failure,
        };
        match failure {
            ToolFailure::NotFound => Reply::error(self.unknown(&name)),
            ToolFailure::InvalidInput(problem) => Reply::error(format!(
                "This call was not run: its arguments were refused: {problem}"
            )),
            ToolFailure::Failed(problem) if problem.is_empty() => Reply::error("The tool failed."),
            ToolFailure::Failed(problem) => Reply::error(problem),
            ToolFailure::TimedOut => Reply::error(format!(
                "The tool did not answer within {} and was stopped. It may have taken effect.",
                seconds(limits.tool_timeout)
            )),
            ToolFailure::Denied => Reply::error(
                "The user did not allow this call. Do not make it again; go on without it, or ask.",
            ),
            ToolFailure::Cancelled => {
                Reply::error("The user stopped this call. It may have taken effect.")
            }
            ToolFailure::HostGone => Reply {
                halt: Some(Halt::HostGone),
                ..Reply::error(
                    "The connection was lost while this call ran. It may have taken effect.",
                )
            },
        }
    }

    fn unknown(&self, name: &str) -> String {
        let tools = self.plan.tools.iter();
        let names: Vec<&str> = tools.map(|tool| tool.name.as_str()).collect();
        match names.is_empty() {
            true => format!("There is no tool named `{name}`, and no other."),
            false => format!(
                "There is no tool named `{name}`. The tools are: {}.",
                names.join(", ")
            ),
        }
    }
}

impl Reply {
    fn error(text: impl Into<String>) -> Self {
        Self {
            content: vec![Block::Text {
                text: note(text.into()),
            }],
            is_error: true,
            halt: None,
        }
    }

    fn halt(halt: Halt) -> Self {
        Self {
            halt: Some(halt.clone()),
            ..Self::error(halt.to_string())
        }
    }
}

impl Halt {
    /// How the prompt ends for this reason.
    pub(super) fn finish<E: Carrier>(self, (_, raw): Finish) -> Result<Finish, Stop<E>> {
        match self {
            Self::Cancelled => Err(Stop::Cancelled),
            Self::HostGone => Err(Stop::Failed(Error::HostGone)),
            Self::Refused => Ok((StopReason::Refusal, raw)),
            Self::Rounds(_) | Self::Calls(_) => Ok((StopReason::Limit, raw)),
            Self::Loop { name, times } => Err(Stop::Failed(Error::ToolLoop { name, times })),
        }
    }
}

/// What a call that was not run is answered with.
impl std::fmt::Display for Halt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not run: ")?;
        match self {
            Self::Cancelled => f.write_str("the prompt was cancelled"),
            Self::HostGone => f.write_str("the connection to the user was lost"),
            Self::Refused => f.write_str("the answer was cut off by a content filter"),
            Self::Rounds(max) => write!(f, "the prompt reached its limit of {max} rounds"),
            Self::Calls(max) => write!(f, "the prompt reached its limit of {max} tool calls"),
            Self::Loop { name, times } => {
                write!(
                    f,
                    "`{name}` was called {times} times in a row with the same arguments"
                )
            }
        }
    }
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
