//! The one place where errors become the wire's: a code, a sentence for a person that names
//! the layer, the place and the next step, and the data that programs want.
//!
//! Every `match` here is exhaustive: a new error does not compile until it has a code and a
//! sentence. No sentence holds a secret, a prompt or a tool's output.

mod auth;
mod config;
mod conversation;
mod forward;
mod history;
mod host_key;
mod llm;
mod refusal;
mod ssh;
mod ssh_config;
mod system;
mod tls;

use crate::protocol::{ErrorCode, ErrorData, ErrorObject};

use super::wire::message::Malformed;

pub(super) use config::config;
pub(super) use conversation::{call, conversation, not_continuable};
pub(super) use history::{history, unsaved};
pub(super) use llm::{Scene, discovery, endpoint, llm};
pub(super) use ssh::ssh;
pub(super) use ssh_config::{draft, ssh_config};

/// An error that is only a code and a sentence.
pub(super) fn plain(code: ErrorCode, message: &str) -> ErrorObject {
    with_data(ErrorData::new(code, false), message.to_owned())
}

/// A param that does not fit.
pub(super) fn invalid_params(field: &str, message: &str) -> ErrorObject {
    let mut error = plain(ErrorCode::InvalidParams, message);
    error.data.field = Some(field.to_owned());
    error
}

/// A method of the protocol that this version does not offer.
pub(super) fn not_built(method: &str) -> ErrorObject {
    plain(
        ErrorCode::NotImplemented,
        &format!("`{method}` is part of the protocol, but this version does not offer it yet."),
    )
}

/// As many prompts run and wait as may.
pub(super) fn busy(prompts: usize) -> ErrorObject {
    with_data(
        ErrorData::new(ErrorCode::HostBusy, true),
        format!(
            "{prompts} prompts are running or waiting, and more may not; wait for some to end, or cancel some."
        ),
    )
}

/// A whole answer that is longer than a message may be.
pub(super) fn answer_too_long() -> ErrorObject {
    plain(
        ErrorCode::ResponseTooBig,
        "The answer is longer than a message may be. `remote-llm/stream-prompt` tells one of any length, piece by piece.",
    )
}

/// A message that can't be understood.
pub(super) fn malformed(malformed: &Malformed) -> ErrorObject {
    let Malformed { field, problem } = malformed;
    invalid_params(field, &format!("`{field}`: {problem}."))
}

/// A defect of ours.
pub(super) fn internal() -> ErrorObject {
    plain(
        ErrorCode::InternalError,
        "Internal error: the request could not be finished. This is a defect; the log has its place.",
    )
}

/// Cancelled as asked; `partial` is the text that had arrived.
pub(super) fn cancelled(partial: Option<String>) -> ErrorObject {
    let mut error = plain(ErrorCode::Cancelled, "Cancelled.");
    error.data.partial = partial;
    error
}

/// Words that Puffin takes for Claude's login wherever it reads them, and what we say for
/// them when a server says them.
const CLAUDES_WORDS: [(&str, &str); 3] = [
    ("failed to authenticate", "could not sign in"),
    ("not logged in", "not signed in"),
    ("token expired", "token ran out"),
];

fn without_claudes_words(mut text: String) -> String {
    for (theirs, ours) in CLAUDES_WORDS {
        // Both spellings are ASCII, so positions in the lower-case text are positions here.
        while let Some(at) = text.to_ascii_lowercase().find(theirs) {
            text.replace_range(at..at + theirs.len(), ours);
        }
    }
    text
}

fn with_data(data: ErrorData, message: String) -> ErrorObject {
    ErrorObject {
        code: data.code.number(),
        message: without_claudes_words(message),
        data: Box::new(data),
    }
}

/// `A`, `A and B`, `A, B and C`.
fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests;
