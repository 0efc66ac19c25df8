use proptest::prelude::*;

use super::super::{cut, line::BOM};
use super::*;

const LINE: usize = Limits::DEFAULT.line;
const TOO_LONG: TooLarge = TooLarge::Line(LINE);

fn event(data: &str) -> Frame {
    Frame::Event {
        event: None,
        data: data.into(),
    }
}

fn named(name: &str, data: &str) -> Frame {
    Frame::Event {
        event: Some(name.into()),
        data: data.into(),
    }
}

fn comment(text: &str) -> Frame {
    Frame::Comment(text.into())
}

/// Decodes pieces and a clean end.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Frame> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut frames).unwrap();
    }
    decoder.finish(true, &mut frames).unwrap();
    frames
}

/// The same, all at once, by the letter of the grammar and with no regard for cost.
fn naive(bytes: &[u8]) -> Vec<Frame> {
    let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let mut lines = vec![Vec::new()];
    let mut input = bytes.iter().copied().peekable();
    while let Some(byte) = input.next() {
        match byte {
            b'\r' => {
                input.next_if_eq(&b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            other => lines.last_mut().unwrap().push(other),
        }
    }
    lines.push(Vec::new()); // the clean end dispatches
    let mut frames = Vec::new();
    let (mut name, mut data) = (String::new(), Vec::new());
    for line in lines {
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.is_empty() {
            if !data.is_empty() {
                frames.push(Frame::Event {
                    event: Some(name.clone()).filter(|name| !name.is_empty()),
                    data: data.join("\n"),
                });
            }
            name.clear();
            data.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "" => frames.push(Frame::Comment(value)),
            "event" => name = value,
            "data" => data.push(value),
            _ => {}
        }
    }
    frames
}

#[test]
fn every_rule_of_the_grammar_holds_however_the_bytes_are_cut() {
    for (input, expected) in [
        (&b"data: a\n\n"[..], vec![event("a")]),
        (b"data: a\r\n\r\n", vec![event("a")]),
        (b"data: a\r\rdata: b\r\r", vec![event("a"), event("b")]),
        (b"data: a\r\n\rdata: b\n\r\n", vec![event("a"), event("b")]),
        (b"data:a\n\ndata:  b\n\n", vec![event("a"), event(" b")]),
        (b"\xEF\xBB\xBFdata: a\n\n", vec![event("a")]),
        (b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\n", vec![]),
        (b"data: a\ndata: b\ndata\n\n", vec![event("a\nb\n")]),
        (b"data\n\n", vec![event("")]),
        (
            b": ping - 2026\n\n:\n",
            vec![comment("ping - 2026"), comment("")],
        ),
        (
            b"data: a\n: alive\ndata: b\n\n",
            vec![comment("alive"), event("a\nb")],
        ),
        (
            b"event: error\ndata: {}\n\ndata: a\n\n",
            vec![named("error", "{}"), event("a")],
        ),
        (b"event: lost\n\ndata: a\n\n", vec![event("a")]),
        (b"event: x\nevent:\ndata: a\n\n", vec![event("a")]),
        (
            b"id: 1\nretry: 2\nfoo: 3\ndata : x\ndata: a\n\n",
            vec![event("a")],
        ),
        (b"data: a:b: c\n\n", vec![event("a:b: c")]),
        (b"\n\n\n\r\n\rdata: a\n\n\n", vec![event("a")]),
        ("data: é🦀\n\n".as_bytes(), vec![event("é🦀")]),
        (b"data: \xff\xf0\x9f!\n\n", vec![event("\u{fffd}\u{fffd}!")]),
        (b"data: unfinished\n", vec![event("unfinished")]),
        (b"data: unfinished", vec![event("unfinished")]),
        (b"", vec![]),
    ] {
        assert_eq!(naive(input), expected, "the naive parser on {input:?}");
        assert_eq!(decode([input]), expected, "{input:?}");
        assert_eq!(decode(input.chunks(1)), expected, "{input:?} bytewise");
        for at in 0..input.len() {
            let (a, b) = input.split_at(at);
            assert_eq!(decode([a, b]), expected, "{input:?} cut at {at}");
        }
    }
}

#[test]
fn an_event_ended_by_cr_needs_no_lookahead() {
    let mut frames = Vec::new();
    Decoder::default()
        .feed(b"data: a\r\r", &mut frames)
        .unwrap();
    assert_eq!(frames, [event("a")]);
}

#[test]
fn what_a_cut_connection_left_unfinished_is_forgotten() {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    decoder
        .feed(b"data: a\n\ndata: b\ndata: c", &mut frames)
        .unwrap();
    decoder.finish(false, &mut frames).unwrap();
    assert_eq!(frames, [event("a")]);
}

#[test]
fn replaced_bytes_are_reported_once() {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    decoder
        .feed(b"data: \xff\n\ndata: \xff\n\n", &mut frames)
        .unwrap();
    assert!(decoder.take_invalid_utf8());
    assert!(!decoder.take_invalid_utf8());
}

#[test]
fn a_line_of_the_limit_passes_and_one_byte_more_does_not() {
    let line = |length: usize| {
        let mut line = b"data: ".to_vec();
        line.resize(length, b'x');
        line
    };
    let mut frames = Vec::new();
    let mut decoder = Decoder::default();
    decoder.feed(&line(LINE), &mut frames).unwrap();
    decoder.feed(b"\n\n", &mut frames).unwrap();
    assert_eq!(frames.len(), 1);
    assert_eq!(decoder.feed(&line(LINE + 1), &mut frames), Err(TOO_LONG));
    assert_eq!(decoder.feed(b"\n\ndata: a\n\n", &mut frames), Err(TOO_LONG));
    assert_eq!(decoder.finish(true, &mut frames), Err(TOO_LONG));
    assert_eq!(frames.len(), 1);
}

#[test]
fn an_event_of_many_lines_is_bounded_too() {
    let mut line = b"data: ".to_vec();
    line.resize(LINE, b'x');
    line.push(b'\n');
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for _ in 0..4 {
        decoder.feed(&line, &mut frames).unwrap();
    }
    assert_eq!(
        decoder.feed(&line, &mut frames),
        Err(TooLarge::Event(Limits::DEFAULT.event))
    );
    assert!(frames.is_empty());
}

/// Bytes that look like an event stream often enough to be interesting.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    const TOKENS: &[&[u8]] = &[
        b"data: ",
        b"data:",
        b"event: error",
        b": c",
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        BOM,
        b"\xff",
        b"\xC3\xA9",
        b"x",
        b":",
        b" ",
    ];
    prop::collection::vec(prop::sample::select(TOKENS), 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn any_cut_gives_the_frames_of_the_naive_parser(bytes in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let expected = naive(&bytes);
        prop_assert_eq!(decode(cut(&bytes, &cuts)), expected.clone());
        prop_assert_eq!(decode(bytes.chunks(1)), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1..20usize) {
        prop_assert_eq!(decode(bytes.chunks(size)), naive(&bytes));
    }
}
