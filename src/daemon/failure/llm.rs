//! Sentences for what can go wrong between the machine and the model.

use std::{fmt, path::Path};

use crate::{
    llm::{Clock, EndpointError, Error, HeaderProblem, InvalidHeader, ServerKind, TlsOptions},
    protocol::{ErrorCode, ErrorData, ErrorObject, StageName},
    ssh,
};

use super::refusal::{refusal, too_long};

/// What a sentence about an LLM server has to name: whose `localhost` is meant is the
/// commonest confusion.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Scene {
    /// The last hop.
    pub(in crate::daemon) host: String,
    /// Where the server listens, seen from there.
    pub(in crate::daemon) endpoint: String,
    /// What it has to prove; `None` without TLS.
    pub(in crate::daemon) tls: Option<TlsOptions>,
    /// The model asked.
    pub(in crate::daemon) model: Option<String>,
}

impl Scene {
    /// The file of authorities that the profile names.
    pub(super) fn ca_path(&self) -> Option<&Path> {
        self.tls.as_ref()?.ca_path.as_deref()
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} on {}", self.endpoint, self.host)
    }
}

/// Why the LLM server did not do what was asked.
pub(in crate::daemon) fn llm(error: &Error<ssh::Error>, scene: &Scene) -> ErrorObject {
    use ErrorCode as Code;
    let told = |code, stage, message: String| {
        let mut data = ErrorData::new(code, error.is_transient());
        data.stage = stage;
        data.host = Some(scene.host.clone());
        super::with_data(data, message)
    };
    // Of a server that was never heard, the way to it tells more than its silence.
    if let Error::NoReply {
        source: Some(source),
    } = error
        && let Some(ssh::Lost(error)) = carriers(source)
    {
        return super::ssh(error);
    }
    match error {
        Error::Open(error) => super::ssh(error),
        Error::Header(problem) => header(problem),
        Error::Tls(failure) => super::tls::tls(failure, scene),
        Error::NoReply {
            source: Some(source),
        }
        | Error::Interrupted {
            source: Some(source),
        } if carriers::<ssh::SlowConsumer>(source).is_some() => told(
            Code::SlowConsumer,
            None,
            format!(
                "The answer of {scene} came faster than it was read here, so it was given up to \
                     protect the others. The text so far is kept. Read the daemon's output faster."
            ),
        ),
        Error::NoReply { source } => {
            let mut error = told(
                Code::ApiUnavailable,
                Some(StageName::Http),
                format!(
                    "{scene} closed the connection without an answer. Is the LLM server running there?{}",
                    cause(source.as_ref())
                ),
            );
            // What many servers do to those who ask them without TLS.
            let hint = "If the server wants TLS, write https:// in the endpoint.";
            error.data.hint = scene.tls.is_none().then(|| hint.to_owned());
            error
        }
        Error::Interrupted { source } => told(
            Code::StreamInterrupted,
            None,
            format!(
                "The connection to {scene} ended in the middle of the answer. The text so far is \
                 kept.{}",
                cause(source.as_ref())
            ),
        ),
        Error::NotHttp { said } => told(
            Code::ApiProtocolError,
            Some(StageName::Http),
            format!(
                "What listens on {scene} is not an HTTP server (it said: {said}). Check the port."
            ),
        ),
        Error::UnexpectedContent {
            content_type,
            excerpt: _,
        } => told(
            Code::ApiProtocolError,
            Some(StageName::Server),
            if content_type.starts_with("application/json") {
                format!(
                    "{scene} answers with JSON that no LLM server's API sends. Check the port and \
                     the base path."
                )
            } else {
                format!(
                    "{scene} answers with {content_type} instead of JSON, so it is not an LLM \
                     server's API. Check the port and the base path."
                )
            },
        ),
        Error::Redirected { status, location } => {
            let mut error = told(
                Code::ApiError,
                Some(StageName::Server),
                format!(
                    "{scene} redirects (HTTP {status}) to {}. Redirects are not followed: put the \
                     right address into the profile.",
                    location.as_deref().unwrap_or("nowhere")
                ),
            );
            error.data.http_status = Some(*status);
            error
        }
        Error::Protocol(problem) => told(
            Code::ApiProtocolError,
            Some(StageName::Server),
            format!("{scene} did not answer as an LLM server does: {problem}."),
        ),
        Error::Refused(said) => refusal(said, scene),
        Error::TooLong { needed, available } => told(
            Code::ApiContextOverflow,
            None,
            format!("{} It was not sent.", too_long(*needed, *available, scene)),
        ),
        Error::CannotContinue { server } => {
            let known = match server {
                ServerKind::Generic => String::new(),
                server => format!(" ({})", server.as_str()),
            };
            told(
                Code::ApiContinueUnsupported,
                None,
                format!(
                    "{scene}{known} can't go on with an answer that was cut short: llama.cpp, vLLM, \
                     SGLang and Ollama can. Ask again instead."
                ),
            )
        }
        Error::Timeout { clock, limit } => {
            let seconds = limit.as_secs_f64();
            let (code, stage, message) = match clock {
                Clock::Connect => (
                    Code::TimeoutConnect,
                    Some(StageName::Forward),
                    format!(
                        "{scene} did not take the request within {seconds} s. Is it overloaded? \
                         If the way there is slow, raise timeouts.connectMs."
                    ),
                ),
                Clock::FirstToken => (
                    Code::TimeoutFirstToken,
                    None,
                    format!(
                        "{scene} did not begin to answer within {seconds} s. If it is loading a \
                         large model, raise timeouts.firstTokenMs."
                    ),
                ),
                Clock::Idle => (
                    Code::TimeoutIdle,
                    None,
                    format!(
                        "{scene} went silent for {seconds} s in the middle of the answer \
                         (timeouts.idleMs). The text so far is kept."
                    ),
                ),
                Clock::Total => (
                    Code::TimeoutTotal,
                    None,
                    format!("{scene} did not finish within {seconds} s (timeouts.totalMs)."),
                ),
            };
            told(code, stage, message)
        }
    }
}

