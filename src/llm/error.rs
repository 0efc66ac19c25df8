//! Everything that can go wrong between us and an LLM server.

use std::{fmt, io, time::Duration};

use super::{
    carrier::Carrier, http::TlsFailure, model::ServerKind, options::InvalidHeader, refusal::Refusal,
};

/// Why a request did not succeed. Text of the server in it is sanitised, shortened and free of
/// our secrets.
#[derive(Debug, thiserror::Error)]
pub enum Error<E: Carrier> {
    /// A header of the options cannot be sent. The configuration has to change.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// No byte stream to the server: the carrier's error says why.
    #[error("no connection to the server")]
    Open(#[source] E),
    /// No secure connection to the server, or one too many where it wants none.
    #[error(transparent)]
    Tls(#[from] TlsFailure),
    /// The connection ended before any answer. The server may have read the request.
    #[error("the server closed the connection without an answer")]
    NoReply {
        #[source]
        source: Option<io::Error>,
    },
    /// The connection or the stream ended in the middle of the answer. What came is kept.
    #[error("the answer was cut off")]
    Interrupted {
        #[source]
        source: Option<io::Error>,
    },
    /// Something listens there, but it does not speak HTTP.
    #[error("what listens there does not speak HTTP{}", in_brackets(said))]
    NotHttp {
        /// The first bytes it sent, made readable.
        said: String,
    },
    /// An answer of the wrong kind: a login page, most often.
    #[error(
        "expected JSON or an event stream, got {content_type}{}",
        in_brackets(excerpt)
    )]
    UnexpectedContent {
        content_type: String,
        excerpt: String,
    },
    /// A redirect; none is followed.
    #[error("the server redirects (HTTP {status}) to {}", location.as_deref().unwrap_or("nowhere"))]
    Redirected {
        status: u16,
        location: Option<String>,
    },
    /// The server broke the protocol or passed one of our limits.
    #[error("{0}")]
    Protocol(String),
    /// The server understood and said no, before or within its answer.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The prompt was counted, does not fit in the model's context and was not sent. In tokens.
    #[error("the prompt has {needed} tokens, and the model's context {available}")]
    TooLong { needed: u64, available: u64 },
    /// A server of this kind cannot go on with an answer that was cut short. It was not asked to.
    #[error("{} cannot go on with an answer that was cut short", server.as_str())]
    CannotContinue { server: ServerKind },
    /// One of the clocks ran out.
    #[error("{clock} took more than {limit:?}")]
    Timeout { clock: Clock, limit: Duration },
}

fn in_brackets(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(" (it said: {text})")
    }
}

impl<E: Carrier> Error<E> {
    /// Whether the same request may well succeed later with nothing changed. Never true once
    /// output may have been produced: sending again is then a person's decision.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Open(error) => error.is_transient(),
            Self::Tls(failure) => failure.is_transient(),
            Self::NoReply { .. } => true,
            Self::Timeout { clock, .. } => *clock == Clock::Connect,
            Self::Refused(refusal) => refusal.is_transient(),
            Self::Header(_)
            | Self::Interrupted { .. }
            | Self::NotHttp { .. }
            | Self::UnexpectedContent { .. }
            | Self::Redirected { .. }
            | Self::TooLong { .. }
            | Self::CannotContinue { .. }
            | Self::Protocol(_) => false,
        }
    }
}

impl<E: Carrier> From<Fault> for Error<E> {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refusal) => Self::Refused(refusal),
            Fault::Protocol(problem) => Self::Protocol(problem),
            Fault::Unfinished => Self::Interrupted { source: None },
        }
    }
}

/// Which of the four clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Opening the byte stream, or a stall while sending.
    Connect,
    /// From the connection to the first output; discovery uses it for its replies.
    FirstToken,
    /// Silence after the first output.
    Idle,
    /// The whole round.
    Total,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting and sending",
            Self::FirstToken => "the wait for the first output",
            Self::Idle => "a silence within the answer",
            Self::Total => "the whole answer",
        })
    }
}

/// What can be wrong with an answer's content, whoever carried it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    Refused(Refusal),
    Protocol(String),
    /// The stream ended without saying that the answer is whole.
    Unfinished,
}
