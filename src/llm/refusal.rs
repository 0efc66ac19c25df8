//! A server's "no": read from the many shapes of error bodies, and sorted by what would help.
//!
//! The same trouble comes under different status numbers from different servers, so the text
//! decides first and the number only where the text says nothing.

use std::time::Duration;

use super::{json, sanitize::Redactor};

mod numbers;
mod shape;

pub(crate) use shape::{Said, error_in, from_json, from_text};

/// A server's refusal, before or within its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub kind: RefusalKind,
    /// `None` when it came within an answer that had begun with 200.
    pub status: Option<u16>,
    /// The server's own words: sanitised, at most 2 KiB, without our secrets. Never empty.
    pub message: String,
    /// When the server wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// No key, or not the right one.
    Auth,
    /// The server wants another `Host` header; Ollama on loopback says so with an empty 403.
    HostHeader,
    /// The port wants HTTPS.
    NeedsTls,
    /// There is no API under this path: the base path of the endpoint is wrong.
    WrongPath,
    /// The server has no such model, or does not load it by itself.
    InvalidModel,
    /// The prompt does not fit. Numbers are tokens, where the server tells them.
    ContextOverflow {
        needed: Option<u64>,
        available: Option<u64>,
    },
    /// Too many requests, or a full queue.
    RateLimited,
    /// The model is being loaded; asking again in a second or two is right.
    Loading,
    /// Tools need a flag at the server, or another model. The hint is for its administrator.
    ToolsUnsupported { hint: Option<&'static str> },
    /// The model cannot see.
    ImagesUnsupported,
    /// The server, or the one behind it, is not there.
    Unavailable,
    /// Anything else.
    Other,
}

impl Refusal {
    /// Whether the same request may succeed later with nothing changed. Not once an answer had
    /// begun: part of it may have been told.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use RefusalKind as Kind;
        if self.status.is_none() {
            return false;
        }
        match self.kind {
            Kind::RateLimited | Kind::Loading | Kind::Unavailable => true,
            Kind::Auth
            | Kind::HostHeader
            | Kind::NeedsTls
            | Kind::WrongPath
            | Kind::InvalidModel
            | Kind::ContextOverflow { .. }
            | Kind::ToolsUnsupported { .. }
            | Kind::ImagesUnsupported
            | Kind::Other => false,
        }
    }
}

/// Reads the body of an HTTP error.
pub(crate) fn of_response(
    status: u16,
    body: &[u8],
    retry_after: Option<Duration>,
    redactor: &Redactor,
) -> Refusal {
    let said = match json::parse(body) {
        Ok(json) => from_json(&json),
        Err(_) => from_text(&String::from_utf8_lossy(body)),
    };
    let mut refusal = sort(Some(status), &said, redactor);
    refusal.retry_after = retry_after;
    refusal
}

/// Reads an error object within a stream, or in a body that came with 200.
pub(crate) fn in_stream(said: &Said, redactor: &Redactor) -> Refusal {
    sort(None, said, redactor)
}

fn sort(status: Option<u16>, said: &Said, redactor: &Redactor) -> Refusal {
    // Within a stream the error's own code stands in for the status.
    let number = status.or(said.code_number());
    let shown = redactor.clean(first_paragraph(&said.message));
    let message = match (shown.is_empty(), number) {
        (false, _) => shown,
        (true, Some(number)) => format!("HTTP {number} without an explanation"),
        (true, None) => "an error without an explanation".to_owned(),
    };
    Refusal {
        kind: kind(number, said),
        status,
        message,
        retry_after: None,
    }
}

/// Gateways append their life's story, Python servers a traceback.
fn first_paragraph(text: &str) -> &str {
    let text = text.trim();
    text.split_once("\n\n").map_or(text, |(first, _)| first)
}

