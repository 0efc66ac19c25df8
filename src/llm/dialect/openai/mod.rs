//! OpenAI's chat completions, as servers that imitate them really speak.

mod answer;
mod arguments;
mod calls;
mod chunk;
mod message;
mod names;
mod request;

#[cfg(test)]
mod conformance;

pub(in crate::llm) use self::{
    answer::Answer,
    names::Names,
    request::{Adjustments, body},
};
