//! Our decoder and the crate `sseer` on the same random streams, cut at the same random places.
//!
//! They are meant to differ in four things, which the comparison leaves out or evens out:
//! - comments are frames for us, and nothing for it;
//! - what is unfinished at a clean end is delivered by us only: ours is told that the end is none,
//!   or its stream gets the blank line that is missing;
//! - bytes that are not UTF-8 are replaced by us, and an error for it: there are none here;
//! - the line `event`, without a colon, empties the event's name for us (as WHATWG has it) and is
//!   ignored by it: the line does not occur here.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use proptest::prelude::*;
use sseer::EventStream;

use super::super::cut;
use super::*;

/// Events as name and data.
type Events = Vec<(String, String)>;

fn sseers(pieces: &[&[u8]]) -> Events {
    let pieces: Vec<_> = pieces
        .iter()
        .map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)))
        .collect();
    let events = EventStream::new(stream::iter(pieces)).collect::<Vec<_>>();
    let events = events.now_or_never().unwrap().into_iter();
    events
        .map(|event| event.map(|event| (event.event.to_string(), event.data.to_string())))
        .collect::<Result<_, _>>()
        .unwrap()
}

fn ours(pieces: &[&[u8]], clean: bool) -> Events {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut frames).unwrap();
    }
    decoder.finish(clean, &mut frames).unwrap();
    let events = frames.into_iter().filter_map(|frame| match frame {
        Frame::Event { event, data } => Some((event.unwrap_or("message".to_owned()), data)),
        Frame::Comment(_) => None,
    });
    events.collect()
}

/// Pieces of lines, ends of lines, and whatever text.
fn text() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        4 => prop::sample::select(&["data: ", "data:", "data", "event: ", "event:", "id: 7", "retry: 5", ":", " "][..])
            .prop_map(str::to_owned),
        4 => prop::sample::select(&["\n", "\n\n", "\r\n", "\r", "\r\r", "\u{feff}"][..]).prop_map(str::to_owned),
        2 => "[a-z é🦀\u{feff}\0]{0,6}",
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

fn has_bare_event(text: &str) -> bool {
    text.trim_start_matches('\u{feff}')
        .split(['\n', '\r'])
        .any(|line| line == "event")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn another_decoder_reads_the_same_events(
        text in text().prop_filter("event without a colon", |text| !has_bare_event(text)),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let pieces = cut(text.as_bytes(), &cuts);
        prop_assert_eq!(ours(&pieces, false), sseers(&pieces));
    }

    #[test]
    fn a_clean_end_is_as_good_as_a_blank_line(
        text in text().prop_filter("event without a colon", |text| !has_bare_event(text)),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut pieces = cut(text.as_bytes(), &cuts);
        let ours = ours(&pieces, true);
        pieces.push(b"\n\n");
        prop_assert_eq!(ours, sseers(&pieces));
    }
}
