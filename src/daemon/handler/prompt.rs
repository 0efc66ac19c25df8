//! Prompts, from the params to the terminal event and the reply.

use std::{sync::Arc, time::SystemTime};

use uuid::Uuid;

use crate::{
    conversation::{self, End, Event, Outcome, Sink},
    llm::BoxFuture,
    protocol::{
        self, ConversationUpdated, ConversationUpdatedParams, ErrorCode, ErrorObject, Notification,
        PromptParams, PromptResult,
    },
    rpc::Call,
    ssh,
};

use super::{
    super::{
        failure::{self, Scene},
        host::HostTools,
        link::Server,
        route::Route,
        state::Daemon,
        stream::EventStream,
        wire,
    },
    history::history_entry,
    model,
};

pub(in crate::daemon) async fn submit(
    daemon: Arc<Daemon>,
    params: PromptParams,
    call: Call,
) -> Result<PromptResult, ErrorObject> {
    Job::prepare(&daemon, params, call, false).await?.run().await
}

pub(in crate::daemon) async fn stream(
    daemon: Arc<Daemon>,
    params: PromptParams,
    call: Call,
) -> Result<PromptResult, ErrorObject> {
    Job::prepare(&daemon, params, call, true).await?.run().await
}

/// A prompt with all it needs.
struct Job {
    daemon: Arc<Daemon>,
    call: Call,
    /// Keeps the prompt's name taken, and it cancellable by that name.
    _ticket: super::super::running::Ticket,
    request_id: String,
    route: Route,
    server: Server,
    scene: Scene,
    model: String,
    prompt: conversation::Prompt,
    /// How many of the prompt's messages the host asked now; the ones before are history.
    asked: usize,
    warnings: Vec<String>,
    streamed: bool,
}

impl Job {
    async fn prepare(
        daemon: &Arc<Daemon>,
        params: PromptParams,
        call: Call,
        streamed: bool,
    ) -> Result<Self, ErrorObject> {
        let workspace = daemon.workspace()?;
        let profile = daemon.profile(&params.config_id).await?;
        let request_id = params.request_id.clone().unwrap_or_else(new_id);
        let ticket =
            daemon.running.enter(&request_id, call.token.clone()).ok_or_else(|| {
                failure::invalid_params(
                    "requestId",
                    "`requestId`: a prompt of this name is running; choose another name.",
                )
            })?;
        let route = daemon.route_of(&profile)?;
        let api = daemon.api_of(&profile)?;
        let mut warnings = Vec::new();
        let model = match wire::config::model(&profile, params.model.as_deref()) {
            Some(model) => model,
            None => {
                let model = super::cancellable(&call.token, only_model(daemon, &profile.id)).await?;
                warnings.push(format!("No model was chosen; {model} is the only one there."));
                model
            }
        };
        let conversation_id = params.conversation_id.clone().unwrap_or_else(new_id);
        let run_tools = workspace.capabilities.execute_tool;
        let mut prompt = wire::prompt::read(params, conversation_id.clone(), model.clone(), run_tools)
            .map_err(|problem| failure::malformed(&problem))?;
        let asked = prompt.messages.len();
        if let Some(known) = workspace.history.get(&conversation_id) {
            let mut messages: Vec<_> = known.messages().cloned().collect();
            prompt.new_from = messages.len();
            messages.append(&mut prompt.messages);
            prompt.messages = messages;
        }
        Ok(Self {
            call,
            _ticket: ticket,
            request_id,
            server: route.server(daemon, &api)?,
            scene: route.scene(&api, Some(model.clone())),
            route,
            model,
            prompt,
            asked,
            warnings,
            streamed,
            daemon: Arc::clone(daemon),
        })
    }

    async fn run(self) -> Result<PromptResult, ErrorObject> {
        let conversation_id = self.prompt.conversation_id.clone();
        let events = self
            .streamed
            .then(|| EventStream::new(self.request_id.clone(), self.daemon.outbound.clone()));
        if let Some(events) = &events {
            let model = self.model.clone();
            events.push(1, protocol::Event::Started { conversation_id: conversation_id.clone(), model }).await;
            for message in &self.warnings {
                events.push(1, protocol::Event::Warning { message: message.clone() }).await;
            }
        }
        let ended = self.answer(&events).await;
        let rounds = ended.as_ref().map_or(1, |outcome| outcome.rounds.max(1));
        let (terminal, reply) = match ended {
            Ok(outcome) => self.conclude(outcome).await,
            Err(error) => {
                let error = self.placed(error);
                (protocol::Event::Failed { error: Box::new(error.clone()) }, Err(error))
            }
        };
        if let Some(events) = events {
            events.end(rounds, terminal).await;
        }
        reply
    }

