//! The stream of one answer: bytes to events, under the four clocks.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};

use self::reader::{Piece, Reader};
use super::{
    Inner,
    ask::{Failed, Question, Reply},
    carrier::{BoxFuture, Carrier},
    dialect::Answer,
    error::{Error, Fault},
    event::{ChatEvent, Phase, Timing, Usage},
    message::ChatRequest,
    moment::Pauses,
    refusal::Refusal,
    resend::Reached,
};

pub(super) mod framing;
mod reader;

/// How often a server that loads its model is asked again.
const LOADING_POLL: Duration = Duration::from_millis(1500);

/// How often it is told at least that the first output is still waited for.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// An answer as it comes. Dropping it closes the connection at once, which is how to cancel;
/// only after [`ChatEvent::Finished`] may the connection have been kept for the next request.
pub struct ChatStream<E: Carrier> {
    state: State<E>,
    answer: Answer,
    events: VecDeque<ChatEvent>,
    /// When an event was last told, or began to be waited for.
    told: Instant,
    /// Since when nobody waits for the next one.
    left: Option<Instant>,
    pauses: Pauses,
    /// What was last told of the server.
    phase: Option<Phase>,
    start: Instant,
    connect: Duration,
    first_output: Option<Instant>,
    end: Option<Instant>,
}

enum State<E: Carrier> {
    /// The question is on its way, or its time has not come yet.
    Asking(BoxFuture<'static, Asked<E>>),
    Reading {
        reader: Box<Reader>,
        /// To ask again. Gone with the first output: what was told cannot be taken back.
        question: Option<Box<Question<E>>>,
    },
    /// To be told once the events before it have been.
    Failed(Error<E>),
    Over,
}

/// A question that was asked, and what came of it.
type Asked<E> = (Box<Question<E>>, Result<Begun, Failed<E>>);

enum Begun {
    /// There is something to tell before the question is put.
    News(Vec<ChatEvent>),
    Reading(Box<Reader>),
    /// The server said "not yet".
    Loading(Refusal),
}

impl<E: Carrier> ChatStream<E> {
    pub(super) async fn open(
        server: Arc<Inner<E>>,
        request: ChatRequest,
    ) -> Result<Self, Error<E>> {
        let question = Box::new(Question::new(server, request)?);
        let start = Instant::now();
        let mut stream = Self {
            answer: question.blank_answer(),
            pauses: question.pauses().clone(),
            state: State::Asking(Box::pin(ask(question, start))),
            events: VecDeque::new(),
            told: start,
            left: None,
            phase: None,
            start,
            connect: Duration::ZERO,
            first_output: None,
            end: None,
        };
        // A server that holds its head back is told of by `next`.
        match timeout_at(start + SIGN_OF_LIFE, stream.asked()).await {
            Ok(asked) => asked?,
            Err(_) => stream.events.push_back(stream.sign_of_life()),
        }
        stream.left = Some(Instant::now());
        Ok(stream)
    }

    /// The next event; `None` after [`ChatEvent::Finished`] or an error. Dropping the future
    /// loses nothing: call again to go on.
    ///
    /// A request that failed before any output may be sent again from within: its
    /// [`ChatEvent::Warning`] comes first, and the sending waits until this is called once more.
    ///
    /// # Errors
    /// When the answer did not come to a good end. What came stays in [`Self::partial_text`].
    pub async fn next(&mut self) -> Option<Result<ChatEvent, Error<E>>> {
        // No clock of the server's runs while nobody listens.
        if let Some(left) = self.left.take() {
            self.pauses.add(left.elapsed());
            self.told = Instant::now();
        }
        let next = self.news().await;
        self.left = Some(Instant::now());
        next
    }

