//! What is remembered of a server from question to question.

use crate::llm::{dialect::Adjustments, model::ServerKind, ollama::Version};

/// What was found out about a server; kept as long as its [`Server`](super::super::Server).
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::llm) struct Learned {
    /// Which of [`Endpoint::api_prefixes`](super::super::Endpoint) has the API.
    pub(in crate::llm) prefix: Option<usize>,
    pub(in crate::llm) adjustments: Adjustments,
    /// Which program it is, once discovery has asked.
    pub(super) kind: Option<ServerKind>,
    /// Whether it is an Ollama, as a prompt found out since.
    pub(super) ollama: Option<bool>,
    /// It may be one, so asking is worth it.
    pub(super) looks_like_ollama: bool,
    /// A large prompt has asked what it is; whatever came of it, the next does not.
    pub(super) looked_up: bool,
    pub(in crate::llm) ollama_version: Option<Version>,
}

impl Learned {
    /// Discovery has told which program the server is.
    pub(in crate::llm) fn is(&mut self, kind: ServerKind) {
        self.kind = Some(kind);
        self.ollama = None;
        self.adjustments.return_progress = kind == ServerKind::LlamaCpp;
    }

    pub(super) fn is_ollama(&self) -> Option<bool> {
        let kind = self.kind.map(|kind| kind == ServerKind::Ollama);
        self.ollama.or(kind)
    }
}
