//! An answer in the making: frames in, events out, and at the end the whole of it.
//!
//! Does no I/O and knows no time. An answer is whole only when the server said why it stopped;
//! the end of the bytes alone proves nothing.

use serde_json::Value;

use super::{
    Dialect,
    calls::Calls,
    delta::{Content, Delta},
    names::Names,
};
use crate::llm::{
    error::Fault,
    event::{ChatEvent, Completion, Phase, StopReason, Timing, Usage},
    json,
    message::Block,
    refusal::{self, Refusal, RefusalKind},
    sanitize::{Redactor, sanitize},
    sse::Frame,
};

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::llm) struct Answer {
    dialect: Dialect,
    names: Names,
    redactor: Redactor,
    text: String,
    reasoning: String,
    calls: Calls,
    finish: Option<String>,
    stop_matched: bool,
    refused: bool,
    done: bool,
    /// A piece has come, so a whole answer beside it would say everything twice.
    has_pieces: bool,
    usage: Option<Usage>,
    model: Option<String>,
}

impl Answer {
    /// `seed`: beginning of ids for calls that have none.
    pub(in crate::llm) fn new(
        dialect: Dialect,
        names: Names,
        redactor: Redactor,
        seed: String,
    ) -> Self {
        Self {
            dialect,
            names,
            redactor,
            text: String::new(),
            reasoning: String::new(),
            calls: Calls::new(seed),
            finish: None,
            stop_matched: false,
            refused: false,
            done: false,
            has_pieces: false,
            usage: None,
            model: None,
        }
    }

    /// Takes a frame of an event stream.
    ///
    /// # Errors
    /// The server reported an error, or what it sent cannot be understood. Nothing that comes
    /// after an error counts.
    pub(in crate::llm) fn take(
        &mut self,
        frame: &Frame,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), Fault> {
        let (event, data) = match frame {
            Frame::Comment(text) => {
                out.extend(self.dialect.comment_progress(text).map(prefill));
                return Ok(());
            }
            Frame::Event { event, data } => (event.as_deref(), data.trim()),
        };
        match json::parse(data) {
            Ok(json) => self.chunk(event, &json, out),
            Err(error) if error.is_data() => Err(Fault::Protocol(format!(
                "an event of the stream cannot be read: {error}"
            ))),
            // Some proxies put one newline where two belong.
            Err(_) => data
                .lines()
                .try_for_each(|line| self.line(event, line.trim(), out)),
        }
    }

    fn line(
        &mut self,
        event: Option<&str>,
        line: &str,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), Fault> {
        if line.is_empty() {
            return Ok(());
        }
        if line == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        match json::parse(line) {
            Ok(json) => self.chunk(event, &json, out),
            Err(_) if event == Some("error") => Err(self.refusal(&refusal::from_text(line))),
            Err(_) => Err(Fault::Protocol(format!(
                "an event of the stream is not JSON: {}",
                self.redactor.excerpt(line)
            ))),
        }
    }

    fn chunk(
        &mut self,
        event: Option<&str>,
        json: &Value,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), Fault> {
        if let Some(said) = refusal::error_in(event, json) {
            return Err(self.refusal(&said));
        }
        let delta = self.dialect.delta(json);
        self.note(&delta, out);
        if let Some(content) = delta.content {
            self.add(content, out)?;
        }
        self.done |= delta.last;
        Ok(())
    }

    /// Takes a whole answer: some servers answer so although a stream was asked for.
    pub(in crate::llm) fn take_whole(
        &mut self,
        json: &Value,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), Fault> {
        if let Some(said) = refusal::error_in(None, json) {
            return Err(self.refusal(&said));
        }
        let delta = self.dialect.delta(json);
        self.note(&delta, out);
        let Some(content) = delta.content else {
            let text = self.redactor.excerpt(&json.to_string());
            return Err(Fault::Protocol(format!(
                "the answer has nothing of the model's: {text}"
            )));
        };
        let whole = content.whole;
        self.add(content, out)?;
        self.done |= whole || delta.last;
        Ok(())
    }

    /// What any object may carry beside content.
    fn note(&mut self, delta: &Delta<'_>, out: &mut Vec<ChatEvent>) {
        // Counts that come with every chunk are running totals.
        self.usage = delta.usage.or(self.usage);
        if let Some(model) = delta.model.filter(|model| !model.is_empty())
            && self.model.is_none()
        {
            self.model = Some(sanitize(model));
        }
        out.extend(delta.progress.map(prefill));
    }

