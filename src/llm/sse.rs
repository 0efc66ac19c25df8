//! A decoder for `text/event-stream` that does no I/O: bytes in, frames out.
//!
//! It follows the WHATWG event-stream grammar, and beyond it: comments are frames (they are the
//! only sign of life some servers give), an unfinished event is delivered at a clean end (some
//! servers forget the last newline), and nothing grows without bound. `id` and `retry` mean
//! nothing to us. Every byte is looked at once, however the input is cut.

use std::mem;

/// One thing a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A dispatched event; several `data` lines are joined by LF.
    Event { event: Option<String>, data: String },
    /// The text after the colon of a comment line.
    Comment(String),
}

/// A line or an event was longer than we are ready to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooLong {
    #[error("a line of the stream is longer than {LINE} bytes")]
    Line,
    #[error("an event of the stream is longer than {EVENT} bytes")]
    Event,
}

/// Longest line, in bytes.
pub(super) const LINE: usize = 1024 * 1024;
const EVENT: usize = 4 * 1024 * 1024;
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The line so far, without its terminator.
    line: Vec<u8>,
    /// The last byte was a CR that ended a line: an LF now belongs to it.
    after_cr: bool,
    /// The first line has been taken, so no BOM can follow.
    past_start: bool,
    event: Option<String>,
    data: String,
    has_data: bool,
    invalid_utf8: bool,
    failed: Option<TooLong>,
}

impl Decoder {
    /// Decodes more bytes; what they complete is pushed to `frames`, also before an error.
    ///
    /// # Errors
    /// When a limit is passed. The decoder is of no use afterwards and repeats the error.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        frames: &mut Vec<Frame>,
    ) -> Result<(), TooLong> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = loop {
            if mem::take(&mut self.after_cr) {
                bytes = match bytes {
                    [] => {
                        self.after_cr = true;
                        break Ok(());
                    }
                    [b'\n', rest @ ..] => rest,
                    _ => bytes,
                };
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + piece.len() > LINE {
                break Err(TooLong::Line);
            }
            self.line.extend_from_slice(piece);
            let Some((terminator, rest)) = rest.split_first() else {
                break Ok(());
            };
            self.after_cr = *terminator == b'\r';
            bytes = rest;
            if let Err(error) = self.end_line(frames) {
                break Err(error);
            }
        };
        if let Err(error) = result {
            *self = Self {
                failed: Some(error),
                ..Self::default()
            };
        }
        result
    }

    /// The input has ended. After a clean end an unfinished line and event count as finished;
    /// after a cut they may be halves of something and are forgotten.
    pub(crate) fn finish(&mut self, clean: bool, frames: &mut Vec<Frame>) -> Result<(), TooLong> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if clean {
            if !self.line.is_empty() {
                self.end_line(frames)?;
            }
            self.dispatch(frames);
        }
        *self = Self::default();
        Ok(())
    }

    /// Whether bytes that are not UTF-8 were replaced since this was last asked.
    pub(crate) fn take_invalid_utf8(&mut self) -> bool {
        mem::take(&mut self.invalid_utf8)
    }

    fn end_line(&mut self, frames: &mut Vec<Frame>) -> Result<(), TooLong> {
        let mut line = mem::take(&mut self.line);
        let result = self.take_line(&line, frames);
        // Keep the allocation, unless one huge line blew it up.
        if line.capacity() <= 64 * 1024 {
            line.clear();
            self.line = line;
        }
        result
    }

    fn take_line(&mut self, line: &[u8], frames: &mut Vec<Frame>) -> Result<(), TooLong> {
        let line = match mem::replace(&mut self.past_start, true) {
            false => line.strip_prefix(BOM).unwrap_or(line),
            true => line,
        };
        if line.is_empty() {
            self.dispatch(frames);
            return Ok(());
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            None => (line, &[][..]),
            Some(colon) => {
                let (field, rest) = line.split_at(colon);
                let value = rest.get(1..).unwrap_or_default();
                (field, value.strip_prefix(b" ").unwrap_or(value))
            }
        };
        match field {
            b"" => {
                let text = self.text(value);
                frames.push(Frame::Comment(text));
            }
            b"event" => self.event = Some(self.text(value)).filter(|name| !name.is_empty()),
            b"data" => {
                let text = self.text(value);
                if self.data.len() + text.len() + 1 > EVENT {
                    return Err(TooLong::Event);
                }
                if mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(&text);
            }
            _ => {}
        }
        Ok(())
    }

    /// An event without a data line is no event.
    fn dispatch(&mut self, frames: &mut Vec<Frame>) {
        let event = self.event.take();
        let data = mem::take(&mut self.data);
        if mem::take(&mut self.has_data) {
            frames.push(Frame::Event { event, data });
        }
    }

    fn text(&mut self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        self.invalid_utf8 |= matches!(text, std::borrow::Cow::Owned(_));
        text.into_owned()
    }
}

#[cfg(test)]
mod tests;
