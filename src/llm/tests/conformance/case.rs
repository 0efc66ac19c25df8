//! How a case is written down.
//!
//! ```text
//! # What it is about, and where it is from.
//! dialect: ollama                 openai if it is not said
//! first-token: 5                  seconds, if not the default
//!
//! === answer whole
//! HTTP/1.1 200 OK
//! content-type: text/event-stream
//!
//! data: {"choices":[]}⟨CR⟩
//!
//! === expect
//! text "Hi"
//! ```
//!
//! An answer ends `whole` (in the way of HTTP), `closed` (only by the end of the connection), `cut`
//! (in the middle, as HTTP can tell) or `held` (by silence). `=== capture vllm/chat` stands for a
//! recording in `tests/data/llm`. Several answers are given to one request after the other; the
//! last one is repeated.
//!
//! `⟨CR⟩`, `⟨LF⟩`, `⟨BOM⟩` and bytes in hex, as in `⟨c3 a9⟩`, stand for themselves; `⟨no LF⟩` takes
//! back the end of its line; `⟨9 × x⟩` is nine of them.

use std::{fmt, path::PathBuf, time::Duration};

use super::{super::captures::capture, replay::Random};
use crate::llm::ApiType;

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct Case {
    path: PathBuf,
    pub(super) api_type: ApiType,
    pub(super) first_token: Option<Duration>,
    pub(super) answers: Vec<Answer>,
    /// What stands before the expectation.
    given: String,
    expected: String,
}

#[derive(Debug, Clone)]
pub(super) enum Answer {
    Recorded(Vec<u8>),
    Written {
        /// The status line and the headers.
        head: String,
        body: Vec<u8>,
        ending: Ending,
    },
}

/// How the bytes of an answer end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Whole,
    Closed,
    Cut,
    Held,
}

impl Case {
    pub(super) fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap();
        let (given, expected) = text
            .split_once("=== expect\n")
            .unwrap_or((text.as_str(), ""));
        let mut case = Self {
            api_type: ApiType::OpenAiCompatible,
            first_token: None,
            answers: Vec::new(),
            given: given.to_owned(),
            expected: expected.to_owned(),
            path,
        };
        let mut sections = given
            .split_inclusive('\n')
            .fold(vec![String::new()], by_section);
        for line in sections.remove(0).lines() {
            case.setting(line);
        }
        for section in &sections {
            let (what, rest) = section.split_once('\n').unwrap_or((section, ""));
            case.answers.push(match what.split_once(' ') {
                Some(("capture", name)) => Answer::Recorded(capture(name)),
                Some(("answer", ending)) => Answer::written(rest, ending),
                _ => panic!("{:?}: {what:?}", case.path),
            });
        }
        assert!(!case.answers.is_empty(), "{:?}: no answer", case.path);
        case
    }

    fn setting(&mut self, line: &str) {
        match line.split_once(": ") {
            _ if line.is_empty() || line.starts_with('#') => {}
            Some(("dialect", "openai")) => self.api_type = ApiType::OpenAiCompatible,
            Some(("dialect", "ollama")) => self.api_type = ApiType::Ollama,
            Some(("first-token", seconds)) => {
                self.first_token = Some(Duration::from_secs(seconds.parse().unwrap()));
            }
            _ => panic!("{:?}: {line:?}", self.path),
        }
    }

    /// Compares, or writes down.
    pub(super) fn expect(&mut self, told: &str) -> Result<(), String> {
        if told == self.expected {
            return Ok(());
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&self.path, format!("{}=== expect\n{told}", self.given)).unwrap();
            return Ok(());
        }
        let expected = &self.expected;
        Err(format!("tells\n{told}instead of\n{expected}"))
    }

    /// Whether a server says this.
    pub(super) fn has(&self, text: &str) -> bool {
        let mut answers = self.answers.iter();
        answers.any(|answer| String::from_utf8_lossy(answer.body()).contains(text))
    }

    /// Whether any answer says that it is all there is.
    pub(super) fn says_finished(&self) -> bool {
        self.answers.iter().any(|answer| {
            // Data over several lines has its field name in between.
            let body = String::from_utf8_lossy(answer.body());
            let text: String = body.split_whitespace().collect();
            let text = text.replace("data:", "");
            let reason = |rest: &str| rest.starts_with('"') && !rest.starts_with("\"\"");
            text.contains("[DONE]")
                || text.contains("\"done\":true")
                || text.split("\"finish_reason\":").skip(1).any(reason)
        })
    }

    /// The same with the last answer's body cut short, as if that were all of it.
    pub(super) fn beginning(&self, seed: u64) -> Option<Self> {
        let mut case = self.clone();
        let Some(Answer::Written { body, ending, .. }) = case.answers.last_mut() else {
            return None;
        };
        body.truncate(Random::new(seed).below(body.len().max(1)));
        *ending = Ending::Closed;
        Some(case)
    }
}

