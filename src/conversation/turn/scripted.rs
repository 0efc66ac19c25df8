//! A model, tools and a sink that do as a test says, and remember what was done to them.

mod content;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use crate::conversation::clock::ToolClock;
use crate::conversation::event::{Event, Sink};
use crate::conversation::limits::Limits;
use crate::conversation::model::{Answer, Model};
use crate::conversation::outcome::Outcome;
use crate::conversation::prompt::Prompt;
use crate::conversation::tool::{DeclaredTool, ToolCall, ToolFailure, ToolOutput, Tools};
use crate::llm::{self, BoxFuture, ChatEvent, ChatRequest, Message, Tool, Usage};

use self::content::output;
pub(super) use self::content::*;

#[derive(Debug, thiserror::Error)]
#[error("the line is dead")]
pub(super) struct Lost;

impl llm::Carrier for Lost {
    fn is_transient(&self) -> bool {
        true
    }
}

/// What the model does next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Tell(ChatEvent),
    /// Counts without telling.
    Count(Usage),
    /// Asks again, with this warning; what was counted is forgotten.
    AskAgain(&'static str),
    Wait(Duration),
    /// Cancels the prompt, then says nothing more.
    CancelPrompt,
    Fail,
}

/// What a tool does when called.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Return(ToolOutput),
    Fail(ToolFailure),
    Hang,
    /// Cancels the prompt, then hangs.
    CancelPrompt,
    /// Returns this after a while.
    After(Duration, &'static str),
    /// Asks a person, who takes a while to allow it, and returns this then.
    AskFor(Duration, &'static str),
}

/// One test's world.
pub(super) struct Stage {
    pub(super) prompt: Prompt,
    pub(super) cancel: CancellationToken,
    answers: Mutex<VecDeque<Option<Vec<Step>>>>,
    requests: Mutex<Vec<ChatRequest>>,
    open_answers: Arc<AtomicUsize>,
    acts: HashMap<String, Act>,
    /// With the round they were made in.
    calls: Mutex<Vec<(usize, ToolCall)>>,
    running: Arc<AtomicUsize>,
    most_running: AtomicUsize,
    events: Mutex<Vec<(u32, Event)>>,
    /// Cancels the prompt in the middle of taking an event like this.
    pub(super) cancel_at_event: Option<Event>,
    /// Answers that were open when that event had been taken.
    open_after_cancel: Mutex<Option<usize>>,
}

impl Stage {
    /// The user says "hi"; `answers` is what the model says, round by round.
    pub(super) fn new(answers: impl IntoIterator<Item = Vec<Step>>) -> Self {
        Self {
            prompt: Prompt {
                conversation_id: "c1".to_owned(),
                model: "m".to_owned(),
                system: None,
                messages: vec![user("hi")],
                new_from: 0,
                continues: false,
                tools: Vec::new(),
                tool_choice: None,
                sampling: llm::Sampling::default(),
                extra: Map::new(),
                limits: Limits::default(),
                run_tools: true,
            },
            cancel: CancellationToken::new(),
            answers: Mutex::new(answers.into_iter().map(Some).collect()),
            requests: Mutex::default(),
            open_answers: Arc::default(),
            acts: HashMap::new(),
            calls: Mutex::default(),
            running: Arc::default(),
            most_running: AtomicUsize::default(),
            events: Mutex::default(),
            cancel_at_event: None,
            open_after_cancel: Mutex::default(),
        }
    }

    /// Declares a tool.
    pub(super) fn tool(mut self, name: &str, act: Act) -> Self {
        self.prompt.tools.push(DeclaredTool {
            tool: Tool {
                name: name.to_owned(),
                description: None,
                input_schema: json!({"type": "object", "properties": {}}),
            },
            read_only: false,
            timeout: None,
        });
        self.acts.insert(name.to_owned(), act);
        self
    }

    /// Declares a tool that changes nothing.
    pub(super) fn read_only_tool(mut self, name: &str, act: Act) -> Self {
        self = self.tool(name, act);
        if let Some(tool) = self.prompt.tools.last_mut() {
            tool.read_only = true;
        }
        self
    }

    /// The connection is refused after the scripted answers.
    pub(super) fn then_refuses(self) -> Self {
        self.answers.lock().unwrap().push_back(None);
        self
    }

    pub(super) async fn run(&self) -> Outcome<Lost> {
        super::drive(
            self,
            Box::new(self.prompt.clone()),
            self,
            self,
            &self.cancel,
        )
        .await
    }

    pub(super) fn requests(&self) -> Vec<ChatRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// The messages of a round's request.
    pub(super) fn asked(&self, round: usize) -> Vec<Message> {
        self.requests()[round - 1].messages.clone()
    }

    pub(super) fn calls(&self) -> Vec<ToolCall> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(_, call)| call.clone()).collect()
    }

    /// The rounds that the calls were made in, from 1.
    pub(super) fn rounds_of_calls(&self) -> Vec<usize> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(round, _)| *round).collect()
    }

    /// Tools that were started and neither returned nor dropped.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// The most tools that ran at once.
    pub(super) fn most_running(&self) -> usize {
        self.most_running.load(Ordering::SeqCst)
    }

    pub(super) fn open_answers(&self) -> usize {
        self.open_answers.load(Ordering::SeqCst)
    }

    pub(super) fn open_after_cancel(&self) -> Option<usize> {
        *self.open_after_cancel.lock().unwrap()
    }

    pub(super) fn events(&self) -> Vec<(u32, Event)> {
        self.events.lock().unwrap().clone()
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        self.events()
            .into_iter()
            .filter_map(|(_, event)| match event {
                Event::Warning { message } => Some(message),
                _ => None,
            })
            .collect()
    }
}

