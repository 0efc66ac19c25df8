//! Streams as servers really send them, each fed whole, cut at every position, and byte by byte:
//! frames and events must not depend on the cutting. Numbers are those of the conformance list.

use std::fmt::Write as _;

use crate::llm::{
    dialect::{Answer, Dialect, Names},
    error::Fault,
    event::{ChatEvent, Completion, Timing},
    message::Block,
    sanitize::Redactor,
    sse::{Decoder, Frame},
};

/// One delta.
fn d(delta: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n")
}

/// The end, with its reason.
fn f(reason: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\n"
    )
}

/// Any chunk.
fn c(json: &str) -> String {
    format!("data: {json}\n\n")
}

fn text(text: &str) -> String {
    d(&format!("{{\"content\":\"{text}\"}}"))
}

fn call(fragment: &str) -> String {
    d(&format!("{{\"tool_calls\":[{fragment}]}}"))
}

const DONE: &str = "data: [DONE]\n\n";
const ROLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";

/// What a stream comes to, one line an event.
pub(super) fn play<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let names = Names::new(["fs.read", "get_weather"]);
    let redactor = Redactor::new(["sk-canary-1".into()]);
    let mut answer = Answer::new(Dialect::OpenAi, names, redactor, "made000".into());
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    let outcome = pieces
        .into_iter()
        .try_for_each(|piece| {
            let mut frames = Vec::new();
            let fed = decoder.feed(piece, &mut frames);
            take(&mut answer, &frames, &mut events)?;
            fed.map_err(|error| Fault::Protocol(error.to_string()))
        })
        .and_then(|()| {
            let mut frames = Vec::new();
            let ended = decoder.finish(true, &mut frames);
            ended.map_err(|error| Fault::Protocol(error.to_string()))?;
            take(&mut answer, &frames, &mut events)
        })
        .and_then(|()| answer.complete(Timing::default(), &mut events));
    let mut out = String::new();
    for event in &events {
        writeln!(out, "{}", line(event)).unwrap();
    }
    match outcome {
        Ok(()) => {}
        Err(Fault::Refused(refusal)) => {
            writeln!(out, "refused {:?}: {}", refusal.kind, refusal.message).unwrap();
        }
        Err(Fault::Protocol(problem)) => writeln!(out, "protocol error: {problem}").unwrap(),
        Err(Fault::Unfinished) => writeln!(out, "unfinished after {:?}", answer.text()).unwrap(),
    }
    out
}

fn take(answer: &mut Answer, frames: &[Frame], events: &mut Vec<ChatEvent>) -> Result<(), Fault> {
    for frame in frames {
        if !answer.is_done() {
            answer.take(frame, events)?;
        }
    }
    Ok(())
}

fn line(event: &ChatEvent) -> String {
    match event {
        ChatEvent::Status { phase, progress } => format!("{phase:?} {progress:?}"),
        ChatEvent::Text(text) => format!("text {text:?}"),
        ChatEvent::Reasoning(text) => format!("thinks {text:?}"),
        ChatEvent::ToolCallStarted { id, name } => format!("call {id} {name}"),
        ChatEvent::ToolCallDelta { id, fragment } => format!("args {id} {fragment}"),
        ChatEvent::Usage(usage) => format!(
            "usage {:?} {:?} {:?} {:?}",
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.reasoning_tokens
        ),
        ChatEvent::Warning(text) => format!("warning {text}"),
        ChatEvent::Finished(completion) => finished(completion),
    }
}

fn finished(completion: &Completion) -> String {
    let mut out = format!("finished {:?}", completion.stop_reason);
    for block in &completion.content {
        match block {
            Block::Text { text } => write!(out, "; text {text:?}").unwrap(),
            Block::Thinking { thinking, .. } => write!(out, "; thinking {thinking:?}").unwrap(),
            Block::ToolUse { id, name, input } => write!(out, "; use {id} {name} {input}").unwrap(),
            Block::ToolResult { .. } | Block::Image { .. } => panic!("{block:?}"),
        }
    }
    for call in &completion.invalid_calls {
        write!(out, "; invalid {} {} {:?}", call.id, call.name, call.raw).unwrap();
    }
    out
}

/// Plays a stream in every cutting and compares.
fn check(what: &str, stream: &str, expected: &[&str]) {
    let bytes = stream.as_bytes();
    let expected = expected
        .iter()
        .fold(String::new(), |all, line| all + line + "\n");
    assert_eq!(play([bytes]), expected, "{what}");
    assert_eq!(play(bytes.chunks(1)), expected, "{what}, bytewise");
    for at in 0..=bytes.len() {
        let (a, b) = bytes.split_at(at);
        assert_eq!(play([a, b]), expected, "{what}, cut at {at}");
    }
}

