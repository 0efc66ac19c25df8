//! Cuts bytes into lines; does no I/O.
//!
//! A line that lies whole within the input is handed out where it is; only one that is cut is
//! copied, and each byte of it once. No byte is looked at twice, however the input is cut.

use std::{borrow::Cow, mem};

use memchr::{memchr, memchr2};

use super::limits::TooLarge;

pub(crate) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// A buffer that one long line blew up to more than this is given back.
const SPARE: usize = 64 * 1024;

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// LF. A CR before it is part of the line.
    Lf,
    /// LF, CR or CRLF. A line that a CR ended does not wait to see whether an LF follows.
    Any,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Lines {
    ending: Ending,
    /// Longest line, in bytes.
    limit: usize,
    /// The beginning of a line whose end has not come yet.
    kept: Vec<u8>,
    /// What is kept has been handed out.
    is_told: bool,
    /// The last byte was a CR that ended a line: an LF now belongs to it.
    after_cr: bool,
    /// The first line has been handed out, so no BOM can follow.
    past_start: bool,
}

impl Lines {
    pub(super) fn new(ending: Ending, limit: usize) -> Self {
        Self {
            ending,
            limit,
            kept: Vec::new(),
            is_told: false,
            after_cr: false,
            past_start: false,
        }
    }

    /// The next line, without its end and without a BOM before the first. Takes from `input` what
    /// it needs; `None` is only told once all of that has been taken.
    ///
    /// # Errors
    /// When a line is too long. Nothing good comes after that.
    pub(super) fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'a [u8]>, TooLarge> {
        if mem::take(&mut self.is_told) {
            self.forget();
        }
        if !input.is_empty() && mem::take(&mut self.after_cr) {
            *input = input.strip_prefix(b"\n").unwrap_or(input);
        }
        let end = match self.ending {
            Ending::Lf => memchr(b'\n', input),
            Ending::Any => memchr2(b'\n', b'\r', input),
        };
        let (piece, rest) = input.split_at(end.unwrap_or(input.len()));
        if self.kept.len() + piece.len() > self.limit {
            return Err(TooLarge::Line(self.limit));
        }
        let Some((end, rest)) = rest.split_first() else {
            self.kept.extend_from_slice(piece);
            *input = rest;
            return Ok(None);
        };
        self.after_cr = *end == b'\r';
        *input = rest;
        let is_first = !mem::replace(&mut self.past_start, true);
        let line = if self.kept.is_empty() {
            piece
        } else {
            self.kept.extend_from_slice(piece);
            self.is_told = true;
            &self.kept
        };
        Ok(Some(without_bom(line, is_first)))
    }

    /// The input has ended: the line that it left without an end, if it is not empty.
    pub(super) fn last(&mut self) -> Option<&[u8]> {
        if mem::replace(&mut self.is_told, true) {
            self.forget();
        }
        let is_first = !mem::replace(&mut self.past_start, true);
        Some(without_bom(&self.kept, is_first)).filter(|line| !line.is_empty())
    }

    fn forget(&mut self) {
        if self.kept.capacity() > SPARE {
            self.kept = Vec::new();
        } else {
            self.kept.clear();
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.kept.capacity()
    }
}

/// A text, with U+FFFD for what is not UTF-8. Most is: asking that first is several times as fast.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

fn without_bom(line: &[u8], is_first: bool) -> &[u8] {
    match is_first {
        true => line.strip_prefix(BOM).unwrap_or(line),
        false => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(ending: Ending, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(ending, 1000);
        let mut out = Vec::new();
        for mut piece in pieces.iter().copied() {
            while let Some(line) = lines.next(&mut piece).unwrap() {
                out.push(line.to_vec());
            }
        }
        out.extend(lines.last().map(<[u8]>::to_vec));
        out
    }

    #[test]
    fn a_line_within_the_input_is_not_copied() {
        let input = b"one\ntwo\r\nthr".to_vec();
        let mut rest = input.as_slice();
        let mut lines = Lines::new(Ending::Any, 1000);
        for at in [0..3, 4..7] {
            let line = lines.next(&mut rest).unwrap().unwrap();
            assert!(std::ptr::eq(line, &raw const input[at]));
        }
        assert_eq!(lines.next(&mut rest), Ok(None));
        assert_eq!(lines.next(&mut &b"ee\n"[..]), Ok(Some(&b"three"[..])));
    }

    #[test]
    fn a_cr_ends_a_line_only_where_it_is_said_to() {
        let input = b"a\r\nb\rc\n\rd";
        let of = |ending| lines(ending, &[input]);
        assert_eq!(of(Ending::Any), [&b"a"[..], b"b", b"c", b"", b"d"]);
        assert_eq!(of(Ending::Lf), [&b"a\r"[..], b"b\rc", b"\rd"]);
    }

    #[test]
    fn a_buffer_that_one_long_line_blew_up_is_given_back() {
        let mut lines = Lines::new(Ending::Lf, 1024 * 1024);
        assert_eq!(
            lines.next(&mut vec![b'x'; 1024 * 1024].as_slice()),
            Ok(None)
        );
        assert!(lines.next(&mut &b"\n"[..]).unwrap().is_some());
        assert_eq!(lines.next(&mut &b"short"[..]), Ok(None));
        assert!(lines.capacity() <= SPARE, "{}", lines.capacity());
    }

    proptest! {
        #[test]
        fn a_line_is_never_longer_than_the_limit_and_neither_is_what_is_kept(
            pieces in prop::collection::vec("[ab\n\r]{0,12}", 0..12),
            limit in 0..10usize,
        ) {
            let whole = pieces.concat();
            let is_too_long = whole.split(['\n', '\r']).any(|line| line.len() > limit);
            let mut lines = Lines::new(Ending::Any, limit);
            let mut failed = false;
            'pieces: for piece in &pieces {
                let mut piece = piece.as_bytes();
                loop {
                    match lines.next(&mut piece) {
                        Ok(Some(line)) => prop_assert!(line.len() <= limit),
                        Ok(None) => break,
                        Err(error) => {
                            prop_assert_eq!(error, TooLarge::Line(limit));
                            failed = true;
                            break 'pieces;
                        }
                    }
                }
                prop_assert!(lines.kept.len() <= limit);
            }
            prop_assert_eq!(failed, is_too_long);
        }
    }
}
