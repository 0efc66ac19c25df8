//! Going on with an answer that was begun: the conversation's last message is the model's own, and
//! the server is to write what comes after it. There is no standard for it.

use serde_json::{Map, Value, json};

use super::Question;
use crate::llm::{
    carrier::Carrier, dialect::Dialect, discovery::discover, error::Error, model::ServerKind,
};

/// How a server is asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefill {
    /// A message of the assistant's at the end says it all.
    Trailing,
    /// The same, but not to a template that would begin by thinking.
    WithoutThinking,
    /// By its name, and no other answer may be begun.
    Named,
}

impl Prefill {
    /// `None`: the server would begin another answer, or refuse.
    fn of(kind: ServerKind) -> Option<Self> {
        match kind {
            ServerKind::Ollama => Some(Self::Trailing),
            ServerKind::LlamaCpp => Some(Self::WithoutThinking),
            ServerKind::Vllm | ServerKind::Sglang => Some(Self::Named),
            ServerKind::LlamaCppPython
            | ServerKind::LmStudio
            | ServerKind::Tgi
            | ServerKind::LiteLlm
            | ServerKind::LocalAi
            | ServerKind::TabbyApi
            | ServerKind::KoboldCpp
            | ServerKind::TensorRtLlm
            | ServerKind::Mlx
            | ServerKind::TextGenerationWebui
            | ServerKind::OpenRouter
            | ServerKind::RayServe
            | ServerKind::Generic => None,
        }
    }

    /// Says it in the body of a request; what the body says already stands.
    pub(super) fn put(self, body: &mut Map<String, Value>) {
        match self {
            Self::Trailing => {}
            Self::WithoutThinking => {
                let kwargs = body
                    .entry("chat_template_kwargs")
                    .or_insert_with(|| json!({}));
                if let Value::Object(kwargs) = kwargs {
                    kwargs
                        .entry("enable_thinking")
                        .or_insert(Value::Bool(false));
                }
            }
            Self::Named => {
                body.insert("continue_final_message".to_owned(), true.into());
                body.insert("add_generation_prompt".to_owned(), false.into());
            }
        }
    }
}

impl<E: Carrier> Question<E> {
    /// Finds out how to ask for the rest of the answer; asks the server what it is, if nobody has.
    pub(super) async fn prefill(&self) -> Result<Option<Prefill>, Error<E>> {
        if !self.request.continues {
            return Ok(None);
        }
        if self.dialect == Dialect::Ollama {
            return Ok(Some(Prefill::Trailing));
        }
        let known = self.server.learned();
        let kind = match known.kind {
            _ if known.is_ollama() == Some(true) => ServerKind::Ollama,
            Some(kind) => kind,
            None => discover(&self.server).await?.server.kind,
        };
        let cannot = || Error::CannotContinue { server: kind };
        Prefill::of(kind).map(Some).ok_or_else(cannot)
    }
}