/// Counts while it lives.
struct Live(Arc<AtomicUsize>);

impl Live {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) struct ScriptedAnswer {
    steps: VecDeque<Step>,
    cancel: CancellationToken,
    counted: Option<Usage>,
    _live: Live,
}

impl Model for Stage {
    type Carrier = Lost;
    type Answer = ScriptedAnswer;

    async fn chat(&self, request: ChatRequest) -> Result<ScriptedAnswer, llm::Error<Lost>> {
        self.requests.lock().unwrap().push(request);
        let steps = self
            .answers
            .lock()
            .unwrap()
            .pop_front()
            .expect("no more rounds were expected");
        Ok(ScriptedAnswer {
            steps: steps.ok_or(llm::Error::Open(Lost))?.into(),
            cancel: self.cancel.clone(),
            counted: None,
            _live: Live::new(&self.open_answers),
        })
    }
}

impl Answer for ScriptedAnswer {
    type Carrier = Lost;

    async fn next(&mut self) -> Option<Result<ChatEvent, llm::Error<Lost>>> {
        loop {
            match self.steps.pop_front()? {
                Step::Tell(event) => {
                    if let ChatEvent::Usage(usage) = &event {
                        self.counted = Some(*usage);
                    }
                    return Some(Ok(event));
                }
                Step::Count(usage) => self.counted = Some(usage),
                Step::AskAgain(warning) => {
                    self.counted = None;
                    return Some(Ok(ChatEvent::Warning(warning.to_owned())));
                }
                Step::Wait(time) => tokio::time::sleep(time).await,
                Step::CancelPrompt => {
                    self.cancel.cancel();
                    return std::future::pending().await;
                }
                Step::Fail => return Some(Err(llm::Error::Open(Lost))),
            }
        }
    }

    fn connect_time(&self) -> Option<Duration> {
        Some(Duration::from_millis(7))
    }

    fn usage(&self) -> Option<Usage> {
        self.counted
    }
}

impl Tools for Stage {
    fn execute(
        &self,
        call: ToolCall,
        clock: Arc<ToolClock>,
    ) -> BoxFuture<'_, Result<ToolOutput, ToolFailure>> {
        Box::pin(async move {
            let _live = Live::new(&self.running);
            self.most_running
                .fetch_max(self.running(), Ordering::SeqCst);
            assert_eq!(
                self.open_answers(),
                0,
                "the answer is over before tools run"
            );
            let act = self.acts[&call.name].clone();
            let round = self.requests.lock().unwrap().len();
            self.calls.lock().unwrap().push((round, call));
            match act {
                Act::Return(output) => Ok(output),
                Act::Fail(failure) => Err(failure),
                Act::Hang => std::future::pending().await,
                Act::CancelPrompt => {
                    self.cancel.cancel();
                    std::future::pending().await
                }
                Act::After(time, said) => {
                    tokio::time::sleep(time).await;
                    Ok(output(said))
                }
                Act::AskFor(time, said) => {
                    clock.wait_for_person(true);
                    tokio::time::sleep(time).await;
                    clock.wait_for_person(false);
                    Ok(output(said))
                }
            }
        })
    }
}

impl Sink for Stage {
    fn emit(&self, round: u32, event: Event) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.cancel_at_event.as_ref() == Some(&event) {
                self.cancel.cancel();
                // A host that reads slowly: by the time it is done, the turn has seen the cancel.
                tokio::time::sleep(Duration::from_secs(60)).await;
                *self.open_after_cancel.lock().unwrap() = Some(self.open_answers());
            }
            self.events.lock().unwrap().push((round, event));
        })
    }
}