/// For failures: the last body.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.answers.last() {
            Some(Answer::Written { body, .. }) => f.write_str(&String::from_utf8_lossy(body)),
            _ => Ok(()),
        }
    }
}

impl Answer {
    fn written(text: &str, ending: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
        Self::Written {
            head: head.to_owned(),
            body: unescape(body),
            ending: match ending {
                "whole" => Ending::Whole,
                "closed" => Ending::Closed,
                "cut" => Ending::Cut,
                "held" => Ending::Held,
                other => panic!("{other:?}"),
            },
        }
    }

    /// Of a recording, all of it.
    fn body(&self) -> &[u8] {
        match self {
            Self::Recorded(bytes) => bytes,
            Self::Written { body, .. } => body,
        }
    }

    /// All bytes of it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (head, body, ending) = match self {
            Self::Recorded(bytes) => return bytes.clone(),
            Self::Written { head, body, ending } => (head.replace('\n', "\r\n"), body, *ending),
        };
        let length = body.len();
        let (framing, tail) = match ending {
            Ending::Whole => (format!("content-length: {length}\r\n\r\n"), ""),
            Ending::Closed => ("connection: close\r\n\r\n".to_owned(), ""),
            // One chunk that never comes to its end.
            Ending::Cut | Ending::Held => {
                let more = length + 1;
                (
                    format!("transfer-encoding: chunked\r\n\r\n{more:x}\r\n"),
                    "",
                )
            }
        };
        [
            head.as_bytes(),
            b"\r\n",
            framing.as_bytes(),
            body,
            tail.as_bytes(),
        ]
        .concat()
    }

    pub(super) fn ending(&self) -> Ending {
        match self {
            Self::Recorded(_) => Ending::Whole,
            Self::Written { ending, .. } => *ending,
        }
    }
}

/// Takes a line into the section that it belongs to, or begins another one.
fn by_section(mut sections: Vec<String>, line: &str) -> Vec<String> {
    match (line.strip_prefix("=== "), sections.last_mut()) {
        (None, Some(section)) => section.push_str(line),
        (title, _) => sections.push(title.unwrap_or(line).to_owned()),
    }
    sections
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, escaped)) = rest.split_once('⟨') {
        let (escape, after) = escaped.split_once('⟩').unwrap();
        out.extend_from_slice(before.as_bytes());
        rest = after;
        match escape {
            "CR" => out.push(b'\r'),
            "LF" => out.push(b'\n'),
            "BOM" => out.extend_from_slice(b"\xEF\xBB\xBF"),
            "no LF" => rest = after.strip_prefix('\n').unwrap(),
            _ => match escape.split_once(" × ") {
                Some((times, what)) => {
                    out.extend(what.repeat(times.parse().unwrap()).into_bytes());
                }
                None => out.extend(
                    escape
                        .split(' ')
                        .map(|byte| u8::from_str_radix(byte, 16).unwrap()),
                ),
            },
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}
