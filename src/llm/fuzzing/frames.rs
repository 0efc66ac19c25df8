//! The two decoders: any cut gives the same frames, and no limit is passed.

use super::cut;
use crate::llm::{
    chat::framing::Framing,
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
    cut_anywhere(input, |limits| Framing::Events(sse::Decoder::new(limits)));
}

/// The first byte of the input is how long the pieces are.
pub fn ndjson(input: &[u8]) {
    cut_anywhere(input, |limits| Framing::Lines(ndjson::Decoder::new(limits)));
}

fn cut_anywhere(input: &[u8], framing: fn(Limits) -> Framing) {
    let Some((bytes, size)) = cut(input) else {
        return;
    };
    for limits in [Limits::DEFAULT, SMALL] {
        for clean in [false, true] {
            let whole = decode(framing(limits), &[bytes], clean);
            let pieces: Vec<_> = bytes.chunks(size).collect();
            assert_eq!(decode(framing(limits), &pieces, clean), whole);
            check(&whole, bytes, limits);
        }
    }
}

fn decode(mut framing: Framing, pieces: &[&[u8]], clean: bool) -> Decoded {
    let mut frames = Vec::new();
    let result = pieces
        .iter()
        .try_for_each(|piece| framing.feed(piece, &mut frames))
        .and_then(|()| framing.finish(clean, &mut frames));
    (frames, framing.take_invalid_utf8(), result)
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
