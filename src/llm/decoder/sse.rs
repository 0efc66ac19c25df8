//! A decoder for `text/event-stream` that does no I/O: bytes in, frames out.
//!
//! It follows the WHATWG event-stream grammar, and beyond it: comments are frames (they are the
//! only sign of life some servers give), an unfinished event is delivered at a clean end (some
//! servers forget the last newline), and nothing grows without bound. `id` and `retry` mean
//! nothing to us. Every byte is looked at once, however the input is cut.

use std::{borrow::Cow, mem};

use memchr::memchr;

use super::{
    limits::{Limits, TooLarge},
    line::{self, Ending, Lines},
};

/// One thing a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A dispatched event; several `data` lines are joined by LF.
    Event { event: Option<String>, data: String },
    /// The text after the colon of a comment line.
    Comment(String),
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Decoder {
    limits: Limits,
    lines: Lines,
    event: Event,
    failed: Option<TooLarge>,
}

/// An event whose end has not come yet.
#[derive(Debug, Default)]
struct Event {
    name: Option<String>,
    data: Option<String>,
    invalid_utf8: bool,
}

impl Decoder {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            lines: Lines::new(Ending::Any, limits.line),
            event: Event::default(),
            failed: None,
        }
    }

    /// Decodes more bytes; what they complete is pushed to `frames`, also before an error.
    ///
    /// # Errors
    /// When a limit is passed. The decoder is of no use afterwards and repeats the error.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        frames: &mut Vec<Frame>,
    ) -> Result<(), TooLarge> {
        self.checked(|decoder| {
            while let Some(line) = decoder.lines.next(&mut bytes)? {
                decoder.event.line(line, decoder.limits.event, frames)?;
            }
            Ok(())
        })
    }

    /// The input has ended. After a clean end an unfinished line and event count as finished;
    /// after a cut they may be halves of something and are forgotten.
    ///
    /// # Errors
    /// As of [`Self::feed`].
    pub(crate) fn finish(&mut self, clean: bool, frames: &mut Vec<Frame>) -> Result<(), TooLarge> {
        self.checked(|decoder| {
            if clean {
                if let Some(line) = decoder.lines.last() {
                    decoder.event.line(line, decoder.limits.event, frames)?;
                }
                decoder.event.dispatch(frames);
            }
            decoder.forget();
            Ok(())
        })
    }

    /// Whether bytes that are not UTF-8 were replaced since this was last asked.
    pub(crate) fn take_invalid_utf8(&mut self) -> bool {
        mem::take(&mut self.event.invalid_utf8)
    }

    fn checked(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), TooLarge>,
    ) -> Result<(), TooLarge> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = work(self);
        if let Err(error) = result {
            self.forget();
            self.failed = Some(error);
        }
        result
    }

    /// Makes it as good as new, whether it has replaced bytes apart.
    fn forget(&mut self) {
        let invalid_utf8 = self.event.invalid_utf8;
        *self = Self::new(self.limits);
        self.event.invalid_utf8 = invalid_utf8;
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Limits::DEFAULT)
    }
}

impl Event {
    fn line(&mut self, line: &[u8], limit: usize, frames: &mut Vec<Frame>) -> Result<(), TooLarge> {
        if line.is_empty() {
            self.dispatch(frames);
            return Ok(());
        }
        let (field, value) = match memchr(b':', line) {
            None => (line, &[][..]),
            Some(colon) => {
                let (field, rest) = line.split_at(colon);
                let value = rest.get(1..).unwrap_or_default();
                (field, value.strip_prefix(b" ").unwrap_or(value))
            }
        };
        match field {
            b"" => {
                let text = self.text(value).into_owned();
                frames.push(Frame::Comment(text));
            }
            b"event" => {
                let name = self.text(value).into_owned();
                self.name = Some(name).filter(|name| !name.is_empty());
            }
            b"data" => {
                let text = self.text(value);
                let before = self.data.as_ref().map_or(0, |data| data.len() + 1);
                if before + text.len() > limit {
                    return Err(TooLarge::Event(limit));
                }
                match &mut self.data {
                    None => self.data = Some(text.into_owned()),
                    Some(data) => {
                        data.push('\n');
                        data.push_str(&text);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An event without a data line is no event.
    fn dispatch(&mut self, frames: &mut Vec<Frame>) {
        let event = self.name.take();
        if let Some(data) = self.data.take() {
            frames.push(Frame::Event { event, data });
        }
    }

    fn text<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = line::text(bytes);
        self.invalid_utf8 |= matches!(text, Cow::Owned(_));
        text
    }
}

#[cfg(test)]
mod differential;
#[cfg(test)]
mod tests;
