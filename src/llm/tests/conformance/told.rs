//! What was told of an answer, in lines that can be compared.

use std::{collections::BTreeMap, fmt};

use super::case::Case;
use crate::llm::{
    Block, ChatEvent, Completion, Error, Refusal, RefusalKind, StopReason, Usage,
    tests::peer::Refused,
};

/// A line of an expectation is shortened beyond this many characters.
const SHOWN: usize = 300;

/// Events and the end. Pieces of one thing in a row are one piece: how they were cut is the
/// server's business.
#[derive(Debug)]
pub(super) struct Told {
    events: Vec<ChatEvent>,
    error: Option<Error<Refused>>,
    partial: String,
    lines: Vec<String>,
}

impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        self.lines == other.lines
    }
}

impl Told {
    pub(super) fn new(
        case: &Case,
        all: Vec<ChatEvent>,
        error: Option<Error<Refused>>,
        partial: String,
    ) -> Self {
        let mut events: Vec<ChatEvent> = Vec::new();
        for event in all {
            match (events.last_mut(), &event) {
                // It is told at the end of a read, wherever that was.
                (_, ChatEvent::Warning(warning)) if warning.contains("UTF-8") => {
                    events.insert(0, event);
                }
                (Some(ChatEvent::Text(before)), ChatEvent::Text(text))
                | (Some(ChatEvent::Reasoning(before)), ChatEvent::Reasoning(text)) => {
                    *before += text;
                }
                (
                    Some(ChatEvent::ToolCallDelta { id, fragment }),
                    ChatEvent::ToolCallDelta {
                        id: same,
                        fragment: more,
                    },
                ) if id == same => *fragment += more,
                _ => events.push(event),
            }
        }
        let mut lines: Vec<_> = events.iter().flat_map(event).collect();
        lines.extend(error.iter().flat_map(failure));
        Self {
            lines: with_stable_ids(lines, &events, case),
            events,
            error,
            partial,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.completion().is_some()
    }

    fn completion(&self) -> Option<&Completion> {
        match self.events.last() {
            Some(ChatEvent::Finished(completion)) => Some(completion),
            _ => None,
        }
    }

    /// For an expectation.
    pub(super) fn short(&self) -> String {
        let mut out = String::new();
        for line in &self.lines {
            let length = line.chars().count();
            if length > SHOWN {
                let begin: String = line.chars().take(SHOWN).collect();
                out += &format!("{begin}… ({length} characters)\n");
            } else {
                out += &format!("{line}\n");
            }
        }
        out
    }

    /// The events together have to say what the completion says; without one, what is kept of the
    /// text.
    pub(super) fn agrees(&self) -> Result<(), String> {
        let (mut text, mut thinking) = (String::new(), String::new());
        let mut calls: Vec<(String, String, String)> = Vec::new();
        for event in &self.events {
            match event {
                ChatEvent::Text(piece) => text += piece,
                ChatEvent::Reasoning(piece) => thinking += piece,
                ChatEvent::ToolCallStarted { id, name } => {
                    calls.push((id.clone(), name.clone(), String::new()));
                }
                ChatEvent::ToolCallDelta { id, fragment } => {
                    match calls.iter_mut().find(|call| call.0 == *id) {
                        Some(call) => call.2 += fragment,
                        None => return Err(format!("{id} was never told of")),
                    }
                }
                _ => {}
            }
        }
        if self.partial != text {
            return Err(format!("{:?} is kept of {text:?}", self.partial));
        }
        let Some(completion) = self.completion() else {
            return match self.error {
                Some(_) => Ok(()),
                None => Err("neither an end nor an error".to_owned()),
            };
        };
        let mut made = (String::new(), String::new(), 0);
        for block in &completion.content {
            match block {
                Block::Text { text } => made.0 += text,
                Block::Thinking { thinking, .. } => made.1 += thinking,
                Block::ToolUse { id, name, input } => {
                    made.2 += 1;
                    let same = |(other, told, raw): &&(String, String, String)| {
                        let raw = if raw.is_empty() { "{}" } else { raw };
                        other == id
                            && told == name
                            && serde_json::from_str::<serde_json::Value>(raw)
                                .is_ok_and(|raw| raw == *input)
                    };
                    if !calls.iter().any(|call| same(&call)) {
                        return Err(format!("{name} {input} is not what was told: {calls:?}"));
                    }
                }
                other => return Err(format!("{other:?}")),
            }
        }
        let told = (text, thinking, calls.len());
        made.2 += completion.invalid_calls.len();
        match made == told {
            true => Ok(()),
            false => Err(format!("{made:?} is not what was told: {told:?}")),
        }
    }
}

/// In full.
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Ids that we make up begin differently each time.
fn with_stable_ids(lines: Vec<String>, events: &[ChatEvent], case: &Case) -> Vec<String> {
    let mut stable = BTreeMap::new();
    for event in events {
        if let ChatEvent::ToolCallStarted { id, .. } = event
            && !case.has(id)
            && let Some((seed, number)) = id.split_at_checked(7)
            && number.len() == 2
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && seed.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            stable.insert(id.clone(), format!("made-{number}"));
        }
    }
    let replaced = |line: String| {
        stable
            .iter()
            .fold(line, |line, (id, stable)| line.replace(id, stable))
    };
    lines.into_iter().map(replaced).collect()
}

