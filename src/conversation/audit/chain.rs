//! Lines that hold on to each other: each has the digest of the one before it, and its own.
//!
//! A line is a JSON object whose last two members are `prev` and `sha256`; the digest is of the
//! line without its own `sha256`. A changed, missing, doubled or moved line breaks the chain. What
//! it cannot show is the end of a file cut off whole lines at a time, or a file written anew.

use std::fmt;
use std::io::{self, BufRead};

use serde_json::Value;

use crate::conversation::digest::sha256;

/// The longest line that is looked at; none of ours is as long.
const LINE_BYTES: usize = 1024 * 1024;

/// `prev` of a first line.
pub(super) const START: &str = "";

/// Ends `object`, a JSON object with at least one member, with its place in the chain. Returns the
/// line, without a line break, and its digest.
pub(super) fn link(object: &str, prev: &str) -> (String, String) {
    let open = object.strip_suffix('}').unwrap_or(object);
    let line = format!("{open},\"prev\":\"{prev}\"}}");
    let digest = sha256(&line);
    let open = line.strip_suffix('}').unwrap_or(&line);
    (format!("{open},\"sha256\":\"{digest}\"}}"), digest)
}

/// A line's own digest, if it fits the line.
pub(super) fn digest_of(line: &str) -> Option<&str> {
    let (open, rest) = line.rsplit_once(",\"sha256\":\"")?;
    let digest = rest.strip_suffix("\"}")?;
    (sha256(format!("{open}}}")) == digest).then_some(digest)
}

/// What a file's chain is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub records: u64,
    /// Records that could not be written, by the file's own word.
    pub dropped: u64,
}

/// The first thing that is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("line {line}: {fault}")]
    Line { line: u64, fault: Fault },
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not one of ours, or changed.
    Changed,
    /// Another line was before it.
    Unlinked,
    /// It was not written to its end.
    Unfinished,
    TooLong,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "it was changed, or is no audit record",
            Self::Unlinked => "the record before it is missing, was moved, or is another one",
            Self::Unfinished => "it ends in the middle",
            Self::TooLong => "it is longer than any record",
        })
    }
}

/// Goes through a file's chain. A file that goes on from another begins with that one's last
/// digest, which is taken as it is.
///
/// # Errors
/// The first line that does not hold.
pub fn verify(mut file: impl BufRead) -> Result<Verified, Broken> {
    let mut verified = Verified {
        records: 0,
        dropped: 0,
    };
    let mut last: Option<String> = None;
    let mut bytes = Vec::new();
    for line in 1.. {
        let broken = |fault| Broken::Line { line, fault };
        bytes.clear();
        let read =
            io::Read::take(&mut file, LINE_BYTES as u64 + 1).read_until(b'\n', &mut bytes)?;
        match bytes.pop() {
            None => break,
            Some(b'\n') => {}
            Some(_) if read > LINE_BYTES => return Err(broken(Fault::TooLong)),
            Some(_) => return Err(broken(Fault::Unfinished)),
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| broken(Fault::Changed))?;
        let digest = digest_of(text).ok_or_else(|| broken(Fault::Changed))?;
        let record: Value = serde_json::from_str(text).map_err(|_| broken(Fault::Changed))?;
        if last.is_some_and(|last| record["prev"] != last.as_str()) {
            return Err(broken(Fault::Unlinked));
        }
        last = Some(digest.to_owned());
        verified.records += 1;
        verified.dropped += record["dropped"].as_u64().unwrap_or(0);
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> String {
        let mut prev = START.to_owned();
        let mut file = String::new();
        for number in 0..4 {
            let (line, digest) = link(&format!("{{\"n\":{number},\"t\":\"ä\"}}"), &prev);
            file += &line;
            file.push('\n');
            prev = digest;
        }
        file
    }

    fn fault(file: impl AsRef<[u8]>) -> Fault {
        match verify(file.as_ref()) {
            Err(Broken::Line { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_untouched_file_holds() {
        let verified = verify(file().as_bytes()).unwrap();
        assert_eq!(verified.records, 4);
        assert_eq!(verify(&b""[..]).unwrap().records, 0);
    }

    #[test]
    fn no_byte_can_be_changed() {
        let file = file().into_bytes();
        for place in 0..file.len() {
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[place] ^= 1 << bit;
                verify(&changed[..]).unwrap_err();
            }
        }
    }

    #[test]
    fn no_line_can_go_come_or_move() {
        let file = file();
        let lines: Vec<_> = file.lines().collect();
        let with = |order: &[usize]| -> String {
            order.iter().map(|&n| format!("{}\n", lines[n])).collect()
        };
        for order in [&[0, 2, 3][..], &[0, 1, 1, 2, 3], &[1, 0, 2, 3], &[0, 3]] {
            assert_eq!(fault(with(order)), Fault::Unlinked, "{order:?}");
        }
        // A file may go on from another.
        assert!(verify(with(&[2, 3]).as_bytes()).is_ok());
    }

    #[test]
    fn a_file_that_ends_in_a_line_says_so() {
        let file = file();
        for end in 1..file.len() {
            let is_whole = file.as_bytes()[end - 1] == b'\n';
            assert_eq!(verify(&file.as_bytes()[..end]).is_ok(), is_whole, "{end}");
        }
        assert_eq!(fault(&file[..file.len() - 1]), Fault::Unfinished);
        assert_eq!(fault("x".repeat(LINE_BYTES + 5)), Fault::TooLong);
    }
}
