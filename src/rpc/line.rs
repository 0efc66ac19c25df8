//! Reading lines of bounded length.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What stands between two line ends.
#[derive(PartialEq, Eq)]
pub(super) enum Line {
    /// Not blank; without line end, surrounding white space and byte order mark.
    Text(Vec<u8>),
    /// Longer than allowed, and discarded up to its end.
    TooLong,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::TooLong => f.write_str("TooLong"),
        }
    }
}

/// Splits a byte stream into lines. Memory is bounded by the length limit.
#[derive(Debug)]
pub(super) struct LineReader<R> {
    reader: BufReader<R>,
    limit: usize,
}

impl<R: Read> LineReader<R> {
    /// `limit` counts a whole line, in bytes, without its `\n`.
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(64 << 10, reader),
            limit,
        }
    }

    /// The next line that is not blank; `None` at the end. Blocks.
    ///
    /// The last line need not have a line end: a cut JSON text is not valid JSON, so a line
    /// that the writer's death cut short cannot be mistaken for a whole one.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let Some(line) = self.next_raw()? else {
                return Ok(None);
            };
            let Line::Text(mut text) = line else {
                return Ok(Some(line));
            };
            trim(&mut text);
            if !text.is_empty() {
                return Ok(Some(Line::Text(text)));
            }
        }
    }

    fn next_raw(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        let mut too_long = false;
        let mut any = false;
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or(chunk);
            let used = part.len() + usize::from(end.is_some());
            let at_end_of_file = chunk.is_empty();
            any |= !at_end_of_file;

            if too_long || text.len() + part.len() > self.limit {
                too_long = true;
                text = Vec::new();
            } else {
                text.extend_from_slice(part);
            }
            self.reader.consume(used);

            if end.is_some() || at_end_of_file {
                return Ok(match (any, too_long) {
                    (false, _) => None,
                    (true, true) => Some(Line::TooLong),
                    (true, false) => Some(Line::Text(text)),
                });
            }
        }
    }
}

fn trim(text: &mut Vec<u8>) {
    text.truncate(text.trim_ascii_end().len());
    let body = text
        .strip_prefix(BYTE_ORDER_MARK)
        .unwrap_or(text)
        .trim_ascii_start();
    let lead = text.len() - body.len();
    if lead > 0 {
        text.drain(..lead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hands out at most `step` bytes a read, so that lines straddle reads.
    struct Drip<'a> {
        bytes: &'a [u8],
        step: usize,
    }

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.step.min(self.bytes.len()).min(buffer.len());
            let (head, tail) = self.bytes.split_at(length);
            buffer[..length].copy_from_slice(head);
            self.bytes = tail;
            Ok(length)
        }
    }

    fn lines(bytes: &[u8], step: usize, limit: usize) -> Vec<String> {
        let mut reader = LineReader::new(Drip { bytes, step }, limit);
        let mut lines = Vec::new();
        while let Some(line) = reader.next().unwrap() {
            lines.push(match line {
                Line::Text(text) => String::from_utf8_lossy(&text).into_owned(),
                Line::TooLong => "(too long)".to_owned(),
            });
        }
        lines
    }

    #[test]
    fn line_ends_blank_lines_and_byte_order_marks_are_tolerated() {
        let input = b"\xEF\xBB\xBF{1}\r\n\n  \r\n {2} \n{3}";
        for step in [1, 2, 3, 1000] {
            assert_eq!(lines(input, step, 100), ["{1}", "{2}", "{3}"]);
        }
    }

    #[test]
    fn the_limit_counts_the_whole_line_and_not_each_read() {
        let input = b"12345\n123456\n1234567890123456789\n12345\n";
        for step in [1, 4, 7, 1000] {
            assert_eq!(
                lines(input, step, 5),
                ["12345", "(too long)", "(too long)", "12345"]
            );
        }
    }

    #[test]
    fn a_too_long_last_line_without_an_end_is_reported_once() {
        assert_eq!(lines(b"1\n123456", 2, 5), ["1", "(too long)"]);
    }

    proptest! {
        #[test]
        fn splitting_does_not_depend_on_how_the_bytes_arrive(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            step in 1..20usize,
        ) {
            prop_assert_eq!(lines(&bytes, step, 12), lines(&bytes, 1000, 12));
        }
    }
}