    /// Connects, then talks to the model until it has answered.
    async fn answer(&self, events: &Option<EventStream>) -> Result<Outcome<ssh::Error>, ErrorObject> {
        let workspace = self.daemon.workspace()?;
        if workspace.pool.current(&self.route.target).is_none() {
            if let Some(events) = events {
                let phase = protocol::Phase::Connecting;
                events.push(1, protocol::Event::Status { phase, progress: None }).await;
            }
            // Apart from the prompt's own clocks: a person may have to answer a question.
            let connected = tokio::select! {
                connected = self.route.session(&self.daemon) => connected,
                () = self.call.token.cancelled() => return Ok(Outcome::cancelled()),
            };
            connected?;
        }
        let tools = HostTools::new(
            self.daemon.outbound.clone(),
            self.request_id.clone(),
            self.prompt.conversation_id.clone(),
        );
        let sink = HostSink { events: events.as_ref() };
        let asked_at = SystemTime::now();
        let outcome =
            conversation::run(&self.server, self.prompt.clone(), &tools, &sink, &self.call.token)
                .await;
        self.record(asked_at, &outcome).await;
        Ok(outcome)
    }

    /// Keeps what was said, whatever the end was, and tells the host.
    async fn record(&self, asked_at: SystemTime, outcome: &Outcome<ssh::Error>) {
        if outcome.messages.is_empty() {
            return;
        }
        let Ok(workspace) = self.daemon.workspace() else { return };
        let id = &self.prompt.conversation_id;
        let asked = self.prompt.messages.iter().skip(self.prompt.new_from).cloned().collect();
        workspace.history.record(id, asked, asked_at, outcome, SystemTime::now());
        workspace.links.answered(&self.route.config_id);
        let Some(conversation) = workspace.history.get(id) else { return };
        let new = self.asked + outcome.messages.len();
        let known = conversation.entries.len().saturating_sub(new);
        let params = ConversationUpdatedParams {
            conversation_id: id.clone(),
            messages: conversation.entries.iter().skip(known).map(|entry| history_entry(entry)).collect(),
        };
        // A host that is gone has no use for it.
        let _ = self.daemon.outbound.notify(ConversationUpdated::METHOD, &params).await;
    }

    /// The terminal event and the reply for how the prompt ended.
    async fn conclude(
        &self,
        mut outcome: Outcome<ssh::Error>,
    ) -> (protocol::Event, Result<PromptResult, ErrorObject>) {
        outcome.warnings.splice(0..0, self.warnings.iter().cloned());
        let result = |stop_reason, raw_finish_reason| {
            wire::prompt::result(
                &outcome,
                self.request_id.clone(),
                self.prompt.conversation_id.clone(),
                &self.model,
                stop_reason,
                raw_finish_reason,
            )
        };
        match &outcome.end {
            End::Finished { stop_reason, raw_finish_reason } => {
                let result =
                    result(wire::prompt::stop_reason(*stop_reason), raw_finish_reason.clone());
                (protocol::Event::Finished { result: Box::new(result.clone()) }, Ok(result))
            }
            End::Cancelled => {
                let result = result(protocol::StopReason::Cancelled, None);
                let error = self.placed(failure::cancelled(Some(outcome.text())));
                (protocol::Event::Finished { result: Box::new(result) }, Err(error))
            }
            End::Failed(error) => {
                let mut error = failure::conversation(error, &self.scene);
                // What was said or done is not undone by asking again.
                error.data.retryable &= outcome.may_retry();
                error.data.partial = Some(outcome.text());
                if error.data.code == ErrorCode::ApiInvalidModel {
                    self.name_models(&mut error).await;
                }
                let error = self.placed(error);
                (protocol::Event::Failed { error: Box::new(error.clone()) }, Err(error))
            }
        }
    }

    /// A missing model's error says which ones are there, as far as that is known.
    async fn name_models(&self, error: &mut ErrorObject) {
        let work = model::discovery(&self.daemon, &self.route.config_id, true);
        let found = super::cancellable(&self.call.token, work).await;
        if let Ok(found) = found
            && !found.models.is_empty()
        {
            let names: Vec<_> = found.models.iter().take(10).map(|model| model.id.as_str()).collect();
            error.data.hint = Some(format!("It offers: {}.", names.join(", ")));
        }
    }

    fn placed(&self, mut error: ErrorObject) -> ErrorObject {
        error.data.config_id = Some(self.route.config_id.clone());
        error.data.request_id = Some(self.request_id.clone());
        error.data.conversation_id = Some(self.prompt.conversation_id.clone());
        error
    }
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// The model of a server that has no choice to offer.
async fn only_model(daemon: &Arc<Daemon>, config_id: &str) -> Result<String, ErrorObject> {
    let found = model::discovery(daemon, config_id, false).await?;
    match found.models.as_slice() {
        [only] => Ok(only.id.clone()),
        [] => Err(failure::plain(
            ErrorCode::ApiInvalidModel,
            "The server has no model loaded. Load one there, or name it in `model`.",
        )),
        several => {
            let names: Vec<_> = several.iter().take(10).map(|model| model.id.as_str()).collect();
            let mut error = failure::plain(
                ErrorCode::ApiInvalidModel,
                "No model is chosen. Select one with remote-llm/select-model, or name it in `model`.",
            );
            error.data.hint = Some(format!("The server offers: {}.", names.join(", ")));
            Err(error)
        }
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