const HI: &[&str] = &["text \"Hi\"", "finished EndTurn; text \"Hi\""];

#[test]
fn framing() {
    let basic = [ROLE, &text("Hi"), &f("stop"), DONE].concat();
    check("1 lf-basic", &basic, HI);
    check("2 crlf", &basic.replace('\n', "\r\n"), HI);
    check("3 cr-only", &basic.replace('\n', "\r"), HI);
    check("4 no-space", &basic.replace("data: ", "data:"), HI);
    check(
        "5 multi-line data",
        &[
            "data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"Hi\"}}]}\n\n",
            &f("stop"),
            DONE,
        ]
        .concat(),
        HI,
    );
    check(
        "5b two objects in one event",
        &basic.replace("\n\ndata: {", "\ndata: {"),
        HI,
    );
    check("6 comments", &[": ping - 2026\n\n", &basic].concat(), HI);
    check(
        "7 mlx progress and a comment that means nothing",
        &[
            ": keepalive 512/2048\n\n: OPENROUTER PROCESSING\n\n: keepalive 1/0\n\n",
            &basic,
        ]
        .concat(),
        &["Prefill Some(0.25)", HI[0], HI[1]],
    );
    check(
        "8 utf8-split",
        &[&text("é"), &text("🦀"), &f("stop"), DONE]
            .map(String::from)
            .concat(),
        &[
            "text \"é\"",
            "text \"🦀\"",
            "finished EndTurn; text \"é🦀\"",
        ],
    );
    check("9 eof after finish", &[text("Hi"), f("stop")].concat(), HI);
    check(
        "9b eof without a blank line",
        [text("Hi"), f("stop")].concat().trim_end(),
        HI,
    );
    check(
        "10 eof without finish",
        &text("par"),
        &["text \"par\"", "unfinished after \"par\""],
    );
    check("10b nothing at all", "", &["unfinished after \"\""]);
    check(
        "10c done and nothing else",
        DONE,
        &["unfinished after \"\""],
    );
    check(
        "10d done without a reason",
        &[text("Hi"), DONE.into()].concat(),
        HI,
    );
    check(
        "11 named events",
        &[
            "event: sglext_ids\ndata: {\"ids\":[1]}\n\nevent: message\n",
            &basic,
        ]
        .concat(),
        HI,
    );
    check(
        "12 not JSON",
        "data: <html> sk-canary-1\n\n",
        &["protocol error: an event of the stream is not JSON: <html> [redacted]"],
    );
}

#[test]
fn usage() {
    let usage = |prompt: u32, output: u32| {
        c(&format!(
            "{{\"choices\":[],\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{output}}}}}"
        ))
    };
    let start = [text("Hi"), f("stop")].concat();
    check(
        "15 last",
        &[&start, &usage(44, 48), DONE].map(String::from).concat(),
        &[HI[0], "usage Some(44) Some(48) None None", HI[1]],
    );
    check(
        "16 running totals",
        &[&usage(5, 10), &start, &usage(5, 20), &usage(5, 30), DONE]
            .map(String::from)
            .concat(),
        &[HI[0], "usage Some(5) Some(30) None None", HI[1]],
    );
    check(
        "17 null and all zero are unknown",
        &[
            &c("{\"choices\":[],\"usage\":null}"),
            &start,
            &usage(0, 0),
            DONE,
        ]
        .map(String::from)
        .concat(),
        HI,
    );
    check(
        "on a chunk with a choice and a second finish, with details",
        &[
            &start,
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":24,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":23},\"completion_tokens_details\":{\"reasoning_tokens\":1}}}\n\n",
            DONE,
        ]
        .concat(),
        &[HI[0], "usage Some(1) Some(3) Some(23) Some(1)", HI[1]],
    );
}

#[test]
fn errors_within_the_stream() {
    check(
        "20 vllm, before DONE",
        &[&text("a"), "data: {\"error\":{\"message\":\"boom\",\"type\":\"InternalServerError\",\"code\":500}}\n\n", DONE].concat(),
        &["text \"a\"", "refused Other: boom"],
    );
    check(
        "21 a string",
        &c("{\"error\":\"unable to load model\"}"),
        &["refused Other: unable to load model"],
    );
    check(
        "22 flat",
        &c("{\"object\":\"error\",\"message\":\"x\",\"code\":400}"),
        &["refused Other: x"],
    );
    check(
        "an error after the finish",
        &[
            &text("a"),
            &f("stop"),
            &c("{\"error\":{\"message\":\"boom\"}}"),
        ]
        .map(String::from)
        .concat(),
        &["text \"a\"", "refused Other: boom"],
    );
    check(
        "LM Studio's overflow",
        "event: error\ndata: {\"error\":{\"message\":\"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens\"}}\n\n",
        &[
            "refused ContextOverflow { needed: None, available: None }: Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens",
        ],
    );
    check(
        "a plain text error",
        "event: error\ndata: out of memory\n\n",
        &["refused Other: out of memory"],
    );
    check(
        "no call of a failed answer runs",
        &[
            &call("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"),
            &c("{\"error\":\"x\"}"),
        ]
        .map(String::from)
        .concat(),
        &["call a f", "args a {}", "refused Other: x"],
    );
    check(
        "no call without a finish runs",
        &[
            &call("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"),
            DONE,
        ]
        .map(String::from)
        .concat(),
        &["call a f", "args a {}", "unfinished after \"\""],
    );
    check(
        "abort",
        &[text("a"), f("abort")].concat(),
        &[
            "text \"a\"",
            "refused Other: the server gave up within the answer (finish reason \"abort\")",
        ],
    );
}

