//! How fast the decoder of event streams is, side by side with two crates that do the same.
//!
//! ```text
//! cargo bench --bench sse
//! ```
//!
//! Fails when ours misses what is promised of it: a line of 4 MiB in pieces of 1 KiB in less than
//! 20 ms, and 300 MB of a typical stream in a second.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a table for people, from a bench that fails when it cannot go on"
)]

#[allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the daemon's own, with its tests"
)]
#[path = "../../src/llm/decoder/mod.rs"]
mod decoder;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use sse_stream::SseByteStream;
use sseer::EventStream;

use decoder::limits::Limits;
use decoder::sse::{Decoder, Frame};

const MIB: usize = 1024 * 1024;

/// Each figure is the best of so many: what is slower is the machine's other work.
const RUNS: usize = 60;

const LONG_LINE_WITHIN: Duration = Duration::from_millis(20);
const LEAST_MB_PER_SECOND: f64 = 300.0;

/// Decodes pieces and tells how many bytes of data were in how many events.
type Decode = fn(&[Bytes]) -> (usize, usize);

const DECODERS: [(&str, Decode); 3] = [
    ("ours", ours),
    ("sseer", sseers),
    ("sse-stream", sse_streams),
];

fn main() -> ExitCode {
    let mut kept = true;

    println!("a line of 4 MiB in pieces of 1 KiB");
    let line = format!("data: {}\n\n", "x".repeat(4 * MIB - 6));
    for (name, decode) in DECODERS {
        let best = measure(decode, &pieces(line.as_bytes(), 1024), (1, 4 * MIB - 6));
        kept &= name != "ours" || best < LONG_LINE_WITHIN;
        println!("  {name:<12} {:>8.2} ms", best.as_secs_f64() * 1e3);
    }

    let (text, answer) = (chunks(8 * MIB), call(8 * MIB));
    for (what, stream, size) in [
        (
            "chunks of a few tokens, in reads of 16 KiB",
            &text,
            16 * 1024,
        ),
        ("chunks of a few tokens, in reads of 1 KiB", &text, 1024),
        ("chunks of 4 KiB, in reads of 16 KiB", &answer, 16 * 1024),
    ] {
        println!("{what}");
        let expected = ours(&pieces(stream.as_bytes(), stream.len()));
        for (name, decode) in DECODERS {
            let best = measure(decode, &pieces(stream.as_bytes(), size), expected);
            let speed = stream.len() as f64 / 1e6 / best.as_secs_f64();
            kept &= name != "ours" || speed >= LEAST_MB_PER_SECOND;
            println!("  {name:<12} {speed:>8.0} MB/s");
        }
    }

    if kept {
        ExitCode::SUCCESS
    } else {
        println!("ours missed what is promised of it");
        ExitCode::FAILURE
    }
}

fn measure(decode: Decode, pieces: &[Bytes], expected: (usize, usize)) -> Duration {
    let runs = (0..RUNS).map(|_| {
        let begin = Instant::now();
        let decoded = decode(pieces);
        let took = begin.elapsed();
        assert_eq!(decoded, expected);
        took
    });
    runs.min().expect("there are runs")
}

/// As llama-server streams: a token or two, each in its frame of JSON.
fn chunks(length: usize) -> String {
    let mut stream = String::with_capacity(length + 512);
    for number in 0.. {
        if stream.len() >= length {
            break;
        }
        let _ = write!(
            stream,
            "data: {{\"choices\":[{{\"finish_reason\":null,\"index\":0,\"delta\":{{\"content\":\" word{number}\"}}}}],\"created\":1795427028,\"id\":\"chatcmpl-Uc04f9IKyXrM1kf7mPuhV5GB8KI0jhoY\",\"model\":\"smol\",\"system_fingerprint\":\"b11434-0123abcd\",\"object\":\"chat.completion.chunk\"}}\n\n"
        );
    }
    stream
}

/// Large chunks, as of a call's arguments in one piece.
fn call(length: usize) -> String {
    let chunk = format!("data: {}\r\n\r\n", "abcdefgh".repeat(512));
    chunk.repeat(length / chunk.len())
}

fn pieces(stream: &[u8], size: usize) -> Vec<Bytes> {
    let stream = Bytes::copy_from_slice(stream);
    let starts = (0..stream.len()).step_by(size);
    starts
        .map(|start| stream.slice(start..stream.len().min(start + size)))
        .collect()
}

fn ours(pieces: &[Bytes]) -> (usize, usize) {
    let mut decoder = Decoder::new(Limits {
        line: 8 * MIB,
        event: 8 * MIB,
        ..Limits::DEFAULT
    });
    let (mut events, mut length) = (0, 0);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut frames).expect("within the limits");
        for frame in frames.drain(..) {
            if let Frame::Event { data, .. } = frame {
                events += 1;
                length += data.len();
            }
        }
    }
    (events, length)
}

fn sseers(pieces: &[Bytes]) -> (usize, usize) {
    total(EventStream::new(arriving(pieces)).map(|event| event.expect("an event").data.len()))
}

fn sse_streams(pieces: &[Bytes]) -> (usize, usize) {
    let events = SseByteStream::new(arriving(pieces));
    total(events.map(|event| event.expect("an event").data.map_or(0, |data| data.len())))
}

/// Pieces that are there already, so that only the decoding is measured.
fn arriving(pieces: &[Bytes]) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin {
    stream::iter(pieces.to_vec()).map(Ok)
}

fn total(lengths: impl Stream<Item = usize>) -> (usize, usize) {
    let sum = lengths.fold((0, 0), |(events, sum), length| async move {
        (events + 1, sum + length)
    });
    sum.now_or_never().expect("everything is there")
}
