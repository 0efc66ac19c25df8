//! Ollama beyond its dialect: whether a server is one, what it says of a model, and what becomes
//! of a prompt that is larger than its context.
//!
//! It cuts such a prompt without saying so, and reloads a model for everybody when a request
//! asks for another context size than the one before. So both are looked at before a prompt is
//! sent.

mod facts;
mod lookup;
mod settings;
pub(super) mod window;

pub use self::settings::{KeepAlive, OllamaSettings, Think};
pub(super) use self::{
    facts::{Facts, Loaded, Version},
    lookup::{Known, Lookup},
};
