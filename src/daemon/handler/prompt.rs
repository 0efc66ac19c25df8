//! Prompts, from the params to the terminal event and the reply.

mod conclude;
mod prepare;

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    conversation::{self, Asked, Event, HistoryError, Origin, Outcome, Sink, Subject},
    llm::{self, BoxFuture},
    protocol::{
        self, ConversationUpdated, ConversationUpdatedParams, ErrorObject, Notification,
        PromptParams, PromptResult, ToolWaitingParams,
    },
    rpc::Call,
    ssh,
};

use super::{
    super::{
        admission::{Admitted, Place},
        audit::Trail,
        failure::{self, Scene},
        link::Server,
        route::Route,
        running::Ticket,
        state::Daemon,
        stream::EventStream,
        tools::HostTools,
        wire::{self, message::text_bytes},
        workspace::Workspace,
    },
    history::news,
};

pub(in crate::daemon) async fn submit(
    daemon: Arc<Daemon>,
    params: PromptParams,
    call: Call,
) -> Result<PromptResult, ErrorObject> {
    let (job, prompt) = Box::pin(Job::prepare(&daemon, params, call)).await?;
    job.run(prompt, None).await
}

pub(in crate::daemon) async fn stream(
    daemon: Arc<Daemon>,
    params: PromptParams,
    call: Call,
) -> Result<PromptResult, ErrorObject> {
    let (job, prompt) = Box::pin(Job::prepare(&daemon, params, call)).await?;
    let events = EventStream::new(
        job.request_id.clone(),
        &daemon.outbound,
        Arc::clone(&job.workspace.waiting_events),
    );
    job.run(prompt, Some(events)).await
}

/// A tool's clock stops, or goes on. A host that has no prompts has no tools either.
pub(in crate::daemon) fn tool_waiting(daemon: &Arc<Daemon>, params: &ToolWaitingParams) {
    if let Ok(workspace) = daemon.workspace() {
        workspace.tool_clocks.note(params);
    }
}

/// The turn of an answer to be handed over.
type Turn<'a> = tokio::sync::SemaphorePermit<'a>;

/// A prompt that runs.
struct Job {
    workspace: Arc<Workspace>,
    token: CancellationToken,
    /// Keeps the prompt's name taken, and it cancellable by that name.
    _ticket: Ticket,
    /// Its place among the prompts that talk to models, until it does.
    admitted: Option<Admitted>,
    request_id: String,
    conversation_id: String,
    route: Route,
    server: Server,
    scene: Scene,
    /// What the audit trail must not have.
    secrets: llm::Redactor,
    model: String,
    /// How long the server may be asked which models it has, to explain an error.
    look_up: Duration,
    /// The place in the conversation of the answer to go on with.
    unfinished: Option<usize>,
    warnings: Vec<String>,
}

impl Job {
    async fn run(
        mut self: Box<Self>,
        prompt: Box<conversation::Prompt>,
        events: Option<EventStream>,
    ) -> Result<PromptResult, ErrorObject> {
        if let Some(events) = &events {
            let conversation_id = self.conversation_id.clone();
            let model = self.model.clone();
            events
                .push(
                    1,
                    protocol::Event::Started {
                        conversation_id,
                        model,
                    },
                )
                .await;
            for message in &self.warnings {
                events
                    .push(
                        1,
                        protocol::Event::Warning {
                            message: message.clone(),
                        },
                    )
                    .await;
            }
        }
        let admitted = self.admitted.take();
        // A defect must not cost the host the terminal event.
        let answer = AssertUnwindSafe(Box::pin(self.answer(prompt, admitted, events.as_ref())))
            .catch_unwind()
            .await;
        let answer = answer.unwrap_or_else(|_panic| Err(failure::internal()));
        let rounds = answer
            .as_ref()
            .map_or(1, |(outcome, _)| outcome.rounds.max(1));
        let (terminal, reply, _turn) = match answer {
            Ok((outcome, turn)) => {
                let answered = outcome.answer().is_some();
                let (terminal, reply) = self.conclude(outcome).await;
                // Without events, nothing would have told the answer.
                let reply = reply.and_then(|result| {
                    if events.is_none() && answered && result.message.content.is_empty() {
                        return Err(self.placed(failure::answer_too_long()));
                    }
                    Ok(result)
                });
                (terminal, reply, turn)
            }
            Err(error) => {
                let error = self.placed(error);
                (
                    protocol::Event::Failed {
                        error: Box::new(error.clone()),
                    },
                    Err(error),
                    None,
                )
            }
        };
        if let Some(events) = events {
            events.end(rounds, terminal).await;
        }
        reply.map(Arc::unwrap_or_clone)
    }

