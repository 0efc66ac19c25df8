//! Between the wire's types and the rooms' own: plain mappings, one file a subject.
//!
//! They exist so that a change of the contract never reaches a domain room, and a change
//! inside a room never reaches the contract by accident.

pub(super) mod config;
pub(super) mod message;
pub(super) mod model;
mod ollama;
pub(super) mod prompt;
pub(super) mod source;

use std::io;

use serde::Serialize;

/// How long a value's JSON is; it is not kept.
pub(super) fn json_bytes(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // What has no JSON form is not sent at all.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}
