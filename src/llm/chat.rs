//! The stream of one answer: bytes to events, under the four clocks.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use self::reader::{Piece, Reader};
use super::{
    Inner,
    ask::{Question, Reply},
    carrier::Carrier,
    dialect::openai::Answer,
    error::{Error, Fault},
    event::{ChatEvent, Phase, Timing, Usage},
    http::Exchange,
    message::ChatRequest,
    options::Clocks,
    refusal::Refusal,
    sanitize::Redactor,
};

mod reader;

/// How often a server that loads its model is asked again.
const LOADING_POLL: Duration = Duration::from_millis(1500);

/// An answer as it comes. Dropping it closes the connection at once, which is how to cancel;
/// only after [`ChatEvent::Finished`] may the connection have been kept for the next request.
pub struct ChatStream<E: Carrier> {
    state: State<E>,
    answer: Answer,
    events: VecDeque<ChatEvent>,
    clocks: Clocks,
    redactor: Redactor,
    start: Instant,
    connect: Duration,
    first_output: Option<Instant>,
    end: Option<Instant>,
}

enum State<E: Carrier> {
    /// The server said "not yet".
    Loading {
        question: Box<Question<E>>,
        refusal: Refusal,
        ask_at: Instant,
    },
    Reading(Box<Reader>),
    /// To be told once the events before it have been.
    Failed(Error<E>),
    Over,
}

impl<E: Carrier> ChatStream<E> {
    pub(super) async fn open(
        server: Arc<Inner<E>>,
        request: ChatRequest,
    ) -> Result<Self, Error<E>> {
        let clocks = server.options.clocks;
        let redactor = server.options.redactor();
        let question = Question::new(server, request)?;
        let mut seed = Uuid::new_v4().simple().to_string();
        seed.truncate(7);
        let mut stream = Self {
            state: State::Over,
            answer: Answer::new(question.names().clone(), redactor.clone(), seed),
            events: VecDeque::new(),
            clocks,
            redactor,
            start: question.start(),
            connect: Duration::ZERO,
            first_output: None,
            end: None,
        };
        match question.ask().await? {
            Reply::Head(exchange) => stream.accept(exchange).await?,
            Reply::Loading(refusal) => stream.wait_for_model(Box::new(question), refusal),
        }
        Ok(stream)
    }

    /// The next event; `None` after [`ChatEvent::Finished`] or an error. Dropping the future
    /// loses nothing: call again to go on.
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
                State::Loading { .. } => self.ask_again().await,
                State::Reading(_) => self.read().await,
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

    /// Begins to read an answer.
    async fn accept(&mut self, exchange: Box<Exchange>) -> Result<(), Error<E>> {
        self.connect = exchange.connect;
        let reader = Reader::new(*exchange, &self.clocks, self.start, &self.redactor).await?;
        self.state = State::Reading(Box::new(reader));
        Ok(())
    }

    fn wait_for_model(&mut self, question: Box<Question<E>>, refusal: Refusal) {
        self.events.push_back(ChatEvent::Status {
            phase: Phase::LoadingModel,
            progress: None,
        });
        self.state = State::Loading {
            question,
            refusal,
            ask_at: Instant::now() + LOADING_POLL,
        };
    }

    async fn ask_again(&mut self) -> Result<(), Error<E>> {
        let State::Loading {
            question,
            refusal,
            ask_at,
        } = &self.state
        else {
            return Ok(());
        };
        if *ask_at >= question.deadline() {
            return Err(Error::Refused(refusal.clone()));
        }
        sleep_until(*ask_at).await;
        match question.ask().await? {
            Reply::Head(exchange) => self.accept(exchange).await,
            Reply::Loading(refusal) => {
                if let State::Loading { question, .. } =
                    std::mem::replace(&mut self.state, State::Over)
                {
                    self.wait_for_model(question, refusal);
                }
                Ok(())
            }
        }
    }

    async fn read(&mut self) -> Result<(), Error<E>> {
        let State::Reading(reader) = &mut self.state else {
            return Ok(());
        };
        let mut fresh = Vec::new();
        let piece = reader.read(&mut self.answer, &mut fresh).await;
        let is_output = |event: &ChatEvent| match event {
            ChatEvent::Text(_)
            | ChatEvent::Reasoning(_)
            | ChatEvent::ToolCallStarted { .. }
            | ChatEvent::ToolCallDelta { .. } => true,
            ChatEvent::Status { .. }
            | ChatEvent::Usage(_)
            | ChatEvent::Warning(_)
            | ChatEvent::Finished(_) => false,
        };
        if self.first_output.is_none() && fresh.iter().any(is_output) {
            self.first_output = Some(Instant::now());
            reader.first_output();
        }
        self.events.extend(fresh.drain(..));
        let cut = match piece {
            Ok(Piece::More) => return Ok(()),
            Ok(Piece::End) => None,
            Ok(Piece::Cut(source)) => source,
            Err(error) => return Err(error),
        };
        self.end = Some(Instant::now());
        self.answer
            .complete(self.timing(), &mut fresh)
            .map_err(|fault| match fault {
                Fault::Unfinished => Error::Interrupted { source: cut },
                other => other.into(),
            })?;
        self.events.extend(fresh);
        if let State::Reading(reader) = std::mem::replace(&mut self.state, State::Over) {
            reader.release();
        }
        Ok(())
    }
}

impl<E: Carrier> fmt::Debug for ChatStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatStream")
            .field("timing", &self.timing())
            .finish_non_exhaustive()
    }
}
