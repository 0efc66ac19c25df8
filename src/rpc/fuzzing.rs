//! Where the fuzz target of `fuzz/` enters: whatever a host writes, what is asserted here holds.
//! The same inputs, `tests/data/fuzz/rpc`, are played by an ordinary test.

use std::io::{self, Read};

use jsonrpsee_types::Id;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::decode::decode_params;
use super::line::{Line, LineReader};
use super::message::Inbound;

/// So short that inputs of a fuzzer pass it.
const LIMIT: usize = 512;

/// Params of all kinds.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only read into")]
struct Params {
    text: String,
    number: Option<u16>,
    list: Option<Vec<Self>>,
}

/// The first byte of the input is how long the pieces are, the rest what the host writes.
pub fn rpc(input: &[u8]) {
    let Some((size, bytes)) = input.split_first() else {
        return;
    };
    let step = usize::from(*size).max(1);
    let lines = lines(bytes, step);
    assert_eq!(
        lines,
        self::lines(bytes, bytes.len()),
        "the cut changes something"
    );
    let length = |line: &Line| match line {
        Line::Text(text) => text.len(),
        Line::TooLong => LIMIT,
    };
    assert!(lines.iter().map(length).sum::<usize>() <= bytes.len());
    for line in &lines {
        if let Line::Text(text) = line {
            assert!(!text.is_empty() && text.len() <= LIMIT && !text.contains(&b'\n'));
            check(text);
        }
    }
}

fn lines(bytes: &[u8], step: usize) -> Vec<Line> {
    let mut reader = LineReader::new(Pieces { bytes, step }, LIMIT);
    std::iter::from_fn(|| reader.next().ok().flatten()).collect()
}

fn check(line: &[u8]) {
    let text = str::from_utf8(line);
    let is_json = text.is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    match Inbound::parse(line) {
        Inbound::NotJson => assert!(!is_json),
        Inbound::Request { id, params, .. } => {
            assert!(is_json && !matches!(id, Id::Null));
            check_params(params);
        }
        Inbound::Notification { params, .. } => {
            assert!(is_json);
            check_params(params);
        }
        Inbound::Reply { .. } => assert!(is_json),
        Inbound::Invalid { id, problem } => {
            assert!(is_json && !problem.is_empty());
            let id = serde_json::to_string(&id).unwrap_or_default();
            assert!(id.len() <= 6 * 1024 + 2 && !id.contains('\n'));
        }
    }
}

/// What is wrong with params is told in one bounded line.
fn check_params(params: Option<&RawValue>) {
    if let Err(unreadable) = decode_params::<Params>(params.map(RawValue::get)) {
        let problem = &unreadable.problem;
        assert!(!problem.is_empty() && problem.len() <= 4096, "{problem:?}");
        assert!(!problem.contains(char::is_control), "{problem:?}");
    }
}

/// Hands out at most `step` bytes a read, so that lines straddle reads.
struct Pieces<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.step.min(buffer.len()).min(self.bytes.len());
        let (mut head, tail) = self.bytes.split_at(length);
        self.bytes = tail;
        head.read(buffer)
    }
}
