//! What a prompt asks for, checked and brought into the model's terms.

use serde_json::{Map, Value};

use crate::llm::{Carrier, ChatRequest, Message, Sampling, Tool, ToolChoice};

use super::error::{Error, ToolChoiceProblem};
use super::limits::Limits;
use super::message::{Normal, normalise};
use super::tool::DeclaredTool;
use super::toolbox::Toolbox;

/// One prompt: what the host asks, after what was said before.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// Sent along as the affinity id, so that a gateway keeps a conversation on one backend.
    pub conversation_id: String,
    /// The model's id, as the server knows it.
    pub model: String,
    pub system: Option<String>,
    /// The history, then what is new.
    pub messages: Vec<Message>,
    /// Where `messages` begins to be new. History is repaired where it must be, new messages are
    /// refused; errors count from here.
    pub new_from: usize,
    /// The last message is an answer that was cut short: the model is to go on with it, in the
    /// first round, and nothing is new.
    pub continues: bool,
    /// What the model may call. Any name will do: one that a server would refuse travels under
    /// another, which is seen on the wire only.
    pub tools: Vec<DeclaredTool>,
    /// `Required` and `Named` hold for the first round only; the loop could not end otherwise.
    pub tool_choice: Option<ToolChoice>,
    pub sampling: Sampling,
    /// Passed through to the server.
    pub extra: Map<String, Value>,
    pub limits: Limits,
    /// Whether there is somebody to run tools. If not, the prompt finishes with `tool_use` and the
    /// host goes on from there.
    pub run_tools: bool,
}

/// The parts of a request that stay the same in every round, byte for byte: a changed system prompt
/// or tool list would cost the server its prefix cache.
#[derive(Debug)]
pub(super) struct Plan {
    model: String,
    system: Option<String>,
    pub(super) tools: Vec<Tool>,
    pub(super) toolbox: Toolbox,
    tool_choice: Option<ToolChoice>,
    sampling: Sampling,
    extra: Map<String, Value>,
    affinity: String,
    pub(super) continues: bool,
    pub(super) limits: Limits,
    pub(super) run_tools: bool,
}

impl Plan {
    /// Checks a prompt and takes it apart: the plan, and its messages in normal form.
    pub(super) fn try_new<E: Carrier>(prompt: Prompt) -> Result<(Self, Vec<Message>), Error<E>> {
        let (tools, toolbox) = check_tools(prompt.tools)?;
        let tool_choice = check_choice(prompt.tool_choice, &tools)?;
        let Normal { system, messages } =
            normalise(prompt.system, prompt.messages, prompt.new_from)?;
        if messages.is_empty() {
            return Err(Error::NoMessages);
        }
        let plan = Self {
            model: prompt.model,
            system,
            tools,
            toolbox,
            tool_choice,
            sampling: prompt.sampling,
            extra: prompt.extra,
            affinity: prompt.conversation_id,
            continues: prompt.continues,
            limits: prompt.limits.bounded(),
            run_tools: prompt.run_tools,
        };
        Ok((plan, messages))
    }

    /// The request of a round (from 1).
    pub(super) fn request(&self, round: u32, messages: Vec<Message>) -> ChatRequest {
        let tool_choice = match &self.tool_choice {
            Some(ToolChoice::Required | ToolChoice::Named(_)) if round > 1 => {
                Some(ToolChoice::Auto)
            }
            choice => choice.clone(),
        };
        ChatRequest {
            model: self.model.clone(),
            system: self.system.clone(),
            messages,
            tools: self.tools.clone(),
            tool_choice,
            sampling: self.sampling.clone(),
            extra: self.extra.clone(),
            continues: self.continues && round == 1,
            affinity: Some(self.affinity.clone()),
        }
    }

    /// Whether a round has to bring a call.
    pub(super) fn demands_call(&self, round: u32) -> bool {
        round == 1
            && matches!(
                self.tool_choice,
                Some(ToolChoice::Required | ToolChoice::Named(_))
            )
    }

    /// Whether the host wants no calls, which not every server heeds.
    pub(super) fn forbids_calls(&self) -> bool {
        matches!(self.tool_choice, Some(ToolChoice::None))
    }
}

fn check_tools<E: Carrier>(declared: Vec<DeclaredTool>) -> Result<(Vec<Tool>, Toolbox), Error<E>> {
    let mut tools = Vec::with_capacity(declared.len());
    let mut toolbox = Toolbox::default();
    for (index, declared) in declared.into_iter().enumerate() {
        toolbox
            .add(&declared)
            .map_err(|problem| Error::InvalidTool { index, problem })?;
        tools.push(declared.tool);
    }
    Ok((tools, toolbox))
}

fn check_choice<E: Carrier>(
    choice: Option<ToolChoice>,
    tools: &[Tool],
) -> Result<Option<ToolChoice>, Error<E>> {
    match choice {
        Some(ToolChoice::Named(name)) if tools.iter().all(|tool| tool.name != name) => Err(
            Error::InvalidToolChoice(ToolChoiceProblem::Undeclared(name)),
        ),
        Some(ToolChoice::Required) if tools.is_empty() => {
            Err(Error::InvalidToolChoice(ToolChoiceProblem::NoTools))
        }
        // Some servers refuse any choice where there is nothing to choose from.
        Some(ToolChoice::Auto) if tools.is_empty() => Ok(None),
        choice => Ok(choice),
    }
}
