//! An answer in the making: frames in, events out, and at the end the whole of it.
//!
//! Does no I/O and knows no time. An answer is whole only when the server said why it stopped;
//! the end of the bytes alone proves nothing.

use serde_json::Value;

use super::{
    Dialect,
    calls::Calls,
    delta::{Content, Delta},
    markup,
    names::Names,
    stop,
    thinking::{Pieces, Splitter},
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
    splitter: Splitter,
    calls: Calls,
    finish: Option<String>,
    stop_matched: bool,
    refused: bool,
    done: bool,
    /// A piece has come, so a whole answer beside it would say everything twice.
    has_pieces: bool,
    usage: Option<Usage>,
    model: Option<String>,
    of_ollama: bool,
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
            splitter: Splitter::default(),
            calls: Calls::new(seed),
            finish: None,
            stop_matched: false,
            refused: false,
            done: false,
            has_pieces: false,
            usage: None,
            model: None,
            of_ollama: false,
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
                if !self.has_output() {
                    out.extend(self.dialect.comment_progress(text).map(prefill));
                }
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
        self.add(content, out)?;
        self.done |= delta.last;
        Ok(())
    }

    /// What any object may carry beside content.
    fn note(&mut self, delta: &Delta<'_>, out: &mut Vec<ChatEvent>) {
        self.of_ollama |= delta.of_ollama;
        // Counts that come with every chunk are running totals.
        if let Some(usage) = delta.usage {
            self.usage = Some(usage.or(self.usage.unwrap_or_default()));
        }
        if let Some(model) = delta.model.filter(|model| !model.is_empty())
            && self.model.is_none()
        {
            self.model = Some(sanitize(model));
        }
        // Of a prompt that is being answered, there is nothing left to be read.
        if !self.has_output() {
            out.extend(delta.progress.map(prefill));
        }
    }

    /// Anything of the answer has come.
    fn has_output(&self) -> bool {
        !(self.text.is_empty() && self.reasoning.is_empty() && self.calls.is_empty())
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
            self.splitter.leave_alone();
        }
        let text = match content.text.as_str() {
            "" => Pieces::default(),
            text => self.splitter.feed(text),
        };
        self.tell(content.reasoning, String::new(), out);
        self.tell(text.thinking, text.text, out);
        if !(content.refusal.is_empty() && content.calls.is_empty()) {
            self.flush(out);
        }
        self.tell(String::new(), content.refusal.to_owned(), out);
        self.refused |= !content.refusal.is_empty();
        for element in content.calls {
            self.calls.take(element, &self.names, out)?;
        }
        self.stop_matched |= content.stop_matched;
        match content.finish {
            Some(word) if stop::is_failure(word) => Err(Fault::Refused(Refusal {
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

    fn tell(&mut self, thinking: String, text: String, out: &mut Vec<ChatEvent>) {
        if !thinking.is_empty() {
            self.reasoning.push_str(&thinking);
            out.push(ChatEvent::Reasoning(thinking));
        }
        if !text.is_empty() {
            self.text.push_str(&text);
            out.push(ChatEvent::Text(text));
        }
    }

    /// Tells what might have become a tag.
    fn flush(&mut self, out: &mut Vec<ChatEvent>) {
        let Pieces { thinking, text } = self.splitter.flush();
        self.tell(thinking, text, out);
    }

    fn refusal(&self, said: &refusal::Said) -> Fault {
        Fault::Refused(refusal::in_stream(said, &self.redactor))
    }

    /// It bears the mark of Ollama, by the OpenAI-compatible API.
    pub(in crate::llm) fn is_of_ollama(&self) -> bool {
        self.of_ollama
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
        // Of an answer that was cut, half a tag is not told: nothing may have been told so far.
        if self.done || self.finish.is_some() {
            self.flush(out);
        }
        // `[DONE]` alone vouches for text, not for calls.
        let vouched = self.done
            && self.calls.is_empty()
            && !(self.text.is_empty() && self.reasoning.is_empty());
        if self.finish.is_none() && !vouched {
            return Err(Fault::Unfinished);
        }
        let called = !self.calls.is_empty();
        let cut = self.finish.as_deref().is_some_and(stop::is_limit);
        let calls = self.calls.finish(&self.names, cut, out);
        if calls.nameless > 0 {
            out.push(ChatEvent::Warning(format!(
                "{} tool call(s) without a name were dropped",
                calls.nameless
            )));
        }
        if !called && markup::is_in(&self.text) {
            out.push(ChatEvent::Warning(markup::WARNING.to_owned()));
        }
        if self.splitter.is_open() && !cut && self.text.is_empty() {
            out.push(ChatEvent::Warning(
                "the model's thinking never came to an end, so there is no answer".to_owned(),
            ));
        }
        out.extend(self.usage.map(ChatEvent::Usage));
        let has_calls = !calls.valid.is_empty() || !calls.invalid.is_empty();
        let mut content = self.content();
        content.extend(calls.valid);
        out.push(ChatEvent::Finished(Completion {
            content,
            invalid_calls: calls.invalid,
            stop_reason: match self.finish.as_deref() {
                // Calls decide before the word: servers say `stop` with calls, and `tool_calls`
                // without.
                _ if cut => StopReason::MaxTokens,
                _ if has_calls => StopReason::ToolUse,
                _ if self.refused => StopReason::Refusal,
                Some(word) => stop::reason(word, self.stop_matched),
                None => StopReason::EndTurn,
            },
            raw_finish_reason: self.finish.clone(),
            usage: self.usage,
            model: self.model.clone(),
            timing,
        }));
        Ok(())
    }
}

fn prefill(progress: f64) -> ChatEvent {
    ChatEvent::Status {
        phase: Phase::Prefill,
        progress: Some(progress),
    }
}

#[cfg(test)]
mod tests;
