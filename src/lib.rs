//! puffin-remote-llm: an LLM server on another machine, reached over SSH.
//!
//! The rooms of the house, each named after the one thing it knows:
//!
//! | room | knows |
//! |---|---|
//! | [`protocol`] | the wire: plain serde types, method table, error codes, JSON Schema |
//! | [`rpc`] | a JSON-RPC peer on two byte pipes |
//! | [`ssh`] | how to reach a machine as OpenSSH would, and open byte streams on it |
//! | [`llm`] | an LLM server's API over any byte stream |
//! | [`conversation`] | one prompt to its end: stream, tool calls, results, stream … |
//! | [`config`] | what the user saved |
//! | [`daemon`] | every other room: it composes them, and only it maps errors to the wire |
//!
//! Rooms do not know their siblings (`conversation` → `llm` is the one exception);
//! `tests/it/architecture.rs` checks that.

pub mod config;
pub mod conversation;
pub mod daemon;
#[cfg(test)]
mod fuzz_inputs;
pub mod llm;
pub mod protocol;
pub mod rpc;
pub mod ssh;
