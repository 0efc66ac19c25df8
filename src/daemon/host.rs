//! The person at the other end of the pipes, as the rooms know them.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;

use crate::{
    config::{Change, SecretField},
    llm::BoxFuture,
    protocol::{
        self, AnswerPrompt, AnswerPromptParams, PromptField, Request, VerifyHostKey,
        VerifyHostKeyParams,
    },
    rpc::{self, CallError, Outbound},
    ssh::{
        self, Answers, HostKeyDecision, HostKeyQuestion, HostKeyReason, PromptFailure, PromptKind,
        PromptQuestion, Prompter,
    },
};

use super::{wire, workspace::Workspace};

/// Asks the person about one profile's connection.
#[derive(Debug)]
pub(super) struct HostPrompter {
    workspace: Arc<Workspace>,
    config_id: Option<String>,
    /// For each hop, which of the profile's machines it is; `None`: ssh_config added it.
    stops: Vec<Option<usize>>,
}

impl HostPrompter {
    /// For a saved profile, or for one that is only being tried.
    pub(super) fn new(
        workspace: Arc<Workspace>,
        config_id: Option<String>,
        target: &ssh::Target,
    ) -> Self {
        Self {
            workspace,
            config_id,
            stops: target.hops.iter().map(|hop| hop.planned).collect(),
        }
    }

    async fn ask_about_key(
        &self,
        question: HostKeyQuestion,
    ) -> Result<HostKeyDecision, PromptFailure> {
        if !self.workspace.capabilities.verify_host_key {
            return Err(PromptFailure::Unsupported);
        }
        let params = VerifyHostKeyParams {
            config_id: self.config_id.clone(),
            hop: question.place.hop + 1,
            hops: question.place.hops,
            host: question.place.host,
            port: question.place.port,
            key_type: question.key.key_type,
            fingerprint: question.key.fingerprint,
            reason: match question.reason {
                HostKeyReason::NeverSeen | HostKeyReason::KnownOnPort22 => {
                    protocol::HostKeyReason::Unknown
                }
                HostKeyReason::AuthorityExpected => protocol::HostKeyReason::NewType,
            },
            known_elsewhere: question
                .known_as
                .into_iter()
                .next()
                .map(|known| known.names),
        };
        let verdict: protocol::VerifyHostKeyResult =
            call::<VerifyHostKey>(&self.workspace.outbound, &params, question.time_limit).await?;
        // The echo proves that the person decided about this very key.
        if verdict.fingerprint != params.fingerprint {
            return Ok(HostKeyDecision::Reject);
        }
        Ok(match verdict.decision {
            protocol::HostKeyDecision::Accept => HostKeyDecision::Accept,
            protocol::HostKeyDecision::AcceptOnce => HostKeyDecision::AcceptOnce,
            protocol::HostKeyDecision::Reject => HostKeyDecision::Reject,
        })
    }

    async fn ask_for_answers(&self, question: PromptQuestion) -> Result<Answers, PromptFailure> {
        if !self.workspace.capabilities.answer_prompt {
            return Err(PromptFailure::Unsupported);
        }
        let kind = match question.kind {
            PromptKind::Password => protocol::PromptKind::Password,
            PromptKind::Passphrase { .. } => protocol::PromptKind::Passphrase,
            PromptKind::KeyboardInteractive => protocol::PromptKind::KeyboardInteractive,
        };
        let hop = question.place.hop;
        // Only a machine of a saved profile has a place to remember in.
        let field = self.stops.get(hop).copied().flatten().and_then(|stop| {
            let stops = self.stops.iter().flatten().count();
            (question.may_keep && self.config_id.is_some())
                .then(|| wire::config::prompt_field(kind, stop, stops))
        });
        let params = AnswerPromptParams {
            config_id: self.config_id.clone(),
            hop: hop + 1,
            host: question.place.host,
            kind,
            name: Some(question.name).filter(|name| !name.is_empty()),
            instruction: Some(question.instruction).filter(|text| !text.is_empty()),
            prompts: question
                .prompts
                .into_iter()
                .map(|prompt| PromptField {
                    text: prompt.text,
                    echo: prompt.echo,
                })
                .collect(),
            attempt: question.attempt,
            can_remember: field.is_some(),
        };
        let answer: protocol::AnswerPromptResult =
            call::<AnswerPrompt>(&self.workspace.outbound, &params, question.time_limit).await?;
        if answer.cancelled {
            return Err(PromptFailure::Cancelled);
        }
        if answer.answers.len() != params.prompts.len() {
            return Err(PromptFailure::Unfit);
        }
        if let (Some(field), true) = (field, answer.remember) {
            self.remember(field, answer.answers.first()).await;
        }
        Ok(answer.answers)
    }

    /// Keeps a password or a passphrase as if the profile had been saved with it.
    async fn remember(&self, field: SecretField, answer: Option<&SecretString>) {
        let (Some(config_id), Some(answer)) = (&self.config_id, answer) else {
            return;
        };
        // A profile that is gone has nothing to remember, and one that is another's meanwhile
        // must not be what the answer is bound to.
        if let Ok(profile) = self.workspace.trusted(config_id).await {
            let change = [(field, Change::Set(answer.clone()))];
            let kept = self
                .workspace
                .store
                .on_secrets(move |secrets| secrets.apply(&profile, change));
            if let Err(error) = kept.await {
                tracing::warn!(%error, "an answer is remembered only until the daemon ends");
            }
        }
    }
}

impl Prompter for HostPrompter {
    fn can_answer(&self) -> bool {
        self.workspace.capabilities.answer_prompt
    }

    fn verify_host_key(
        &self,
        question: HostKeyQuestion,
    ) -> BoxFuture<'_, Result<HostKeyDecision, PromptFailure>> {
        Box::pin(self.ask_about_key(question))
    }

    fn answer(&self, question: PromptQuestion) -> BoxFuture<'_, Result<Answers, PromptFailure>> {
        Box::pin(self.ask_for_answers(question))
    }
}

async fn call<R>(
    outbound: &Outbound,
    params: &R::Params,
    time_limit: Duration,
) -> Result<R::Result, PromptFailure>
where
    R: Request,
    R::Params: serde::Serialize + Sync,
    R::Result: serde::de::DeserializeOwned,
{
    outbound
        .call(R::METHOD, params, Some(time_limit))
        .await
        .map_err(|error| match error {
            CallError::Closed => PromptFailure::HostGone,
            CallError::TimedOut => PromptFailure::TimedOut,
            CallError::Refused(reply) if reply.code == rpc::code::METHOD_NOT_FOUND => {
                PromptFailure::Unsupported
            }
            CallError::Cancelled | CallError::Refused(_) => PromptFailure::Cancelled,
            CallError::BadReply(_) | CallError::NotSent(_) => PromptFailure::Unfit,
        })
}
