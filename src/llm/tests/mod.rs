//! The room as a whole against scripted servers, on in-memory byte streams and paused time.

mod authority;
mod captures;
mod clocks;
mod conformance;
mod context;
mod discovery;
mod empty_stream;
mod every_byte;
mod limits;
mod ollama;
mod peer;
mod prefill;
mod resend;
mod servers;
mod tls;
mod transport;
