//! How a server is to be talked to: keys, headers, clocks.

use std::{fmt, path::PathBuf, time::Duration};

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use secrecy::{ExposeSecret, SecretString};

use super::{api_type::ApiType, model::TypedModel, ollama::OllamaSettings, sanitize::Redactor};

/// What a header's value has in the place of [`ChatRequest::affinity`](super::ChatRequest::affinity).
const CONVERSATION: &str = "{conversationId}";

/// `Debug` shows no secret.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Sent as `Authorization: Bearer`, unless a header below says otherwise.
    pub api_key: Option<SecretString>,
    /// What `Host` says; the endpoint's host and port if absent.
    pub host_header: Option<String>,
    /// A value with `{conversationId}` goes only with requests of a conversation.
    pub headers: Vec<(String, String)>,
    pub secret_headers: Vec<(String, SecretString)>,
    /// Name of the header that carries [`ChatRequest::affinity`](super::ChatRequest::affinity).
    pub affinity_header: Option<String>,
    pub tls: TlsOptions,
    pub clocks: Clocks,
    pub retries: Retries,
    pub api_type: ApiType,
    pub ollama: OllamaSettings,
    /// What is known of models, whatever the server says.
    pub models: Vec<TypedModel>,
}

/// What an `https` server has to prove. Without effect on others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// A PEM file with the authorities to believe, or with the server's own certificate, instead
    /// of the platform's authorities; revocation lists in it are heeded. Read when connecting.
    pub ca_path: Option<PathBuf>,
    /// The name or address in the certificate, and the name asked for (SNI); the endpoint's host
    /// if absent.
    pub server_name: Option<String>,
}

/// How often a failed request for an answer may be sent again, where that is harmless or as good
/// as. Waiting for a model that is loading is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// The most for one request, for whatever reasons; 0 is never.
    pub max: u32,
    /// Whether a request that the server may have read goes again when the connection died
    /// before any answer. The server may then work on it twice.
    pub ambiguous: bool,
}

impl Retries {
    /// Whether a request may be put at the risk that nobody knows what became of it.
    pub(crate) fn allow_doubt(&self) -> bool {
        self.max > 0 && self.ambiguous
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            max: 2,
            ambiguous: true,
        }
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Opening the byte stream; also the longest stall while sending.
    pub connect: Duration,
    /// From the connection to the first output. Comments and role deltas don't stop it.
    pub first_token: Duration,
    /// Between bytes after the first output; `None`: as is fit for the kind of server
    /// needs it.
    pub idle: Option<Duration>,
    /// From the call to the end of the answer.
    pub total: Option<Duration>,
    /// One whole discovery.
    pub discovery: Duration,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_token: Duration::from_secs(600),
            idle: None,
            total: None,
            discovery: Duration::from_secs(10),
        }
    }
}

/// A configured header that cannot be sent. Its value is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the header {name:?} {problem}")]
pub struct InvalidHeader {
    pub name: String,
    pub problem: HeaderProblem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderProblem {
    Name,
    Value,
    /// It belongs to the transport.
    Reserved,
}

impl fmt::Display for HeaderProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "has a character that a header's name cannot have",
            Self::Value => "has a value with a control character",
            Self::Reserved => "is set by the transport itself",
        })
    }
}

/// Setting one of these would change where messages end or what may be read.
const RESERVED: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Options {
    /// Checks every header.
    ///
    /// # Errors
    /// The first header that cannot be sent.
    pub fn check(&self) -> Result<(), InvalidHeader> {
        self.header_map().map(drop)
    }

    /// The headers that every request carries; those of a conversation are checked, and missing.
    pub(crate) fn header_map(&self) -> Result<HeaderMap, InvalidHeader> {
        let mut map = HeaderMap::new();
        map.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("puffin-remote-llm/", env!("CARGO_PKG_VERSION"))),
        );
        if let Some(key) = self
            .api_key
            .as_ref()
            .filter(|key| !key.expose_secret().is_empty())
        {
            let bearer = SecretString::from(format!("Bearer {}", key.expose_secret()));
            let value = header_value("authorization", bearer.expose_secret(), true)?;
            map.insert(AUTHORIZATION, value);
        }
        for (name, value) in &self.headers {
            let (key, value) = (header_name(name)?, header_value(name, value, false)?);
            if !is_of_conversation(&value) {
                map.insert(key, value);
            }
        }
        for (name, value) in &self.secret_headers {
            map.insert(
                header_name(name)?,
                header_value(name, value.expose_secret(), true)?,
            );
        }
        if let Some(name) = &self.affinity_header {
            header_name(name)?;
        }
        Ok(map)
    }

    /// The headers of one conversation's requests, the affinity header among them.
    pub(crate) fn headers_of(
        &self,
        conversation: &str,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidHeader> {
        let templated = self.headers.iter().filter_map(|(name, value)| {
            let is_one = value.contains(CONVERSATION);
            is_one.then(|| (name, value.replace(CONVERSATION, conversation)))
        });
        let affinity = self.affinity_header.as_ref();
        let affinity = affinity.map(|name| (name, conversation.to_owned()));
        affinity
            .into_iter()
            .chain(templated)
            .map(|(name, value)| Ok((header_name(name)?, header_value(name, &value, false)?)))
            .collect()
    }

    /// Tokens of context that Ollama is to load a model with: as typed in for it, else as for all.
    pub(crate) fn num_ctx(&self, model: &str) -> Option<u64> {
        let typed = self.models.iter().find(|typed| typed.id == model);
        typed
            .and_then(|typed| typed.context_window)
            .or(self.ollama.num_ctx)
    }

    pub(crate) fn redactor(&self) -> Redactor {
        let headers = self.secret_headers.iter().map(|(_, value)| value.clone());
        Redactor::new(self.api_key.iter().cloned().chain(headers))
    }
}

