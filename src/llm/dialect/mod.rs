//! How conversations look on the wires of different servers.
//!
//! What a conversation is, and when an answer is whole, is the same for all: [`Answer`], `calls`,
//! [`Names`]. A dialect is only where it is asked, what is sent, and what one JSON object of an
//! answer adds ([`Delta`](delta::Delta)).

mod answer;
mod arguments;
mod calls;
mod delta;
mod markup;
mod names;
pub(super) mod ollama;
mod openai;
mod stop;
mod thinking;
mod tool;
mod transcript;

use serde_json::{Map, Value};

pub use self::arguments::parse as parse_arguments;
use self::delta::Delta;
pub(super) use self::{answer::Answer, names::Names};
use super::{endpoint::Endpoint, message::ChatRequest};

/// Which API a server is spoken to with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `/v1/chat/completions`, as OpenAI and all who imitate it have it.
    OpenAi,
    /// Ollama's own `/api/chat`.
    Ollama,
}

/// The messages that a request comes to in OpenAI's form, for tests that map them back.
#[cfg(test)]
pub(crate) fn as_openai(request: &ChatRequest) -> Value {
    let names = Names::new(request.tools.iter().map(|tool| tool.name.as_str()));
    let (adjustments, terms) = (Adjustments::default(), ollama::Terms::default());
    let mut body = Dialect::OpenAi.body(request, &names, adjustments, &terms);
    body.remove("messages").unwrap_or_default()
}

/// What was learned of the server on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Adjustments {
    /// It refuses `stream_options`.
    pub(super) no_stream_options: bool,
    /// It refuses `content: null` beside tool calls, which others insist on.
    pub(super) empty_content: bool,
    /// It tells how far the prompt has been read when asked (llama.cpp).
    pub(super) return_progress: bool,
    /// It refuses `truncate` and `shift` (Ollama's own API only).
    pub(super) no_truncate: bool,
    /// Its answer is asked for in one piece (not of Ollama's own API).
    pub(super) in_one_piece: bool,
}

impl Dialect {
    /// Where an answer may be asked for, most likely first.
    pub(super) fn paths(self, endpoint: &Endpoint) -> Vec<String> {
        match self {
            Self::OpenAi => endpoint
                .api_prefixes()
                .into_iter()
                .map(|prefix| prefix + "/chat/completions")
                .collect(),
            Self::Ollama => vec![format!("{}/api/chat", endpoint.root())],
        }
    }

    /// What an answer may come as.
    pub(super) fn accept(self) -> &'static str {
        match self {
            Self::OpenAi => "text/event-stream, application/json",
            Self::Ollama => "application/x-ndjson, application/json",
        }
    }

    /// What is sent. Always asks for a stream: only then does a server notice that its client has
    /// gone.
    pub(super) fn body(
        self,
        request: &ChatRequest,
        names: &Names,
        adjustments: Adjustments,
        terms: &ollama::Terms,
    ) -> Map<String, Value> {
        match self {
            Self::OpenAi => openai::body(request, names, adjustments),
            Self::Ollama => ollama::body(request, names, adjustments, terms),
        }
    }

    /// What one JSON object of an answer adds to it.
    fn delta(self, json: &Value) -> Delta<'_> {
        match self {
            Self::OpenAi => openai::delta(json),
            Self::Ollama => ollama::delta(json),
        }
    }

    /// How far the prompt has been read, 0 to 1, if a comment of the stream says so.
    fn comment_progress(self, comment: &str) -> Option<f64> {
        match self {
            Self::OpenAi => openai::comment_progress(comment),
            Self::Ollama => None,
        }
    }
}