    /// Connects, then talks to the model until it has answered. The answer comes with its turn
    /// to be handed over.
    async fn answer(
        &self,
        prompt: Box<conversation::Prompt>,
        admitted: Option<Admitted>,
        events: Option<&EventStream>,
    ) -> Result<(Outcome<ssh::Error>, Option<Turn<'_>>), ErrorObject> {
        let Some(_place) = self.place(admitted, events).await else {
            return Ok((Outcome::cancelled(), None));
        };
        if self.route.current(&self.workspace).is_none() {
            if let Some(events) = events {
                let phase = protocol::Phase::Connecting;
                events
                    .push(
                        1,
                        protocol::Event::Status {
                            phase,
                            progress: None,
                            elapsed_ms: None,
                        },
                    )
                    .await;
            }
            let begun = Instant::now();
            // Apart from the prompt's own clocks: a person may have to answer a question.
            let connected = tokio::select! {
                connected = Box::pin(self.route.session(&self.workspace)) => connected,
                () = self.token.cancelled() => return Ok((Outcome::cancelled(), None)),
            };
            match connected {
                Ok(_) => {}
                // The way may be there in a moment: what follows tries again, and says so.
                Err(error) if error.is_transient() && begun.elapsed() < self.route.patience => {}
                Err(error) => return Err(failure::ssh(&error)),
            }
        }
        let trail = Trail {
            audit: &self.workspace.audit,
            prompt: Subject {
                request_id: self.request_id.clone(),
                conversation_id: self.conversation_id.clone(),
            },
            secrets: &self.secrets,
            scene: &self.scene,
        };
        let tools = trail.tools(HostTools::new(
            self.workspace.outbound.clone(),
            self.workspace.tool_clocks.clone(),
            self.request_id.clone(),
            self.conversation_id.clone(),
        ));
        trail.submitted(&self.route.profile.id, &prompt);
        let asked = Asked {
            messages: prompt
                .messages
                .iter()
                .skip(prompt.new_from)
                .cloned()
                .collect(),
            at: SystemTime::now(),
            continues: self.unfinished,
        };
        let sink = HostSink { events };
        let running = conversation::run(&self.server, prompt, &tools, &sink, &self.token);
        let mut outcome = tokio::select! {
            outcome = running => outcome,
            () = self.keep_connection() => Outcome::cancelled(),
        };
        trail.ended(&outcome);
        let turn = self.workspace.turn(text_bytes(&outcome.messages)).await;
        if let Some(problem) = self.record(asked, &outcome).await {
            let message = failure::unsaved(&problem);
            let event = Event::Warning {
                message: message.clone(),
            };
            sink.emit(outcome.rounds.max(1), event).await;
            outcome.warnings.push(message);
        }
        Ok((outcome, turn))
    }

    /// Keeps the connection from being closed as unused while a tool runs or a person is asked, so
    /// that nobody has to sign in again for the next round. Never returns.
    async fn keep_connection(&self) {
        let Some(idle) = self.route.plan.idle else {
            return std::future::pending().await;
        };
        let often = (idle / 2).max(Duration::from_millis(500));
        loop {
            tokio::time::sleep(often).await;
            // Who is given it touches it.
            drop(self.route.current(&self.workspace));
        }
    }

    /// Waits for the prompt's turn; `None`: it was cancelled.
    async fn place(
        &self,
        admitted: Option<Admitted>,
        events: Option<&EventStream>,
    ) -> Option<Place> {
        let turn = match admitted? {
            Admitted::Now(place) => return Some(place),
            Admitted::Later(turn) => turn,
        };
        if let Some(events) = events {
            let phase = protocol::Phase::Queued;
            let status = protocol::Event::Status {
                phase,
                progress: None,
                elapsed_ms: None,
            };
            events.push(1, status).await;
        }
        tokio::select! {
            biased;
            () = self.token.cancelled() => None,
            place = turn.come() => place,
        }
    }

    /// Keeps what was said, whatever the end was, and tells the host. Returns what is wrong if
    /// it could not be saved.
    async fn record(&self, asked: Asked, outcome: &Outcome<ssh::Error>) -> Option<HistoryError> {
        if outcome.messages.is_empty() {
            return None;
        }
        let Workspace {
            history,
            links,
            outbound,
            ..
        } = &*self.workspace;
        links.answered(&self.route.profile.id);
        let origin = Origin {
            config_id: self.route.profile.id.clone(),
            model: outcome.model.clone().unwrap_or_else(|| self.model.clone()),
        };
        let id = &self.conversation_id;
        let recorded = history.record(id, asked, outcome, origin).await;
        let params = ConversationUpdatedParams {
            conversation_id: id.clone(),
            completes_partial: self.unfinished.is_some(),
            messages: recorded.entries.iter().map(|entry| news(entry)).collect(),
        };
        // A host that is gone has no use for it.
        let _ = outbound.notify(ConversationUpdated::METHOD, &params).await;
        recorded.problem
    }
}

/// Hands a prompt's events on, where somebody wants them.
struct HostSink<'a> {
    events: Option<&'a EventStream>,
}

impl Sink for HostSink<'_> {
    fn emit(&self, round: u32, event: Event) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(events) = self.events
                && let Some(event) = wire::prompt::event(event)
            {
                events.push(round, event).await;
            }
        })
    }
}
