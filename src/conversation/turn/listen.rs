//! One answer of the model, from the request to the finish.

use tokio::select;
use tokio::time::Instant;

use crate::conversation::call::resolve;
use crate::conversation::error::Error;
use crate::conversation::event::{Event, Phase};
use crate::conversation::model::{Answer, Model};
use crate::llm::{Block, ChatEvent, Completion};

use super::{Stop, Turn};

impl<M: Model> Turn<'_, M> {
    /// Asks for this round's answer and tells it as it comes. Calls in it are for nobody to run
    /// before this returns: a stream that fails after a complete-looking call means none of it.
    pub(super) async fn listen(&mut self) -> Result<Completion, Stop<M::Carrier>> {
        self.partial = Partial::default();
        let phase = if self.round == 1 {
            Phase::Connecting
        } else {
            Phase::Queued
        };
        self.emit(Event::Status {
            phase,
            progress: None,
        })
        .await;

        let request = self.plan.request(self.round, self.sent.clone());
        // Its room is of use for the beginning only.
        let asking = Box::pin(self.model.chat(request));
        let mut answer = select! {
            biased;
            () = self.cancel.cancelled() => return Err(Stop::Cancelled),
            answer = asking => Box::new(answer.map_err(failed)?),
        };
        let mut first_output = None;
        loop {
            let event = select! {
                biased;
                () = self.cancel.cancelled() => return Err(Stop::Cancelled),
                event = answer.next() => event,
            };
            self.measure(&answer);
            let event = match event {
                Some(event) => event.map_err(failed)?,
                None => return Err(Stop::Failed(Error::Unfinished)),
            };
            if event.is_output() && first_output.is_none() {
                first_output = Some(Instant::now());
                self.record
                    .first_token
                    .get_or_insert(self.started.elapsed());
            }
            let event = match event {
                ChatEvent::Finished(completion) => {
                    self.finish(&completion, first_output);
                    return Ok(completion);
                }
                // Told once, with the finish.
                ChatEvent::Usage(usage) => {
                    self.record.keep_usage(Some(usage));
                    continue;
                }
                ChatEvent::Status { phase, progress } => Event::Status {
                    phase: phase.into(),
                    progress,
                },
                ChatEvent::Waiting { phase, elapsed } => Event::Waiting {
                    phase: phase.map(Into::into),
                    elapsed,
                },
                ChatEvent::Text(text) => {
                    self.partial.push(Kind::Text, &text);
                    Event::TextDelta { text }
                }
                ChatEvent::Reasoning(text) => {
                    self.partial.push(Kind::Thinking, &text);
                    Event::ReasoningDelta { text }
                }
                ChatEvent::ToolCallStarted { id, name } => Event::ToolCallStarted {
                    id: self.ids.own(&id),
                    name: resolve(&self.plan.tools, &name).0,
                },
                ChatEvent::ToolCallDelta { id, fragment } => Event::ToolCallDelta {
                    id: self.ids.own(&id),
                    fragment,
                },
                ChatEvent::Warning(message) => {
                    self.record.keep_warning(&message);
                    Event::Warning { message }
                }
            };
            answer = self.emit_holding(answer, event).await?;
        }
    }

    /// Keeps what only the answer knows, should this be the last that is heard of it.
    fn measure(&mut self, answer: &M::Answer) {
        self.record.keep_usage(answer.usage());
        if self.round == 1 && self.record.connect.is_none() {
            self.record.connect = answer.connect_time();
        }
    }

    fn finish(&mut self, completion: &Completion, first_output: Option<Instant>) {
        if completion.model.is_some() {
            self.record.model.clone_from(&completion.model);
        }
        if completion.usage.is_some() {
            self.record.keep_usage(completion.usage);
        }
        let usage = self.record.usage.per_round.last().and_then(Option::as_ref);
        if let (Some(first), Some(tokens)) =
            (first_output, usage.and_then(|usage| usage.output_tokens))
        {
            let generated = &mut self.record.generation.tokens;
            *generated = generated.saturating_add(tokens);
            self.record.generation.time += first.elapsed();
        }
    }

    /// Tells an event while holding an answer. On a cancel the answer is dropped at once, however
    /// slow the host reads, and the event still goes its way.
    async fn emit_holding<A>(&self, answer: A, event: Event) -> Result<A, Stop<M::Carrier>> {
        let mut emitting = self.sink.emit(self.round, event);
        select! {
            biased;
            () = &mut emitting => return Ok(answer),
            () = self.cancel.cancelled() => {}
        }
        drop(answer);
        emitting.await;
        Err(Stop::Cancelled)
    }
}

/// What arrived of an answer, in case the rest does not.
#[derive(Debug, Default)]
pub(super) struct Partial {
    blocks: Vec<(Kind, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
}

impl Partial {
    fn push(&mut self, kind: Kind, text: &str) {
        match self.blocks.last_mut() {
            Some((last, so_far)) if *last == kind => so_far.push_str(text),
            _ => self.blocks.push((kind, text.to_owned())),
        }
    }

    pub(super) fn into_content(self) -> Vec<Block> {
        self.blocks
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(kind, text)| match kind {
                Kind::Text => Block::Text { text },
                Kind::Thinking => Block::Thinking {
                    thinking: text,
                    signature: None,
                },
            })
            .collect()
    }
}

fn failed<E: crate::llm::Carrier>(error: crate::llm::Error<E>) -> Stop<E> {
    Stop::Failed(Error::Llm(error))
}