    fn add(&mut self, mut content: Content<'_>, out: &mut Vec<ChatEvent>) -> Result<(), Fault> {
        if content.whole && self.has_pieces {
            content = Content {
                finish: content.finish,
                stop_matched: content.stop_matched,
                ..Content::default()
            };
        }
        self.has_pieces |= !content.whole;
        if !content.reasoning.is_empty() {
            self.reasoning.push_str(&content.reasoning);
            out.push(ChatEvent::Reasoning(content.reasoning));
        }
        for text in [content.text.as_str(), content.refusal] {
            if !text.is_empty() {
                self.text.push_str(text);
                out.push(ChatEvent::Text(text.to_owned()));
            }
        }
        self.refused |= !content.refusal.is_empty();
        for element in content.calls {
            self.calls.take(element, &self.names, out)?;
        }
        self.stop_matched |= content.stop_matched;
        match content.finish {
            Some(word @ ("error" | "abort")) => Err(Fault::Refused(Refusal {
                kind: RefusalKind::Other,
                status: None,
                message: format!("the server gave up within the answer (finish reason {word:?})"),
                retry_after: None,
            })),
            Some(word) => {
                self.finish.get_or_insert_with(|| sanitize(word));
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn refusal(&self, said: &refusal::Said) -> Fault {
        Fault::Refused(refusal::in_stream(said, &self.redactor))
    }

    /// The server said that it is done; only counts may follow.
    pub(in crate::llm) fn is_done(&self) -> bool {
        self.done
    }

    /// The server said why it stopped.
    pub(in crate::llm) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    pub(in crate::llm) fn text(&self) -> &str {
        &self.text
    }

    pub(in crate::llm) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Thinking and text so far; no calls, since none is fit to run before the end.
    fn content(&self) -> Vec<Block> {
        let mut content = Vec::new();
        if !self.reasoning.is_empty() {
            content.push(Block::Thinking {
                thinking: self.reasoning.clone(),
                signature: None,
            });
        }
        if !self.text.is_empty() {
            content.push(Block::Text {
                text: self.text.clone(),
            });
        }
        content
    }

    /// The stream has ended: pushes usage, warnings and the completion.
    ///
    /// # Errors
    /// [`Fault::Unfinished`] when the server never said that the answer is whole. What came
    /// before stays readable.
    pub(in crate::llm) fn complete(
        &mut self,
        timing: Timing,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), Fault> {
        // `[DONE]` alone vouches for text, not for calls.
        let vouched = self.done
            && self.calls.is_empty()
            && !(self.text.is_empty() && self.reasoning.is_empty());
        if self.finish.is_none() && !vouched {
            return Err(Fault::Unfinished);
        }
        let called = !self.calls.is_empty();
        let cut = self.finish.as_deref() == Some("length");
        let calls = self.calls.finish(&self.names, cut);
        if calls.nameless > 0 {
            out.push(ChatEvent::Warning(format!(
                "{} tool call(s) without a name were dropped",
                calls.nameless
            )));
        }
        if !called && has_markup(&self.text) {
            out.push(ChatEvent::Warning(
                "the model wrote a tool call as text: the server lacks the tool parser of this model".to_owned(),
            ));
        }
        out.extend(self.usage.map(ChatEvent::Usage));
        let has_calls = !calls.valid.is_empty() || !calls.invalid.is_empty();
        let mut content = self.content();
        content.extend(calls.valid);
        out.push(ChatEvent::Finished(Completion {
            content,
            invalid_calls: calls.invalid,
            stop_reason: self.stop_reason(has_calls),
            raw_finish_reason: self.finish.clone(),
            usage: self.usage,
            model: self.model.clone(),
            timing,
        }));
        Ok(())
    }

    /// Calls decide before the word: servers say `stop` with calls, and `tool_calls` without.
    fn stop_reason(&self, has_calls: bool) -> StopReason {
        match self.finish.as_deref() {
            Some("length") => StopReason::MaxTokens,
            _ if has_calls => StopReason::ToolUse,
            Some("content_filter") => StopReason::Refusal,
            _ if self.refused => StopReason::Refusal,
            Some("stop_sequence") => StopReason::StopSequence,
            Some("stop") if self.stop_matched => StopReason::StopSequence,
            _ => StopReason::EndTurn,
        }
    }
}

fn prefill(progress: f64) -> ChatEvent {
    ChatEvent::Status {
        phase: Phase::Prefill,
        progress: Some(progress),
    }
}

fn has_markup(text: &str) -> bool {
    ["<tool_call>", "[TOOL_CALLS]", "<function="]
        .iter()
        .any(|mark| text.contains(mark))
}