#[test]
fn tools() {
    check(
        "29 openai-split",
        &[
            call("{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"arguments\":\"\"}}"),
            call("{\"index\":0,\"function\":{\"arguments\":\"{\\\"city\\\"\"}}"),
            call("{\"index\":0,\"function\":{\"arguments\":\":\\\"Rome\\\"\"}}"),
            call("{\"index\":0,\"function\":{\"arguments\":\"}\"}}"),
            f("tool_calls"),
        ]
        .concat(),
        &["call a get_weather", "args a {\"city\"", "args a :\"Rome\"", "args a }", "finished ToolUse; use a get_weather {\"city\":\"Rome\"}"],
    );
    check(
        "30 whole call with its finish in one chunk",
        &c(
            "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}",
        ),
        &["call a f", "args a {}", "finished ToolUse; use a f {}"],
    );
    check(
        "31 two calls, both index 0",
        &[
            call("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}"),
            call("{\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":2}\"}}"),
            f("stop"),
        ]
        .concat(),
        &["call a f", "args a {\"x\":1}", "call b f", "args b {\"x\":2}", "finished ToolUse; use a f {\"x\":1}; use b f {\"x\":2}"],
    );
    check(
        "32 two calls in one chunk, no index; 35 arguments as object and null",
        &[
            call("{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}},{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":null}},{\"id\":\"c\",\"function\":{\"name\":\"h\"}}"),
            f("tool_calls"),
        ]
        .concat(),
        &["call a f", "args a {\"x\":1}", "call b g", "call c h", "finished ToolUse; use a f {\"x\":1}; use b g {}; use c h {}"],
    );
    check(
        "33, 34 id and name repeated, then name null",
        &[
            call("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}"),
            call("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}"),
            call("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":null,\"arguments\":\"}\"}}"),
            f("tool_calls"),
        ]
        .concat(),
        &[
            "call a f",
            "args a {",
            "args a }",
            "finished ToolUse; use a f {}",
        ],
    );
    check(
        "36 finish stop with a call without an id",
        &[
            text("Let me look."),
            call("{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"),
            f("stop"),
            DONE.into(),
        ]
        .concat(),
        &[
            "text \"Let me look.\"",
            "call made00000 f",
            "args made00000 {}",
            "finished ToolUse; text \"Let me look.\"; use made00000 f {}",
        ],
    );
    check(
        "37 arguments that parse early",
        &[
            call("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}"),
            call("{\"index\":0,\"function\":{\"arguments\":\" \"}}"),
            f("tool_calls"),
        ]
        .concat(),
        &["call a f", "args a {\"a\":1}", "args a  ", "finished ToolUse; use a f {\"a\":1}"],
    );
    check(
        "40 a mapped name",
        &[call("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"fs_read\",\"arguments\":\"{}\"}}"), f("tool_calls")].concat(),
        &["call a fs.read", "args a {}", "finished ToolUse; use a fs.read {}"],
    );
    check(
        "arguments that are no object",
        &[call("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}{\"}}"), f("tool_calls")].concat(),
        &["call a f", "args a {\"a\":1}{", "finished ToolUse; invalid a f \"{\\\"a\\\":1}{\""],
    );
    check(
        "the token limit",
        &[
            call("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"),
            f("length"),
        ]
        .concat(),
        &[
            "call a f",
            "args a {}",
            "finished MaxTokens; invalid a f \"{}\"",
        ],
    );
    check(
        "a call without a name",
        &[
            call("{\"index\":0,\"id\":\"a\",\"function\":{\"arguments\":\"{}\"}}"),
            f("tool_calls"),
        ]
        .concat(),
        &[
            "warning 1 tool call(s) without a name were dropped",
            "finished EndTurn",
        ],
    );
    check(
        "tool markup as text",
        &[text("<tool_call>"), f("stop")].concat(),
        &[
            "text \"<tool_call>\"",
            "warning the model wrote a tool call as text: the server lacks the tool parser of this model",
            "finished EndTurn; text \"<tool_call>\"",
        ],
    );
}

