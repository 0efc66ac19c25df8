//! From the params to a prompt that can run, or to what is wrong with them.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    conversation::{self, NotContinuable},
    llm,
    protocol::{ErrorCode, ErrorObject, PromptParams},
    rpc::Call,
};

use super::{
    super::super::{
        admission::{Full, MAX_PROMPTS},
        failure,
        running::Taken,
        state::Daemon,
        wire,
        workspace::Workspace,
    },
    super::{cancellable, model},
    Job,
};

/// Bytes of the longest id that a host may choose.
const ID_LENGTH: usize = 256;

/// A conversation's id goes into a header, and both come back wherever the prompt is spoken of.
fn check_ids(params: &PromptParams) -> Result<(), ErrorObject> {
    for (field, id) in [
        ("requestId", &params.request_id),
        ("conversationId", &params.conversation_id),
    ] {
        let is_good = |id: &String| {
            !id.trim().is_empty() && id.len() <= ID_LENGTH && !id.contains(char::is_control)
        };
        if !id.as_ref().is_none_or(is_good) {
            return Err(failure::invalid_params(
                field,
                &format!(
                    "`{field}` must have 1 to {ID_LENGTH} bytes without control characters; leave it \
                     out for a new one."
                ),
            ));
        }
    }
    Ok(())
}

impl Job {
    /// This, and what else is over before the answer begins, is boxed where it is awaited: a
    /// thousand prompts that stream should not hold the room for it.
    pub(super) async fn prepare(
        daemon: &Arc<Daemon>,
        params: PromptParams,
        call: Call,
    ) -> Result<(Box<Self>, Box<conversation::Prompt>), ErrorObject> {
        let workspace = daemon.workspace()?;
        let request_id = params.request_id.clone().unwrap_or_else(new_id);
        let goes_on = params.conversation_id.is_some();
        let continues = params.continues;
        if continues && !(goes_on && params.messages.is_empty()) {
            return Err(failure::invalid_params(
                "continue",
                "`continue` goes on with the last answer of a conversation: name it in \
                 `conversationId`, and leave `messages` empty.",
            ));
        }
        check_ids(&params)?;
        let conversation_id = params.conversation_id.clone().unwrap_or_else(new_id);
        // First of all, so that one too many costs nothing.
        let ticket = daemon
            .running
            .enter(&request_id, &conversation_id, call.token.clone())
            .map_err(|taken| already_running(&taken))?;
        let admitted = daemon.admission.enter(&params.config_id);
        let admitted = admitted.map_err(|Full| failure::busy(MAX_PROMPTS))?;
        let profile = workspace.trusted(&params.config_id).await?;
        let route = workspace.route_of(&profile)?;
        let api = workspace.api_of(&profile)?;
        let mut warnings = Vec::new();
        let model = match wire::config::model(&profile, params.model.as_deref()) {
            Some(model) => model,
            None => {
                let only = only_model(workspace, &profile.id);
                let model = cancellable(&call.token, only).await?;
                warnings.push(format!(
                    "No model was chosen; {model} is the only one there."
                ));
                model
            }
        };
        let run_tools = workspace.capabilities.execute_tool;
        let mut prompt =
            wire::prompt::read(params, conversation_id.clone(), model.clone(), run_tools)
                .map_err(|problem| failure::malformed(&problem))?;
        let known = match goes_on {
            true => workspace.history.get(&conversation_id).await,
            false => Ok(None),
        };
        let known = known.map_err(|error| failure::history(&error))?;
        let mut unfinished = None;
        if continues {
            let found = known
                .as_ref()
                .map_or(Err(NotContinuable::Finished), |known| known.unfinished());
            unfinished = Some(found.map_err(failure::not_continuable)?);
            prompt.continues = true;
        }
        if let Some(known) = known {
            let mut messages: Vec<_> = known.messages().cloned().collect();
            prompt.new_from = messages.len();
            messages.append(&mut prompt.messages);
            prompt.messages = messages;
        }
        let job = Self {
            workspace: Arc::clone(workspace),
            token: call.token,
            _ticket: ticket,
            admitted: Some(admitted),
            request_id,
            conversation_id,
            server: route.server(workspace, &api),
            scene: route.scene(&api, Some(model.clone())),
            secrets: workspace.redactor(&profile),
            route,
            model,
            look_up: api.options.clocks.discovery,
            unfinished,
            warnings,
        };
        Ok((Box::new(job), Box::new(prompt)))
    }
}

fn already_running(taken: &Taken) -> ErrorObject {
    match taken {
        Taken::RequestId => failure::invalid_params(
            "requestId",
            "`requestId`: a prompt of this name is running; choose another name.",
        ),
        Taken::Conversation => failure::invalid_params(
            "conversationId",
            "`conversationId`: a prompt of this conversation is running; wait for it, or cancel it.",
        ),
    }
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// The model of a server that has no choice to offer.
async fn only_model(workspace: &Arc<Workspace>, config_id: &str) -> Result<String, ErrorObject> {
    let found = model::discovery(workspace, config_id, false).await?;
    match found.models.as_slice() {
        [only] => Ok(only.id.clone()),
        [] => Err(failure::plain(
            ErrorCode::ApiInvalidModel,
            "The server has no model loaded. Load one there, or name it in `model`.",
        )),
        several => {
            let mut error = failure::plain(
                ErrorCode::ApiInvalidModel,
                "No model is chosen. Select one with remote-llm/select-model, or name it in `model`.",
            );
            error.data.hint = Some(offer(several));
            Err(error)
        }
    }
}

/// What there is to choose from.
pub(super) fn offer(models: &[llm::Model]) -> String {
    let names: Vec<_> = models
        .iter()
        .take(10)
        .map(|model| model.id.as_str())
        .collect();
    let more = if models.len() > names.len() {
        ", …"
    } else {
        ""
    };
    format!("The server offers: {}{more}.", names.join(", "))
}
