//! What the audit trail is told of a prompt.

use crate::{
    config,
    conversation::{Audit, AuditedTools, End, Outcome, Prompt, Record, Subject, Tools},
    llm::Redactor,
    protocol::ErrorObject,
    ssh,
};

use super::{
    failure::{self, Scene},
    wire::{self, message::text_bytes},
    workspace::Workspace,
};

/// The trail of one prompt.
#[derive(Debug)]
pub(super) struct Trail<'a> {
    pub(super) audit: &'a Audit,
    pub(super) prompt: Subject,
    pub(super) secrets: &'a Redactor,
    pub(super) scene: &'a Scene,
}

impl Trail<'_> {
    /// Before the model is asked.
    pub(super) fn submitted(&self, config_id: &str, prompt: &Prompt) {
        let new = prompt.messages.get(prompt.new_from..).unwrap_or_default();
        self.audit.note(&Record::Submission {
            prompt: self.prompt.clone(),
            config_id: config_id.to_owned(),
            route: self.scene.to_string(),
            model: prompt.model.clone(),
            messages: prompt.messages.len(),
            bytes: text_bytes(&prompt.messages),
            tools: prompt
                .tools
                .iter()
                .map(|declared| declared.tool.name.clone())
                .collect(),
            content: self.audit.content(new, self.secrets),
        });
    }

    /// Tools whose runs are noted.
    pub(super) fn tools<T: Tools>(&self, tools: T) -> AuditedTools<'_, T> {
        AuditedTools {
            tools,
            audit: self.audit,
            prompt: self.prompt.clone(),
            secrets: self.secrets,
        }
    }

    /// When it has ended, however that was.
    pub(super) fn ended(&self, outcome: &Outcome<ssh::Error>) {
        let word = match &outcome.end {
            End::Finished { stop_reason, .. } => spelt(wire::prompt::stop_reason(*stop_reason)),
            End::Cancelled => "cancelled".to_owned(),
            End::Failed(error) => {
                let ErrorObject { data, .. } = failure::conversation(error, self.scene);
                spelt(data.code)
            }
        };
        self.audit.note(&Record::Response {
            prompt: self.prompt.clone(),
            outcome: word,
            model: outcome.model.clone(),
            rounds: outcome.rounds,
            tool_calls: outcome.tool_calls,
            usage: outcome.usage.total(),
            duration_ms: u64::try_from(outcome.timing.total.as_millis()).unwrap_or(u64::MAX),
            bytes: text_bytes(&outcome.messages),
            content: self.audit.content(&outcome.messages, self.secrets),
        });
    }
}

impl Workspace {
    /// Every secret of a profile, if there is anything that it has to be kept from.
    pub(super) fn redactor(&self, profile: &config::Profile) -> Redactor {
        if !self.audit.has_content() {
            return Redactor::default();
        }
        let secrets = self.store.secrets();
        let fields = secrets.fields(&profile.id);
        Redactor::new(
            fields
                .iter()
                .filter_map(|field| secrets.get(profile, field).ok().flatten()),
        )
    }
}

/// As it is spelt on the wire.
fn spelt(word: impl serde::Serialize) -> String {
    match serde_json::to_value(word) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}