#[test]
fn reasoning_and_content() {
    let end = [text("Hi"), f("stop")].concat();
    let thought = &[
        "thinks \"hm\"",
        HI[0],
        "finished EndTurn; thinking \"hm\"; text \"Hi\"",
    ];
    for (what, delta) in [
        ("41 reasoning_content", "{\"reasoning_content\":\"hm\"}"),
        ("41 reasoning", "{\"reasoning\":\"hm\",\"content\":\"\"}"),
        (
            "41 both, equal",
            "{\"reasoning_content\":\"hm\",\"reasoning\":\"hm\"}",
        ),
        (
            "reasoning as an object",
            "{\"reasoning\":{\"text\":\"hm\"}}",
        ),
        (
            "reasoning_details",
            "{\"reasoning\":null,\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"hm\"}]}",
        ),
        (
            "thinking parts",
            "{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]}]}",
        ),
    ] {
        check(what, &[&d(delta), &end].map(String::from).concat(), thought);
    }
    check(
        "41 SGLang's null on every chunk; 42 content null, and as parts",
        &[
            d("{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":null}"),
            d("{\"content\":[{\"type\":\"text\",\"text\":\"H\"},{\"type\":\"text\",\"text\":\"i\"}],\"reasoning_content\":null}"),
            f("stop"),
        ]
        .concat(),
        HI,
    );
    check(
        "43 another choice",
        &[&c("{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"},\"finish_reason\":\"stop\"},{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}"), &f("stop")].map(String::from).concat(),
        HI,
    );
    check(
        "44 prompt progress on a role delta and with no choices",
        &[
            &c("{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}],\"prompt_progress\":{\"total\":8000,\"cache\":0,\"processed\":2000,\"time_ms\":3}}"),
            &c("{\"choices\":[],\"prompt_progress\":{\"total\":8000,\"processed\":4000}}"),
            &end,
        ]
        .map(String::from)
        .concat(),
        &["Prefill Some(0.25)", "Prefill Some(0.5)", HI[0], HI[1]],
    );
    check(
        "refusal",
        &[d("{\"refusal\":\"Hi\"}"), f("stop")].concat(),
        &[HI[0], "finished Refusal; text \"Hi\""],
    );
    check(
        "empty finish words",
        &[text("Hi"), f(""), DONE.into()].concat(),
        HI,
    );
    check(
        "a whole message in a stream",
        &c(
            "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}",
        ),
        HI,
    );
    check("fields of the wrong type", &[&c("{\"choices\":[{\"index\":\"x\",\"delta\":7,\"finish_reason\":[]},3],\"usage\":[],\"model\":1}"), &c("[]"), &c("7"), &end].map(String::from).concat(), HI);
}

#[test]
fn reasons_for_stopping() {
    for (reason, stop) in [
        ("stop", "EndTurn"),
        ("eos_token", "EndTurn"),
        ("something new", "EndTurn"),
        ("tool_calls", "EndTurn"),
        ("length", "MaxTokens"),
        ("stop_sequence", "StopSequence"),
        ("content_filter", "Refusal"),
    ] {
        check(
            reason,
            &[text("Hi"), f(reason)].concat(),
            &[HI[0], &format!("finished {stop}; text \"Hi\"")],
        );
    }
    for (member, stop) in [
        ("\"stop_reason\":\"END\"", "StopSequence"),
        ("\"matched_stop\":\"END\"", "StopSequence"),
        ("\"matched_stop\":2", "EndTurn"),
        ("\"stop_reason\":null", "EndTurn"),
    ] {
        let end = c(&format!(
            "{{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\",{member}}}]}}"
        ));
        check(
            member,
            &[text("Hi"), end].concat(),
            &[HI[0], &format!("finished {stop}; text \"Hi\"")],
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_stream_of_plausible_chunks_makes_it_panic(
        picks in proptest::collection::vec(0..12usize, 0..30),
        size in 1..50usize,
    ) {
        let parts = [
            ROLE.to_owned(), text("é"), f("stop"), f("length"), DONE.to_owned(), c("{\"error\":{}}"),
            call("{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}"),
            call("{\"index\":0,\"function\":{\"arguments\":\"}\"}}"),
            call("{\"index\":1,\"function\":{\"name\":\"f\",\"arguments\":{}}}"),
            call("null,7,{},{\"function\":[]}"),
            d("{\"reasoning\":\"x\"}"), c("{\"usage\":{\"prompt_tokens\":1}}"),
        ];
        let stream: String = picks.iter().map(|pick| parts[*pick].as_str()).collect();
        assert_eq!(play([stream.as_bytes()]), play(stream.as_bytes().chunks(size)));
    }
}
