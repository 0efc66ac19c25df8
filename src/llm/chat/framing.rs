//! The two ways to cut a stream into events.

use crate::llm::{
    limits::{Limits, TooLarge},
    ndjson,
    sse::{self, Frame},
};

/// The decoder that fits the stream's content type.
pub(in crate::llm) enum Framing {
    Events(sse::Decoder),
    Lines(ndjson::Decoder),
}

impl Framing {
    /// Whether a content type, in lower case and without parameters, is that of a stream.
    pub(super) fn of(content_type: &str, limits: Limits) -> Option<Self> {
        match content_type {
            "text/event-stream" => Some(Self::Events(sse::Decoder::new(limits))),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/jsonlines" => Some(Self::Lines(ndjson::Decoder::new(limits))),
            _ => None,
        }
    }

    /// Decodes more bytes; what they complete is pushed to `frames`, also before an error.
    pub(in crate::llm) fn feed(
        &mut self,
        bytes: &[u8],
        frames: &mut Vec<Frame>,
    ) -> Result<(), TooLarge> {
        match self {
            Self::Events(decoder) => decoder.feed(bytes, frames),
            Self::Lines(decoder) => decoder.feed(bytes, frames),
        }
    }

    /// The input has ended, cleanly or not.
    pub(in crate::llm) fn finish(
        &mut self,
        clean: bool,
        frames: &mut Vec<Frame>,
    ) -> Result<(), TooLarge> {
        match self {
            Self::Events(decoder) => decoder.finish(clean, frames),
            Self::Lines(decoder) => decoder.finish(clean, frames),
        }
    }

    /// Whether bytes that are not UTF-8 were replaced since this was last asked.
    pub(in crate::llm) fn take_invalid_utf8(&mut self) -> bool {
        match self {
            Self::Events(decoder) => decoder.take_invalid_utf8(),
            Self::Lines(decoder) => decoder.take_invalid_utf8(),
        }
    }
}
