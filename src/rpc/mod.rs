//! A JSON-RPC 2.0 peer on two byte pipes: one JSON text a line, both ways.
//!
//! ```text
//! stdin thread ─lines─▶ reader task ─┬ method + id ▶ register token, spawn handler ─ reply ─┐
//!                                    ├ method      ▶ notification, inline, in order         │
//!                                    └ id only     ▶ pending-call table                     ▼
//! handlers ── Outbound::notify / Outbound::call ──────────────────▶ ONE bounded queue ▶ writer task
//! streams ◀── Source::next: asked in turn, when the host is ready ────────────────────────┘
//! ```
//!
//! Rules that everything here serves:
//!
//! 1. Everything leaves through one queue, so what a handler sent before it returned precedes
//!    its reply on the wire. The events of streams wait with their streams, and are told before
//!    what is in the queue.
//! 2. The reader awaits neither that queue nor a handler: a handler may be waiting for a reply
//!    that only the reader can bring. What the reader itself has to say (refusals) is kept apart
//!    until there is room in the queue; see [`Outbound`].
//! 3. A request's cancellation token is registered before its handler is spawned, so a cancel on
//!    the very next line finds it.
//! 4. Every request is answered once, whatever its handler does; a panic answers −32603.
//! 5. No payload is logged, at any level.
//!
//! jsonrpsee serves the inbound half (method table, reply objects, reply size) and its types
//! stop at this door. This room has never heard of SSH or models, and it does not decide when
//! the process ends.

mod calls;
mod decode;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod host_pipe;
mod in_flight;
mod incoming;
mod lane;
mod line;
mod message;
mod outbound;
mod queue;
mod reader;
mod router;
#[cfg(test)]
#[cfg(unix)] // socket pairs
mod tests;
mod writer;

pub use decode::Unreadable;
pub use error::{CallError, ErrorReply, NotSent, code};
pub use host_pipe::HostPipe;
pub use incoming::{Drained, End, Incoming};
pub use lane::{Lane, Notifier, Source};
pub use outbound::Outbound;
pub use router::{Call, Router};
pub use writer::HostWriter;

use std::io::{self, Read};

/// Bounds of a peer. The defaults are the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest message in bytes, either way, without its line end.
    pub message_bytes: usize,
    /// Bytes that may wait to be written. A single larger message takes all of it.
    pub queue_bytes: usize,
    /// Messages that may wait to be written.
    pub queue_lines: usize,
    /// Requests being handled at a time; one more is answered −32009.
    pub in_flight: usize,
    /// Bytes of requests being handled at a time; a request over it is answered −32009. Those
    /// of at most 1 KiB do not count, and a longer one that is the only such is let in.
    pub in_flight_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 16 << 20,
            queue_bytes: 8 << 20,
            queue_lines: 1024,
            in_flight: 1024,
            in_flight_bytes: 256 << 20,
        }
    }
}

/// One end of the conversation with the host.
#[derive(Debug)]
pub struct Peer;

impl Peer {
    /// Starts what reads from `reader` and writes to `writer`.
    ///
    /// Must be called inside a tokio runtime. Nothing is dispatched before
    /// [`Incoming::serve`] runs. Writing ends when every [`Outbound`] is dropped or a write
    /// fails. The thread on `reader` is never joined: it ends at end of file.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(
        reader: impl Read + Send + 'static,
        writer: impl HostWriter,
        limits: Limits,
    ) -> io::Result<(Outbound, Incoming)> {
        let (queue, lines_out) = queue::channel(limits.queue_bytes, limits.queue_lines);
        writer::spawn_writer(writer, lines_out, limits.message_bytes)?;
        let lines_in = reader::spawn_reader(reader, limits.message_bytes)?;
        let outbound = Outbound::start(queue, limits.message_bytes);
        let incoming = Incoming::new(lines_in, outbound.clone(), limits);
        Ok((outbound, incoming))
    }
}