fn is_of_conversation(value: &HeaderValue) -> bool {
    let conversation = CONVERSATION.as_bytes();
    let mut windows = value.as_bytes().windows(conversation.len());
    windows.any(|window| window == conversation)
}

fn header_name(name: &str) -> Result<HeaderName, InvalidHeader> {
    let invalid = |problem| InvalidHeader {
        name: name.to_owned(),
        problem,
    };
    let parsed: HeaderName = name.parse().map_err(|_| invalid(HeaderProblem::Name))?;
    if RESERVED.contains(&parsed.as_str()) {
        return Err(invalid(HeaderProblem::Reserved));
    }
    Ok(parsed)
}

fn header_value(name: &str, value: &str, secret: bool) -> Result<HeaderValue, InvalidHeader> {
    let mut value = HeaderValue::from_str(value).map_err(|_| InvalidHeader {
        name: name.to_owned(),
        problem: HeaderProblem::Value,
    })?;
    value.set_sensitive(secret);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_header(name: &str, value: &str) -> Options {
        Options {
            headers: vec![(name.into(), value.into())],
            ..Options::default()
        }
    }

    #[test]
    fn a_header_that_could_break_the_message_is_refused() {
        for (name, value, problem) in [
            ("X-A\r\n", "1", HeaderProblem::Name),
            ("", "1", HeaderProblem::Name),
            ("X A", "1", HeaderProblem::Name),
            ("X-A", "1\r\nX-B: 2", HeaderProblem::Value),
            ("X-A", "\0", HeaderProblem::Value),
            ("Content-Length", "1", HeaderProblem::Reserved),
            ("transfer-encoding", "chunked", HeaderProblem::Reserved),
            ("Host", "other", HeaderProblem::Reserved),
        ] {
            assert_eq!(
                with_header(name, value).check(),
                Err(InvalidHeader {
                    name: name.into(),
                    problem
                }),
            );
        }
        assert_eq!(with_header("X-Session-Id", "a b").check(), Ok(()));
    }

    #[test]
    fn the_window_of_a_model_comes_before_that_of_all() {
        let typed = |id: &str, context_window| TypedModel {
            id: id.into(),
            context_window,
            ..TypedModel::default()
        };
        let options = Options {
            ollama: OllamaSettings {
                num_ctx: Some(4096),
                ..OllamaSettings::default()
            },
            models: vec![typed("a", Some(8192)), typed("b", None)],
            ..Options::default()
        };
        let asked = ["a", "b", "c"].map(|model| options.num_ctx(model));
        assert_eq!(asked, [Some(8192), Some(4096), Some(4096)]);
        assert_eq!(Options::default().num_ctx("a"), None);
    }

    #[test]
    fn a_key_with_a_line_break_is_refused_without_being_repeated() {
        let options = Options {
            api_key: Some("sk-1\nX: y".into()),
            ..Options::default()
        };
        let error = options.check().unwrap_err();
        assert!(!error.to_string().contains("sk-1"));
    }

    #[test]
    fn the_conversation_s_id_goes_where_its_template_stands_and_nowhere_else() {
        let options = Options {
            affinity_header: Some("X-Session-Id".into()),
            headers: vec![
                ("X-Team".into(), "lab".into()),
                (
                    "X-Dynamo-Session-ID".into(),
                    "puffin/{conversationId}/1".into(),
                ),
            ],
            ..Options::default()
        };
        let always = options.header_map().unwrap();
        assert_eq!(always["x-team"], "lab");
        assert!(!always.contains_key("x-dynamo-session-id"), "{always:?}");
        let of_one: HeaderMap = options.headers_of("c1").unwrap().into_iter().collect();
        assert_eq!(of_one.len(), 2);
        assert_eq!(of_one["x-session-id"], "c1");
        assert_eq!(of_one["x-dynamo-session-id"], "puffin/c1/1");
        assert!(options.headers_of("c\r\n1").is_err());
        assert!(with_header("X-A\r\n", "{conversationId}").check().is_err());
    }

    #[test]
    fn a_secret_header_replaces_the_bearer_key() {
        let options = Options {
            api_key: Some("sk-1".into()),
            secret_headers: vec![("Authorization".into(), "Basic abc".into())],
            ..Options::default()
        };
        let map = options.header_map().unwrap();
        assert_eq!(map[AUTHORIZATION], "Basic abc");
        assert!(!format!("{map:?} {options:?}").contains("abc"));
    }
}
