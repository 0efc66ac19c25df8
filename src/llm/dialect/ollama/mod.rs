//! Ollama's own `/api/chat`: the only way to set its context size, to have it refuse a prompt
//! that does not fit instead of cutting it, and to hear of errors within an answer.

mod message;
mod object;
mod request;

pub(in crate::llm) use self::{message::unsendable_images, request::Terms};
pub(super) use self::{object::delta, request::body};