fn event(event: &ChatEvent) -> Vec<String> {
    vec![match event {
        ChatEvent::Status { phase, progress } => match progress {
            Some(progress) => format!("status {phase:?} {:.1} %", progress * 100.0),
            None => format!("status {phase:?}"),
        },
        // Told by the clock, not by the bytes.
        ChatEvent::Waiting { .. } => return Vec::new(),
        ChatEvent::Text(text) => format!("text {text:?}"),
        ChatEvent::Reasoning(text) => format!("reasoning {text:?}"),
        ChatEvent::ToolCallStarted { id, name } => format!("call {id} {name}"),
        ChatEvent::ToolCallDelta { id, fragment } => format!("arguments {id} {fragment:?}"),
        ChatEvent::Usage(count) => format!("usage {}", usage(count)),
        ChatEvent::Warning(text) => format!("warning {text}"),
        ChatEvent::Finished(completion) => return finished(completion),
    }]
}

fn usage(usage: &Usage) -> String {
    let counts = [
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
        ("from cache", usage.cache_read_tokens),
        ("reasoning", usage.reasoning_tokens),
    ];
    let known = counts
        .iter()
        .filter_map(|(what, count)| Some(format!("{what} {}", (*count)?)));
    known.collect::<Vec<_>>().join(", ")
}

/// Text and thinking were told before, and are compared with it; calls are shown as they run.
fn finished(completion: &Completion) -> Vec<String> {
    let reason = match completion.stop_reason {
        StopReason::EndTurn => "end_turn",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ToolUse => "tool_use",
        StopReason::Refusal => "refusal",
    };
    let mut first = format!("finished {reason}");
    match &completion.raw_finish_reason {
        Some(raw) => first += &format!(", by {raw:?}"),
        None => first += ", without a reason",
    }
    if let Some(model) = &completion.model {
        first += &format!(", from {model:?}");
    }
    let mut lines = vec![first];
    for block in &completion.content {
        if let Block::ToolUse { id, name, input } = block {
            lines.push(format!("  runs {id} {name} {input}"));
        }
    }
    for call in &completion.invalid_calls {
        let (id, name, problem) = (&call.id, &call.name, &call.problem);
        lines.push(format!("  does not run {id} {name}: {problem}"));
    }
    lines
}

fn failure(error: &Error<Refused>) -> Vec<String> {
    match error {
        Error::Refused(refusal) => refused(refusal),
        Error::Timeout { clock, limit } => vec![format!("failed: {clock:?} clock, {limit:?}")],
        Error::Interrupted { .. } => vec!["failed: interrupted".to_owned()],
        Error::Protocol(problem) => vec![format!("failed: protocol, {problem}")],
        Error::UnexpectedContent { .. } => vec![format!("failed: unexpected content, {error}")],
        other => vec![format!("failed: {other}")],
    }
}

fn refused(refusal: &Refusal) -> Vec<String> {
    let mut first = match refusal.kind {
        RefusalKind::ContextOverflow { needed, available } => {
            let number = |number: Option<u64>| number.map_or("?".into(), |n| n.to_string());
            format!(
                "refused ContextOverflow, needs {} of {}",
                number(needed),
                number(available)
            )
        }
        RefusalKind::ToolsUnsupported { .. } => "refused ToolsUnsupported".to_owned(),
        kind => format!("refused {kind:?}"),
    };
    if let Some(status) = refusal.status {
        first += &format!(", HTTP {status}");
    }
    if let Some(after) = refusal.retry_after {
        first += &format!(", again in {after:?}");
    }
    let mut lines = vec![first, format!("  {}", refusal.message)];
    if let RefusalKind::ToolsUnsupported { hint: Some(hint) } = refusal.kind {
        lines.push(format!("  hint: {hint}"));
    }
    lines
}
