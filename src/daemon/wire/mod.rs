//! Between the wire's types and the rooms' own: plain mappings, one file a subject.
//!
//! They exist so that a change of the contract never reaches a domain room, and a change
//! inside a room never reaches the contract by accident.

pub(super) mod config;
pub(super) mod message;
pub(super) mod model;
pub(super) mod prompt;