/// Why the LLM server did not say what it is and has; its clock is not a prompt's.
pub(in crate::daemon) fn discovery(error: &Error<ssh::Error>, scene: &Scene) -> ErrorObject {
    let Error::Timeout {
        clock: Clock::FirstToken | Clock::Idle | Clock::Total,
        limit,
    } = error
    else {
        return llm(error, scene);
    };
    let mut data = ErrorData::new(ErrorCode::TimeoutDiscovery, true);
    data.stage = Some(StageName::Http);
    data.host = Some(scene.host.clone());
    super::with_data(
        data,
        format!(
            "{scene} accepts connections, but did not say within {} s which models it has \
             (timeouts.discoveryMs). Is it overloaded, or not an LLM server?",
            limit.as_secs_f64()
        ),
    )
}

/// An `apiEndpoint` that can't be used.
pub(in crate::daemon) fn endpoint(problem: &EndpointError) -> ErrorObject {
    let mut error = super::plain(
        ErrorCode::ConfigInvalid,
        &format!("`llm.apiEndpoint`: {problem}."),
    );
    error.data.field = Some("llm.apiEndpoint".to_owned());
    error
}

fn header(InvalidHeader { name, problem }: &InvalidHeader) -> ErrorObject {
    let problem = match problem {
        HeaderProblem::Name => "has a character that a header's name can't have",
        HeaderProblem::Value => "has a value that can't be sent",
        HeaderProblem::Reserved => "is set by the connection itself; leave it out",
    };
    // The API key becomes this header; the user never wrote its name.
    let field = if name.eq_ignore_ascii_case("authorization") {
        "llm.apiKey"
    } else {
        "llm.headers"
    };
    let mut error = super::plain(
        ErrorCode::ConfigInvalid,
        &format!("`{field}`: the header {name:?} {problem}."),
    );
    error.data.field = Some(field.to_owned());
    error
}

/// What the stream itself says of its end.
fn carriers<T: std::error::Error + 'static>(source: &std::io::Error) -> Option<&T> {
    source.get_ref()?.downcast_ref()
}

fn cause(source: Option<&std::io::Error>) -> String {
    source.map_or_else(String::new, |source| format!(" ({source})"))
}
