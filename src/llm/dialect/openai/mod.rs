//! OpenAI's chat completions, as servers that imitate them really speak.

mod chunk;
mod message;
mod request;

#[cfg(test)]
mod conformance;

pub(super) use self::{
    chunk::{comment_progress, delta},
    request::body,
};
