//! Which API a server is asked by.

use super::{dialect::Dialect, model::ServerKind};

/// What a profile wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ApiType {
    /// Ollama's own API where the server is Ollama, else the OpenAI-compatible one.
    Auto,
    #[default]
    OpenAiCompatible,
    Ollama,
}

impl ApiType {
    /// The dialect to use with a server of this kind.
    #[must_use]
    pub fn dialect(self, kind: ServerKind) -> Dialect {
        match (self, kind) {
            (Self::Ollama, _) | (Self::Auto, ServerKind::Ollama) => Dialect::Ollama,
            (Self::OpenAiCompatible | Self::Auto, _) => Dialect::OpenAi,
        }
    }
}
