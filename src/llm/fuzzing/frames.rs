//! The two decoders: any cut gives the same frames, and no limit is passed.

use super::cut;
use crate::llm::{
    limits::{Limits, TooLarge},
    ndjson,
    sse::{self, Frame},
};

/// So small that inputs of a fuzzer pass them.
const SMALL: Limits = Limits {
    line: 48,
    event: 96,
    ..Limits::DEFAULT
};

type Decoded = (Vec<Frame>, bool, Result<(), TooLarge>);

/// The first byte of the input is how long the pieces are.
pub fn sse(input: &[u8]) {
    let Some((bytes, size)) = cut(input) else {
        return;
    };
    for limits in [Limits::DEFAULT, SMALL] {
        for clean in [false, true] {
            let whole = decode_sse(&[bytes], clean, limits);
            let pieces: Vec<_> = bytes.chunks(size).collect();
            assert_eq!(decode_sse(&pieces, clean, limits), whole);
            check(&whole, bytes, limits);
        }
    }
}

/// The first byte of the input is how long the pieces are.
pub fn ndjson(input: &[u8]) {
    let Some((bytes, size)) = cut(input) else {
        return;
    };
    for limits in [Limits::DEFAULT, SMALL] {
        for clean in [false, true] {
            let whole = decode_ndjson(&[bytes], clean, limits);
            let pieces: Vec<_> = bytes.chunks(size).collect();
            assert_eq!(decode_ndjson(&pieces, clean, limits), whole);
            check(&whole, bytes, limits);
        }
    }
}

fn decode_sse(pieces: &[&[u8]], clean: bool, limits: Limits) -> Decoded {
    let mut decoder = sse::Decoder::new(limits);
    let mut frames = Vec::new();
    let result = pieces
        .iter()
        .try_for_each(|piece| decoder.feed(piece, &mut frames))
        .and_then(|()| decoder.finish(clean, &mut frames));
    (frames, decoder.take_invalid_utf8(), result)
}

fn decode_ndjson(pieces: &[&[u8]], clean: bool, limits: Limits) -> Decoded {
    let mut decoder = ndjson::Decoder::new(limits);
    let mut frames = Vec::new();
    let result = pieces
        .iter()
        .try_for_each(|piece| decoder.feed(piece, &mut frames))
        .and_then(|()| decoder.finish(clean, &mut frames));
    (frames, decoder.take_invalid_utf8(), result)
}

fn check((frames, replaced, _): &Decoded, bytes: &[u8], limits: Limits) {
    // U+FFFD is three bytes for one.
    let longest = 3 * limits.line;
    let mut total = 0;
    for frame in frames {
        total += match frame {
            Frame::Comment(text) => {
                assert!(text.len() <= longest);
                text.len()
            }
            Frame::Event { event, data } => {
                let name = event.as_ref().map_or(0, String::len);
                assert!(name <= longest && data.len() <= limits.event.max(longest));
                name + data.len()
            }
        };
    }
    assert!(total <= 3 * bytes.len());
    assert!(!replaced || std::str::from_utf8(bytes).is_err());
}
