//! OpenAI's chat completions, as servers that imitate them really speak.

mod chunk;
mod message;
mod request;

pub(super) use self::{
    chunk::{comment_progress, delta},
    request::body,
};