fn kind(status: Option<u16>, said: &Said) -> RefusalKind {
    let text = said.haystack();
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    let is = |numbers: &[u16]| status.is_some_and(|status| numbers.contains(&status));

    if (status.is_none() || is(&[400, 413, 422, 500])) && has(OVERFLOW) {
        let (needed, available) = numbers::of_overflow(said);
        return RefusalKind::ContextOverflow { needed, available };
    }
    if has(HTTPS_PORT) {
        return RefusalKind::NeedsTls;
    }
    if has(&["invalid host header"]) || (is(&[403]) && said.message.trim().is_empty()) {
        return RefusalKind::HostHeader;
    }
    // Who is not let in, rather than what.
    if (is(&[401, 403]) && !has(&["moderation"])) || has(AUTH) {
        return RefusalKind::Auth;
    }
    if has(LOADING) && !has(&["fail", "could not"]) {
        return RefusalKind::Loading;
    }
    if let Some((_, hint)) = TOOLS.iter().find(|(phrase, _)| text.contains(phrase)) {
        return RefusalKind::ToolsUnsupported { hint: *hint };
    }
    // A template that cannot do tools; one that dislikes something else says so without the word.
    if has(&["jinja", "chat template"]) && has(&["tool"]) {
        return RefusalKind::ToolsUnsupported { hint: None };
    }
    if has(IMAGES) {
        return RefusalKind::ImagesUnsupported;
    }
    if names_a_missing_model(&first_paragraph(&said.message).to_lowercase())
        || text.contains("model_not_found")
        || said.param.as_deref() == Some("model") && is(&[404])
    {
        return RefusalKind::InvalidModel;
    }
    // mlx-lm says 404 to whatever goes wrong.
    let is_of_path = || text.trim().is_empty() || has(NO_SUCH_ROUTE);
    if is(&[405]) || (is(&[404]) && is_of_path()) || has(&["unexpected endpoint or method"]) {
        return RefusalKind::WrongPath;
    }
    if is(&[429, 529]) || (is(&[503]) && has(BUSY)) {
        return RefusalKind::RateLimited;
    }
    if is(&[408, 502, 503, 504]) || has(BACKEND_GONE) {
        return RefusalKind::Unavailable;
    }
    RefusalKind::Other
}

/// Bare "exceeds", "max_tokens" or "too long" are not enough: they are about other limits too.
const OVERFLOW: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size_error",
    "context_window_exceeded",
    "contextwindowexceeded",
    "context length",
    "context window",
    "context size",
    "maximum context",
    "prompt is too long",
    "prompt is longer than",
    "reduce the length",
    "exceeds the available context",
    "does not fit in context",
    "trying to keep the first",
    "context limit",
    "maximum allowed length",
    "maximum model length",
    "`inputs` must have less than",
    "`inputs` tokens + `max_new_tokens` must be",
    "should not exceed max_num_tokens",
    "max_seq_len",
    "input token count",
];

/// What servers of HTTPS say to plain HTTP: nginx, Go, Apache, Netty.
const HTTPS_PORT: &[&str] = &[
    "plain http request was sent to https port",
    "client sent an http request to an https server",
    "speaking plain http to an ssl-enabled",
    "combination of host and port requires tls",
];

const IMAGES: &[&str] = &[
    "image input is not supported",
    "support image input",
    "does not support image",
    "missing data required for image input",
    "not a multimodal model",
    "at most 0 image",
    "no vision",
];

/// Of a gateway, or of a server whose engine has died.
const BACKEND_GONE: &[&str] = &[
    "connection error",
    "connection refused",
    "cannot connect to host",
    "could not establish connection",
    "peer closed connection",
    "no available replica",
    "no healthy upstream",
    "enginecore encountered an issue",
];

const AUTH: &[&str] = &[
    "no_db_connection",
    "invalid api key",
    "invalid_api_key",
    "incorrect api key",
    "authentication_error",
    "authenticationerror",
];

const LOADING: &[&str] = &[
    "loading model",
    "model is loading",
    "model is still loading",
    "currently loading",
    "is currently being loaded",
];

/// Of a 404, that it is about the path.
const NO_SUCH_ROUTE: &[&str] = &[
    "found",
    "route",
    "path",
    "endpoint",
    "method",
    "url",
    "cannot post",
    "html page",
    "no such",
];

const BUSY: &[&str] = &[
    "maximum pending",
    "queue",
    "overloaded",
    "busy",
    "capacity",
    "too many",
];

const TOOLS: &[(&str, Option<&str>)] = &[
    (
        "--enable-auto-tool-choice",
        Some("start vLLM with --enable-auto-tool-choice and --tool-call-parser"),
    ),
    (
        "--tool-call-parser",
        Some("start the server with --tool-call-parser"),
    ),
    ("--jinja", Some("start llama-server with --jinja")),
    (
        "--tool_parser",
        Some("start trtllm-serve with --tool_parser"),
    ),
    ("does not support tool", Some(OTHER_MODEL)),
    ("support tool use", Some(OTHER_MODEL)),
    ("tools are not supported", Some(OTHER_MODEL)),
    ("tools param requires", None),
];

const OTHER_MODEL: &str = "choose a model that can call tools";

fn names_a_missing_model(text: &str) -> bool {
    const MISSING: &[&str] = &[
        "not found",
        "does not exist",
        "is not loaded",
        "not loaded",
        "no such",
        "unknown model",
        "no models loaded",
        "no models are",
        "no model is loaded",
        "not a valid model",
        "invalid model identifier",
    ];
    text.contains("invalid model name")
        || (text.contains("model") && MISSING.iter().any(|phrase| text.contains(phrase)))
}

#[cfg(test)]
mod tests;
