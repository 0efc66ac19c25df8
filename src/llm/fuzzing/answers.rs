//! An answer from its bytes to its events, calls above all.

use std::collections::HashMap;

use super::{SECRET, cut, is_clean};
use crate::llm::{
    dialect::{Answer, Dialect, Names},
    error::Fault,
    event::{ChatEvent, Completion, Timing},
    message::Block,
    ndjson,
    sanitize::Redactor,
    sse::{self, Frame},
};

type Played = (Vec<ChatEvent>, Result<(), Fault>);

/// The first byte of the input is how long the pieces are, the rest an event stream for
/// OpenAI's dialect and lines for Ollama's.
pub fn tool_calls(input: &[u8]) {
    let Some((bytes, size)) = cut(input) else {
        return;
    };
    for dialect in [Dialect::OpenAi, Dialect::Ollama] {
        let whole = play(dialect, &[bytes]);
        let pieces: Vec<_> = bytes.chunks(size).collect();
        assert_eq!(play(dialect, &pieces), whole);
        check(&whole);
    }
}

/// Each line is the data of one event, or one line of Ollama's: no framing stands between the
/// input and what reads it.
pub fn deltas(input: &[u8]) {
    let frames: Vec<_> = input
        .split(|byte| *byte == b'\n')
        .map(|line| Frame::Event {
            event: None,
            data: String::from_utf8_lossy(line).into_owned(),
        })
        .collect();
    for dialect in [Dialect::OpenAi, Dialect::Ollama] {
        check(&answer(dialect, &frames));
    }
}

fn play(dialect: Dialect, pieces: &[&[u8]]) -> Played {
    let mut frames = Vec::new();
    let mut events_decoder = sse::Decoder::default();
    let mut lines_decoder = ndjson::Decoder::default();
    for piece in pieces {
        let _ = match dialect {
            Dialect::OpenAi => events_decoder.feed(piece, &mut frames),
            Dialect::Ollama => lines_decoder.feed(piece, &mut frames),
        };
    }
    let _ = match dialect {
        Dialect::OpenAi => events_decoder.finish(true, &mut frames),
        Dialect::Ollama => lines_decoder.finish(true, &mut frames),
    };
    answer(dialect, &frames)
}

fn answer(dialect: Dialect, frames: &[Frame]) -> Played {
    let names = Names::new(["fs.read", "get_weather"]);
    let redactor = Redactor::new([SECRET.into()]);
    let mut answer = Answer::new(dialect, names, redactor, "made000".into());
    let mut events = Vec::new();
    let mut outcome = Ok(());
    for frame in frames {
        if answer.is_done() || outcome.is_err() {
            break;
        }
        outcome = answer.take(frame, &mut events);
    }
    let timing = Timing::default();
    let outcome = outcome.and_then(|()| answer.complete(timing, &mut events));
    (events, outcome)
}

/// What was told on the way is what the end says.
fn check((events, outcome): &Played) {
    let mut text = String::new();
    let mut thoughts = String::new();
    let mut calls: HashMap<&str, String> = HashMap::new();
    let mut end = None;
    for event in events {
        assert!(end.is_none(), "nothing follows the end");
        match event {
            ChatEvent::Text(piece) => text.push_str(piece),
            ChatEvent::Reasoning(piece) => thoughts.push_str(piece),
            ChatEvent::Warning(warning) => assert!(is_clean(warning), "{warning:?}"),
            ChatEvent::ToolCallStarted { id, .. } => {
                let before = calls.insert(id, String::new());
                assert!(
                    before.is_none() && !id.is_empty(),
                    "two calls with the id {id:?}"
                );
            }
            ChatEvent::ToolCallDelta { id, fragment } => match calls.get_mut(id.as_str()) {
                Some(arguments) => arguments.push_str(fragment),
                None => assert!(calls.contains_key(id.as_str()), "no call {id:?} was begun"),
            },
            ChatEvent::Status { progress, .. } => {
                assert!(progress.is_none_or(|progress| (0.0..=1.0).contains(&progress)));
            }
            ChatEvent::Finished(completion) => end = Some(completion),
            _ => {}
        }
    }
    match outcome {
        Ok(()) => check_end(end, (&text, &thoughts), &calls),
        Err(fault) => {
            assert!(end.is_none(), "both an end and {fault:?}");
            if let Fault::Refused(refusal) = fault {
                assert!(is_clean(&refusal.message) && !refusal.message.is_empty());
            }
        }
    }
}

fn check_end(
    end: Option<&Completion>,
    (text, thoughts): (&str, &str),
    calls: &HashMap<&str, String>,
) {
    assert!(end.is_some(), "an answer without an end");
    for block in end.iter().flat_map(|end| &end.content) {
        match block {
            Block::Text { text: whole } => assert_eq!(whole, text),
            Block::Thinking { thinking, .. } => assert_eq!(thinking, thoughts),
            Block::ToolUse { id, input, .. } => {
                assert!(input.is_object() && calls.contains_key(id.as_str()));
            }
            _ => {}
        }
    }
}