    async fn news(&mut self) -> Option<Result<ChatEvent, Error<E>>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                if let ChatEvent::Status { phase, .. } = event {
                    self.phase = Some(phase);
                }
                self.told = Instant::now();
                return Some(Ok(event));
            }
            if matches!(self.state, State::Failed(_)) {
                self.end.get_or_insert_with(Instant::now);
                return match std::mem::replace(&mut self.state, State::Over) {
                    State::Failed(error) => Some(Err(error)),
                    _ => None,
                };
            }
            if matches!(self.state, State::Over) {
                return None;
            }
            let sign_at = self.told + SIGN_OF_LIFE;
            let stepped = match self.first_output {
                Some(_) => Ok(self.step().await),
                None => timeout_at(sign_at, self.step()).await,
            };
            match stepped {
                // Drops the connection too.
                Ok(Err(error)) => self.state = State::Failed(error),
                Ok(Ok(())) if self.has_news() || Instant::now() < sign_at => {}
                // Also beside a flood of what is nothing to tell.
                Ok(Ok(())) | Err(_) => {
                    self.told = Instant::now();
                    return Some(Ok(self.sign_of_life()));
                }
            }
        }
    }

    /// The text so far.
    #[must_use]
    pub fn partial_text(&self) -> &str {
        self.answer.text()
    }

    /// Counts so far, if the server sends them on the way.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.answer.usage()
    }

    /// Times so far.
    #[must_use]
    pub fn timing(&self) -> Timing {
        Timing {
            connect: self.connect,
            first_token: self.first_output.map(|first| first - self.start),
            total: self.end.unwrap_or_else(Instant::now) - self.start,
        }
    }

    fn sign_of_life(&self) -> ChatEvent {
        ChatEvent::Waiting {
            phase: self.phase,
            elapsed: self.start.elapsed(),
        }
    }

    /// Whether the wait for the first output is over, or interrupted by something to tell.
    fn has_news(&self) -> bool {
        self.first_output.is_some()
            || !self.events.is_empty()
            || matches!(self.state, State::Failed(_) | State::Over)
    }

    /// Waits for whatever is next. Dropping the future loses nothing.
    async fn step(&mut self) -> Result<(), Error<E>> {
        match &self.state {
            State::Asking(_) => self.asked().await,
            State::Reading { .. } => self.read().await,
            State::Failed(_) | State::Over => Ok(()),
        }
    }

    /// Waits for the server's reaction to the question.
    async fn asked(&mut self) -> Result<(), Error<E>> {
        let State::Asking(asking) = &mut self.state else {
            return Ok(());
        };
        let (question, reply) = asking.await;
        match reply {
            Ok(Begun::News(news)) => {
                self.events.extend(news);
                self.state = State::Asking(Box::pin(ask(question, Instant::now())));
                Ok(())
            }
            Ok(Begun::Reading(reader)) => {
                // Only now is it known how it is to be read.
                self.answer = question.blank_answer();
                self.connect = reader.connect_time();
                self.state = State::Reading {
                    reader,
                    question: Some(question),
                };
                Ok(())
            }
            Ok(Begun::Loading(refusal)) => {
                self.events.push_back(status(Phase::LoadingModel));
                let at = Instant::now() + LOADING_POLL;
                self.state = if at < question.deadline().instant() {
                    State::Asking(Box::pin(ask(question, at)))
                } else {
                    State::Failed(Error::Refused(refusal))
                };
                Ok(())
            }
            Err(failed) => self.ask_again(Some(question), failed),
        }
    }

    /// Begins anew, if the rules allow it. Nothing of what came before counts any more.
    fn ask_again(
        &mut self,
        question: Option<Box<Question<E>>>,
        failed: Failed<E>,
    ) -> Result<(), Error<E>> {
        let again = question.and_then(|mut question| {
            let (warning, delay) = question.again(&failed)?;
            Some((question, warning, delay))
        });
        let Some((question, warning, delay)) = again else {
            return Err(failed.error);
        };
        self.events.push_back(ChatEvent::Warning(warning));
        self.events.push_back(status(Phase::Queued));
        self.answer = question.blank_answer();
        self.end = None;
        let at = Instant::now() + delay;
        self.state = State::Asking(Box::pin(ask(question, at)));
        Ok(())
    }

    async fn read(&mut self) -> Result<(), Error<E>> {
        let State::Reading { reader, question } = &mut self.state else {
            return Ok(());
        };
        let mut fresh = Vec::new();
        let piece = reader.read(&mut self.answer, &mut fresh).await;
        if self.first_output.is_none() && fresh.iter().any(ChatEvent::is_output) {
            self.first_output = Some(Instant::now());
            reader.first_output();
            if let Some(question) = question.take()
                && self.answer.is_of_ollama()
            {
                question.looks_like_ollama();
            }
        }
        let ended = match piece {
            Ok(Piece::More) => {
                self.events.extend(fresh);
                return Ok(());
            }
            Ok(Piece::End) => {
                if let Some(question) = question
                    && reader.is_empty()
                {
                    question.got_an_empty_stream();
                }
                Ok(None)
            }
            Ok(Piece::Cut(source)) => Ok(source),
            Err(error) => Err(error),
        };
        self.end = Some(Instant::now());
        let timing = self.timing();
        let completed = ended.and_then(|cut| {
            self.answer
                .complete(timing, &mut fresh)
                .map_err(|fault| match fault {
                    Fault::Unfinished => Error::Interrupted { source: cut },
                    other => other.into(),
                })
        });
        let State::Reading { reader, question } = std::mem::replace(&mut self.state, State::Over)
        else {
            return Ok(());
        };
        let told = match completed {
            Ok(()) => {
                reader.release();
                Ok(())
            }
            Err(error) => {
                // Closes the connection before there is another one.
                drop(reader);
                let reached = match self.first_output {
                    Some(_) => Reached::Output,
                    None => Reached::Head,
                };
                self.ask_again(question, Failed { error, reached })
            }
        };
        if matches!(self.state, State::Over) {
            self.events.extend(fresh);
        }
        told
    }
}

/// Asks a question when its time has come.
async fn ask<E: Carrier>(mut question: Box<Question<E>>, at: Instant) -> Asked<E> {
    if at > Instant::now() {
        sleep_until(at).await;
    }
    let begun = match question.ask().await {
        Ok(Reply::Head(exchange)) => Reader::new(exchange, &question)
            .await
            .map(|reader| Begun::Reading(Box::new(reader)))
            .map_err(|error| Failed {
                error,
                reached: Reached::Head,
            }),
        Ok(Reply::News(news)) => Ok(Begun::News(news)),
        Ok(Reply::Loading(refusal)) => Ok(Begun::Loading(refusal)),
        Err(failed) => Err(failed),
    };
    (question, begun)
}

fn status(phase: Phase) -> ChatEvent {
    ChatEvent::Status {
        phase,
        progress: None,
    }
}

impl<E: Carrier> fmt::Debug for ChatStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatStream")
            .field("timing", &self.timing())
            .finish_non_exhaustive()
    }
}
