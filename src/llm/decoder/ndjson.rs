//! A decoder for newline-delimited JSON that does no I/O: bytes in, frames out.
//!
//! A line is an event; blank lines are none. What [`sse`](super::sse) promises holds here too: a
//! BOM is skipped, a last line without its newline is delivered at a clean end, no line grows
//! without bound, and every byte is looked at once, however the input is cut.

use std::{borrow::Cow, mem};

use super::{
    limits::{Limits, TooLarge},
    line::{self, Ending, Lines},
    sse::Frame,
};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Decoder {
    limits: Limits,
    lines: Lines,
    invalid_utf8: bool,
    failed: Option<TooLarge>,
}

impl Decoder {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            lines: Lines::new(Ending::Lf, limits.line),
            invalid_utf8: false,
            failed: None,
        }
    }

    /// Decodes more bytes; what they complete is pushed to `frames`, also before an error.
    ///
    /// # Errors
    /// When a line is too long. The decoder is of no use afterwards and repeats the error.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        frames: &mut Vec<Frame>,
    ) -> Result<(), TooLarge> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        loop {
            match self.lines.next(&mut bytes) {
                Ok(Some(line)) => self.invalid_utf8 |= take_line(line, frames),
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.forget();
                    self.failed = Some(error);
                    return Err(error);
                }
            }
        }
    }

    /// The input has ended. After a clean end an unfinished line counts as finished; after a cut
    /// it may be half of something and is forgotten.
    ///
    /// # Errors
    /// As of [`Self::feed`].
    pub(crate) fn finish(&mut self, clean: bool, frames: &mut Vec<Frame>) -> Result<(), TooLarge> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if clean && let Some(line) = self.lines.last() {
            self.invalid_utf8 |= take_line(line, frames);
        }
        self.forget();
        Ok(())
    }

    /// Whether bytes that are not UTF-8 were replaced since this was last asked.
    pub(crate) fn take_invalid_utf8(&mut self) -> bool {
        mem::take(&mut self.invalid_utf8)
    }

    /// Makes it as good as new, whether it has replaced bytes apart.
    fn forget(&mut self) {
        *self = Self {
            invalid_utf8: self.invalid_utf8,
            ..Self::new(self.limits)
        };
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Limits::DEFAULT)
    }
}

/// Returns whether bytes had to be replaced.
fn take_line(line: &[u8], frames: &mut Vec<Frame>) -> bool {
    // The CR of a CRLF, too, is white space to JSON.
    let line = line.trim_ascii();
    if line.is_empty() {
        return false;
    }
    let text = line::text(line);
    let replaced = matches!(text, Cow::Owned(_));
    frames.push(Frame::Event {
        event: None,
        data: text.into_owned(),
    });
    replaced
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{cut, line::BOM};
    use super::*;

    /// Decodes pieces and a clean end; the lines, and whether there was invalid UTF-8.
    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, bool) {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        let mut invalid = false;
        for piece in pieces {
            decoder.feed(piece, &mut frames).unwrap();
            invalid |= decoder.take_invalid_utf8();
        }
        decoder.finish(true, &mut frames).unwrap();
        invalid |= decoder.take_invalid_utf8();
        let lines = frames.into_iter().map(|frame| match frame {
            Frame::Event { event: None, data } => data,
            other => panic!("{other:?}"),
        });
        (lines.collect(), invalid)
    }

    #[test]
    fn every_line_that_is_not_blank_is_an_event() {
        let cases: &[(&[u8], &[&str], bool)] = &[
            (b"", &[], false),
            (b"\n\r\n \t\n", &[], false),
            (
                b"{\"a\":1}\n{\"b\":2}\n",
                &["{\"a\":1}", "{\"b\":2}"],
                false,
            ),
            (
                b"{\"a\":1}\r\n\r\n{\"b\":2}\r\n",
                &["{\"a\":1}", "{\"b\":2}"],
                false,
            ),
            (b"{\"a\":1}\n{\"b\":2}", &["{\"a\":1}", "{\"b\":2}"], false),
            (b"\xEF\xBB\xBF{}\n", &["{}"], false),
            (b"\xEF\xBB\xBF", &[], false),
            (b"{}\n\xEF\xBB\xBF{}\n", &["{}", "\u{feff}{}"], false),
            (b"\"a\rb\"\n", &["\"a\rb\""], false),
            ("\"é🦀\"\n".as_bytes(), &["\"é🦀\""], false),
            (b"\"\xff\xc3\"\n{}\n", &["\"\u{fffd}\u{fffd}\"", "{}"], true),
        ];
        for (bytes, lines, invalid) in cases {
            let expected = (
                lines.iter().map(|line| (*line).to_owned()).collect(),
                *invalid,
            );
            assert_eq!(decode([*bytes]), expected, "{bytes:?}");
            assert_eq!(decode(bytes.chunks(1)), expected, "{bytes:?}, bytewise");
            for at in 0..=bytes.len() {
                let (a, b) = bytes.split_at(at);
                assert_eq!(decode([a, b]), expected, "{bytes:?}, cut at {at}");
            }
        }
    }

    #[test]
    fn a_line_is_there_as_soon_as_it_has_ended() {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        decoder.feed(b"{}\r\n{\"half\":", &mut frames).unwrap();
        assert_eq!(frames.len(), 1);
    }

    #[test]
    fn half_a_line_is_nothing_after_a_cut() {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        decoder.feed(b"{\"done\":true}", &mut frames).unwrap();
        decoder.finish(false, &mut frames).unwrap();
        assert_eq!(frames, []);
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        let line = Limits::DEFAULT.line;
        let too_long = Err(TooLarge::Line(line));
        decoder.feed(&vec![b' '; line], &mut frames).unwrap();
        for _ in 0..2 {
            assert_eq!(decoder.feed(b"x", &mut frames), too_long);
        }
        assert_eq!(decoder.finish(true, &mut frames), too_long);
        assert_eq!((frames, decoder.lines.capacity()), (Vec::new(), 0));
    }

    /// Bytes that look like lines of JSON often enough to be interesting.
    const TOKENS: &[&[u8]] = &[
        b"{\"a\":\"",
        b"\"}",
        b"\n",
        b"\r\n",
        b"\r",
        BOM,
        b"\xff",
        b"\xC3\xA9",
        b"x",
        b" ",
    ];

    proptest! {
        #[test]
        fn any_cut_gives_the_same_lines(
            tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..40),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = tokens.concat();
            let whole = decode([bytes.as_slice()]);
            prop_assert_eq!(decode(cut(&bytes, &cuts)), whole.clone());
            prop_assert_eq!(decode(bytes.chunks(1)), whole);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1..20usize) {
            prop_assert_eq!(decode(bytes.chunks(size)), decode([bytes.as_slice()]));
        }
    }
}
