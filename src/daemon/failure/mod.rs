//! The one place where errors become the wire's: a code, a sentence for a person that names
//! the layer, the place and the next step, and the data that programs want.
//!
//! Every `match` here is exhaustive: a new error does not compile until it has a code and a
//! sentence. No sentence holds a secret, a prompt or a tool's output.

mod auth;
mod config;
mod conversation;
mod host_key;
mod llm;
mod ssh;

use crate::protocol::{ErrorCode, ErrorData, ErrorObject};

use super::wire::message::Malformed;

pub(super) use config::config;
pub(super) use conversation::conversation;
pub(super) use llm::{Scene, endpoint, llm};
pub(super) use ssh::ssh;

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

fn with_data(data: ErrorData, message: String) -> ErrorObject {
    ErrorObject {
        code: data.code.number(),
        message,
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
