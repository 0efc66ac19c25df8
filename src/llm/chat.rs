//! The stream of one answer: bytes to events, under the four clocks.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use self::reader::{Piece, Reader};
use super::{
    Inner,
    ask::{Failed, Question, Reply},
    carrier::{BoxFuture, Carrier},
    dialect::Answer,
    error::{Error, Fault},
    event::{ChatEvent, Phase, Timing, Usage},
    message::ChatRequest,
    refusal::Refusal,
    resend::Reached,
};

mod framing;
mod reader;

/// How often a server that loads its model is asked again.
const LOADING_POLL: Duration = Duration::from_millis(1500);

/// An answer as it comes. Dropping it closes the connection at once, which is how to cancel;
/// only after [`ChatEvent::Finished`] may the connection have been kept for the next request.
pub struct ChatStream<E: Carrier> {
    state: State<E>,
    answer: Answer,
    events: VecDeque<ChatEvent>,
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
        let start = question.start();
        let mut stream = Self {
            answer: question.blank_answer(),
            state: State::Asking(Box::pin(ask(question, start))),
            events: VecDeque::new(),
            start,
            connect: Duration::ZERO,
            first_output: None,
            end: None,
        };
        stream.asked().await?;
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
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Ok(event));
            }
            if matches!(self.state, State::Failed(_)) {
                self.end.get_or_insert_with(Instant::now);
                return match std::mem::replace(&mut self.state, State::Over) {
                    State::Failed(error) => Some(Err(error)),
                    _ => None,
                };
            }
            let step = match &self.state {
                State::Asking(_) => self.asked().await,
                State::Reading { .. } => self.read().await,
                State::Failed(_) | State::Over => return None,
            };
            if let Err(error) = step {
                // Drops the connection too.
                self.state = State::Failed(error);
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
                self.state = if at < question.deadline() {
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
            *question = None;
        }
        let ended = match piece {
            Ok(Piece::More) => {
                self.events.extend(fresh);
                return Ok(());
            }
            Ok(Piece::End) => Ok(None),
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
        Ok(Reply::Head(exchange)) => Reader::new(*exchange, &question)
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
