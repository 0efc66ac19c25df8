//! The body of one answer, read under its clocks.

use std::{borrow::Cow, io, mem, time::Duration};

use hyper::header::CONTENT_TYPE;
use serde::de::IgnoredAny;
use tokio::time::{Instant, timeout_at};

use super::framing::Framing;
use crate::llm::{
    ask::Question,
    carrier::Carrier,
    dialect::Answer,
    error::{Clock, Error},
    event::ChatEvent,
    http::{Exchange, earliest},
    json,
    limits::{Limits, TooLarge},
    moment::Moment,
    options::Clocks,
    sanitize::Redactor,
    sse::Frame,
};

/// After the reason for stopping only counts are missing.
const TAIL: Duration = Duration::from_secs(5);

/// After `[DONE]` only the end of the body is missing; without it the connection is not reused.
const DRAIN: Duration = Duration::from_millis(100);

/// Comments alone don't keep an answer alive for longer than this.
const COMMENTS_ONLY: Duration = Duration::from_secs(600);

const LIMITS: Limits = Limits::DEFAULT;

pub(super) struct Reader {
    exchange: Box<Exchange>,
    form: Form,
    redactor: Redactor,
    received: usize,
    clocks: Clocks,
    idle: Duration,
    first_token_by: Moment,
    total_by: Option<Moment>,
    /// How long we have waited since the last event, comments or not; `None` before the first
    /// output.
    without_event: Option<Duration>,
    /// Since when nothing has come although we were reading. A consumer that takes its time is no
    /// silence of the server's.
    waiting_since: Option<Instant>,
    warned_of_utf8: bool,
    /// There was an event in it, or it is no stream of events.
    has_content: bool,
    /// The server has said all there is to say; how long to wait for the rest.
    until: Option<Instant>,
}

enum Form {
    Framed(Framing),
    /// One JSON object: not every server streams when asked to.
    Whole(Vec<u8>),
}

/// What reading once came to.
pub(super) enum Piece {
    More,
    /// All that was to come has come.
    End,
    /// The connection broke.
    Cut(Option<io::Error>),
}

impl Reader {
    /// Looks at what kind of body it is.
    pub(super) async fn new<E: Carrier>(
        exchange: Box<Exchange>,
        question: &Question<E>,
    ) -> Result<Self, Error<E>> {
        let redactor = question.options().redactor();
        let header = exchange.headers.get(CONTENT_TYPE);
        let content_type = header.map_or_else(
            || "no content type".to_owned(),
            |value| redactor.excerpt(&String::from_utf8_lossy(value.as_bytes())),
        );
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let form = match (Framing::of(&essence, LIMITS), essence.as_str()) {
            (Some(framing), _) => Form::Framed(framing),
            (None, json) if json == "application/json" || json.ends_with("+json") => {
                Form::Whole(Vec::new())
            }
            (None, _) => {
                // Boxed: it is rare, and every prompt would hold the room for it.
                let body = Box::pin(exchange.read_error(None)).await;
                return Err(Error::UnexpectedContent {
                    content_type,
                    excerpt: redactor.excerpt(&String::from_utf8_lossy(&body)),
                });
            }
        };
        Ok(Self {
            first_token_by: question.first_token_deadline(&exchange.connected),
            total_by: question.total_deadline(),
            exchange,
            has_content: matches!(form, Form::Whole(_)),
            form,
            redactor,
            received: 0,
            clocks: question.options().clocks,
            idle: question.idle(),
            without_event: None,
            waiting_since: None,
            warned_of_utf8: false,
            until: None,
        })
    }

    /// How long it took to open the connection.
    pub(super) fn connect_time(&self) -> Duration {
        self.exchange.connect
    }

    /// From now on the idle clock runs.
    pub(super) fn first_output(&mut self) {
        self.without_event.get_or_insert_default();
    }

