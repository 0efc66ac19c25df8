//! Which API a server is asked by, and why.

use super::{
    dialect::Dialect,
    model::{ServerInfo, ServerKind},
};

/// What a profile wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ApiType {
    /// Ollama's own API where the server is Ollama, else the OpenAI-compatible one.
    Auto,
    /// Nothing else is asked for without a reason.
    #[default]
    OpenAiCompatible,
    Ollama,
}

/// The API that prompts go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiChoice {
    pub dialect: Dialect,
    /// For people; reads on after "because".
    pub reason: String,
}

impl ApiType {
    /// The API for a server that turned out to be this.
    #[must_use]
    pub fn choose(self, server: &ServerInfo) -> ApiChoice {
        let is_ollama = server.kind == ServerKind::Ollama;
        let name = name(server);
        let asked = "the profile asks for it";
        let (dialect, reason) = match (self, name) {
            (Self::Auto, Some(name)) if is_ollama => (
                Dialect::Ollama,
                format!("the server is {name}, whose own API can set the context window"),
            ),
            (Self::Auto, Some(name)) => (Dialect::OpenAi, format!("the server is {name}")),
            (Self::Auto, None) => (
                Dialect::OpenAi,
                "nothing tells which program the server is, and nearly all have this API".into(),
            ),
            (Self::OpenAiCompatible, Some(name)) if is_ollama => (
                Dialect::OpenAi,
                format!(
                    "{asked}; the server is {name}, whose own API could set the context window"
                ),
            ),
            (Self::OpenAiCompatible, _) => (Dialect::OpenAi, asked.into()),
            (Self::Ollama, _) if is_ollama => (Dialect::Ollama, asked.into()),
            (Self::Ollama, Some(name)) => (
                Dialect::Ollama,
                format!("{asked}, although the server looks like {name}"),
            ),
            (Self::Ollama, None) => (
                Dialect::Ollama,
                format!("{asked}, although nothing tells that the server is Ollama"),
            ),
        };
        ApiChoice { dialect, reason }
    }
}

/// The server's program and version, as far as they are known.
fn name(server: &ServerInfo) -> Option<String> {
    let program = match server.kind {
        ServerKind::Generic => return None,
        ServerKind::Ollama => "Ollama",
        kind => kind.as_str(),
    };
    Some(match &server.version {
        Some(version) => format!("{program} {version}"),
        None => program.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_says_what_it_is_made_by() {
        use ApiType::{Auto, Ollama, OpenAiCompatible};
        let ollama = (ServerKind::Ollama, Some("0.12.3"));
        let vllm = (ServerKind::Vllm, None);
        let unknown = (ServerKind::Generic, None);
        for (api_type, (kind, version), dialect, reason) in [
            (
                Auto,
                ollama,
                Dialect::Ollama,
                "the server is Ollama 0.12.3, whose own API can set the context window",
            ),
            (Auto, vllm, Dialect::OpenAi, "the server is vllm"),
            (
                Auto,
                unknown,
                Dialect::OpenAi,
                "nothing tells which program the server is, and nearly all have this API",
            ),
            (
                OpenAiCompatible,
                ollama,
                Dialect::OpenAi,
                "the profile asks for it; the server is Ollama 0.12.3, whose own API could set \
                 the context window",
            ),
            (
                OpenAiCompatible,
                vllm,
                Dialect::OpenAi,
                "the profile asks for it",
            ),
            (
                OpenAiCompatible,
                unknown,
                Dialect::OpenAi,
                "the profile asks for it",
            ),
            (Ollama, ollama, Dialect::Ollama, "the profile asks for it"),
            (
                Ollama,
                vllm,
                Dialect::Ollama,
                "the profile asks for it, although the server looks like vllm",
            ),
            (
                Ollama,
                unknown,
                Dialect::Ollama,
                "the profile asks for it, although nothing tells that the server is Ollama",
            ),
        ] {
            let server = ServerInfo {
                kind,
                version: version.map(str::to_owned),
            };
            let choice = api_type.choose(&server);
            let choice = (choice.dialect, choice.reason.as_str());
            assert_eq!(choice, (dialect, reason), "{api_type:?} {kind:?}");
        }
    }
}