    /// Whether all that came is a stream with nothing in it but comments.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_content
    }

    /// Hands the connection on, or closes it.
    pub(super) fn release(self) {
        self.exchange.release();
    }

    /// Waits for more bytes and feeds them to the answer. Dropping the future loses nothing.
    pub(super) async fn read<E: Carrier>(
        &mut self,
        answer: &mut Answer,
        events: &mut Vec<ChatEvent>,
    ) -> Result<Piece, Error<E>> {
        let waiting_since = *self.waiting_since.get_or_insert_with(Instant::now);
        let (deadline, clock, limit) = self.deadline(waiting_since);
        let waited = timeout_at(deadline, self.exchange.chunk()).await;
        if waited.is_ok() {
            self.waiting_since = None;
            if let Some(so_far) = &mut self.without_event {
                *so_far += waiting_since.elapsed();
            }
        }
        match waited {
            Ok(Some(Ok(data))) => {
                self.feed(&data, answer, events)?;
                self.check_flood(events)?;
                Ok(Piece::More)
            }
            Ok(Some(Err(source))) => {
                self.end(false, answer, events)?;
                Ok(Piece::Cut(source))
            }
            Ok(None) => {
                self.end(true, answer, events)?;
                Ok(Piece::End)
            }
            Err(_) if self.until.is_some() => Ok(Piece::End),
            Err(_) => Err(Error::Timeout { clock, limit }),
        }
    }

    /// The clock that runs out first, and what it was set to.
    fn deadline(&self, waiting_since: Instant) -> (Instant, Clock, Duration) {
        let clocks = &self.clocks;
        let (mut deadline, mut clock, mut limit) = match self.without_event {
            None => {
                let deadline = self.first_token_by.instant();
                (deadline, Clock::FirstToken, clocks.first_token)
            }
            Some(so_far) => {
                let comments = self.idle.max(COMMENTS_ONLY).saturating_sub(so_far);
                (
                    waiting_since + self.idle.min(comments),
                    Clock::Idle,
                    self.idle,
                )
            }
        };
        if let (Some(total), Some(by)) = (clocks.total, &self.total_by)
            && by.instant() < deadline
        {
            (deadline, clock, limit) = (by.instant(), Clock::Total, total);
        }
        (earliest(deadline, self.until), clock, limit)
    }

    /// A deadline never fires while there are always bytes to read, so the clocks that no byte
    /// may stop are looked at after each piece too.
    fn check_flood<E: Carrier>(&self, fresh: &[ChatEvent]) -> Result<(), Error<E>> {
        let ran_out = |clock, deadline: &Moment, limit: Duration| match deadline.is_past() {
            true => Err(Error::Timeout { clock, limit }),
            false => Ok(()),
        };
        if self.until.is_some() {
            return Ok(());
        }
        if self.without_event.is_none() && fresh.is_empty() {
            let limit = self.clocks.first_token;
            ran_out(Clock::FirstToken, &self.first_token_by, limit)?;
        }
        match (&self.total_by, self.clocks.total) {
            (Some(by), Some(total)) => ran_out(Clock::Total, by, total),
            _ => Ok(()),
        }
    }

    fn feed<E: Carrier>(
        &mut self,
        data: &[u8],
        answer: &mut Answer,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), Error<E>> {
        self.received += data.len();
        let mut frames = Vec::new();
        match &mut self.form {
            Form::Whole(body) => body.extend_from_slice(data),
            Form::Framed(framing) => {
                let fed = framing.feed(data, &mut frames);
                self.take(&frames, answer, events)?;
                fed.map_err(too_large)?;
            }
        }
        let limit = match &self.form {
            Form::Whole(_) => LIMITS.body,
            Form::Framed(_) => LIMITS.stream,
        };
        if self.received > limit {
            return Err(too_large(TooLarge::Body(limit)));
        }
        Ok(())
    }

    fn take<E: Carrier>(
        &mut self,
        frames: &[Frame],
        answer: &mut Answer,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), Error<E>> {
        let now = Instant::now();
        let told = events.len();
        for frame in frames {
            if answer.is_done() {
                break;
            }
            if matches!(frame, Frame::Event { .. }) {
                self.has_content = true;
                if let Some(so_far) = &mut self.without_event {
                    *so_far = Duration::ZERO;
                }
            }
            answer.take(frame, events)?;
        }
        if let Form::Framed(framing) = &mut self.form
            && framing.take_invalid_utf8()
        {
            self.warn_of_utf8(events);
        }
        if answer.is_done() {
            self.until = Some(earliest(now + DRAIN, self.until));
        } else if answer.is_finished() && (self.until.is_none() || events.len() > told) {
            // Some give a reason with every piece: as long as pieces come, it is not the last.
            self.until = Some(now + TAIL);
        }
        Ok(())
    }

    fn warn_of_utf8(&mut self, events: &mut Vec<ChatEvent>) {
        if !mem::replace(&mut self.warned_of_utf8, true) {
            events.push(ChatEvent::Warning(
                "the answer had bytes that are not UTF-8".to_owned(),
            ));
        }
    }

    /// The body has ended.
    fn end<E: Carrier>(
        &mut self,
        clean: bool,
        answer: &mut Answer,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), Error<E>> {
        match &mut self.form {
            Form::Framed(framing) => {
                let mut frames = Vec::new();
                framing.finish(clean, &mut frames).map_err(too_large)?;
                // As below.
                frames.retain(|frame| !is_half(frame));
                self.take(&frames, answer, events)
            }
            Form::Whole(body) if clean => {
                let body = mem::take(body);
                let text = String::from_utf8_lossy(&body);
                if matches!(text, Cow::Owned(_)) {
                    self.warn_of_utf8(events);
                }
                let json = match json::parse(text.as_bytes()) {
                    Ok(json) => json,
                    // Without a length, a server that died looks like one that has finished.
                    Err(error) if error.is_eof() => return Ok(()),
                    Err(error) if error.is_data() => {
                        return Err(Error::Protocol(format!(
                            "the answer cannot be read: {error}"
                        )));
                    }
                    Err(error) => {
                        let text = self.redactor.excerpt(&text);
                        return Err(Error::Protocol(format!(
                            "the answer is not JSON ({error}): {text}"
                        )));
                    }
                };
                answer.take_whole(&json, events)?;
                Ok(())
            }
            Form::Whole(_) => Ok(()),
        }
    }
}

/// Whether a frame is the beginning of a JSON text that never came to its end.
fn is_half(frame: &Frame) -> bool {
    match frame {
        Frame::Event { data, .. } => serde_json::from_str::<IgnoredAny>(data)
            .is_err_and(|error| error.is_eof() && data.trim_start().starts_with('{')),
        Frame::Comment(_) => false,
    }
}

fn too_large<E: Carrier>(error: TooLarge) -> Error<E> {
    Error::Protocol(error.to_string())
}
