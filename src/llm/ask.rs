//! Asking for an answer until there is one to read: learns on the way what this server cannot
//! take, tells a model that is being loaded from a real refusal, and keeps count of how often the
//! question was sent again.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Inner,
    api_type::ApiType,
    carrier::Carrier,
    dialect::{Adjustments, Answer, Dialect, Names, ollama},
    error::{Clock, Error},
    event::ChatEvent,
    http::{Exchange, Outgoing, Patience, Unanswered},
    message::ChatRequest,
    model::ServerKind,
    moment::{Moment, Pauses},
    options::{InvalidHeader, Options},
    refusal::{self, Refusal, RefusalKind},
    resend::{self, Failure, Kind, Reached, Situation},
    retry_after::retry_after,
};

mod adjust;
mod learned;
mod prefill;
mod prepare;

pub(super) use self::learned::Learned;
use self::{adjust::adjust, prefill::Prefill};

/// Names a question in the logs of whoever passes it on. One for all its requests.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One question, which can be asked again as long as nothing of an answer was told.
pub(super) struct Question<E: Carrier> {
    server: Arc<Inner<E>>,
    request: ChatRequest,
    /// Settled with the terms, before it is first sent.
    dialect: Dialect,
    terms: ollama::Terms,
    /// How the server is asked to go on with an answer, if it is.
    prefill: Option<Prefill>,
    is_prepared: bool,
    /// The server did not say whether it is an Ollama.
    is_guess: bool,
    names: Names,
    headers: HeaderMap,
    /// Shared with who reads the answer, and knows when it does not.
    pauses: Pauses,
    /// When it was first asked.
    start: Moment,
    /// What was known of the server when the question was new.
    learned: Learned,
    /// What has been learned since, so that nothing that was refused is asked again.
    tried: usize,
    adjustments: Adjustments,
    first_refusal: Option<Refusal>,
    /// Why it was sent again so far.
    resends: Vec<Kind>,
}

/// The server's reaction.
pub(super) enum Reply {
    /// None yet: this is to be told before the question is put.
    News(Vec<ChatEvent>),
    /// An answer begins.
    Head(Box<Exchange>),
    /// The model is being loaded.
    Loading(Refusal),
}

/// An attempt that came to nothing.
#[derive(Debug)]
pub(super) struct Failed<E: Carrier> {
    pub(super) error: Error<E>,
    pub(super) reached: Reached,
}

impl<E: Carrier> Question<E> {
    pub(super) fn new(server: Arc<Inner<E>>, request: ChatRequest) -> Result<Self, Error<E>> {
        let headers = headers(&server, &request)?;
        let names = Names::new(request.tools.iter().map(|tool| tool.name.as_str()));
        let learned = server.learned();
        server.budget().ask(Instant::now());
        let pauses = Pauses::default();
        let start = pauses.now();
        Ok(Self {
            server,
            request,
            dialect: Dialect::OpenAi,
            terms: ollama::Terms::default(),
            prefill: None,
            is_prepared: false,
            is_guess: false,
            names,
            headers,
            pauses,
            start,
            learned,
            tried: learned.prefix.unwrap_or(0),
            adjustments: learned.adjustments,
            first_refusal: None,
            resends: Vec::new(),
        })
    }

    /// What the answer is read into; empty.
    pub(super) fn blank_answer(&self) -> Answer {
        let mut seed = Uuid::new_v4().simple().to_string();
        seed.truncate(7);
        let redactor = self.server.options.redactor();
        Answer::new(self.dialect, self.names.clone(), redactor, seed)
    }

    pub(super) fn options(&self) -> &Options {
        &self.server.options
    }

    /// The longest silence within the answer.
    pub(super) fn idle(&self) -> Duration {
        let kind = match self.dialect {
            Dialect::Ollama => Some(ServerKind::Ollama),
            Dialect::OpenAi => self.server.learned().kind,
        };
        let clocks = &self.server.options.clocks;
        let of_kind = || kind.unwrap_or(ServerKind::Generic).patience();
        clocks.idle.unwrap_or_else(of_kind)
    }

    /// By which clock time counts for it.
    pub(super) fn pauses(&self) -> &Pauses {
        &self.pauses
    }

    /// When it no longer makes sense to ask again.
    pub(super) fn deadline(&self) -> Moment {
        let clocks = &self.server.options.clocks;
        let first_token = self.start.after(clocks.first_token);
        first_token.or_earlier(self.total_deadline())
    }

    /// When the first output has to be there, of an answer on a connection of this age. Sending
    /// again does not buy time.
    pub(super) fn first_token_deadline(&self, connected: &Moment) -> Moment {
        let begin = if self.is_resent() {
            &self.start
        } else {
            connected
        };
        begin.after(self.server.options.clocks.first_token)
    }

    pub(super) fn total_deadline(&self) -> Option<Moment> {
        let total = self.server.options.clocks.total;
        total.map(|total| self.start.after(total))
    }

    fn is_resent(&self) -> bool {
        !self.resends.is_empty()
    }

    /// What is to be told before the question is sent again, and how long to wait; `None` when it
    /// is not to be sent again. It counts as sent from here on.
    pub(super) fn again(&mut self, failed: &Failed<E>) -> Option<(String, Duration)> {
        let now = Instant::now();
        let mut budget = self.server.budget();
        let failure = Failure::of(&failed.error, failed.reached);
        let deadline = match failure {
            // Getting through to the server has a clock of its own, however many attempts it takes.
            Failure::Unsent { .. } => {
                let connected = self.start.after(self.server.options.clocks.connect);
                connected.or_earlier(Some(self.deadline()))
            }
            _ => self.deadline(),
        };
        let situation = Situation {
            retries: self.server.options.retries,
            made: &self.resends,
            time_left: deadline.time_left(),
            within_budget: budget.has_room(now),
            jitter: jitter(),
        };
        let again = resend::decide(failure, &situation)?;
        budget.spend(now);
        drop(budget);
        self.resends.push(again.kind);
        let attempt = self.resends.len() + 1;
        let warning = format!(
            "{}; the request is sent again {} (attempt {attempt})",
            what_failed(&failed.error),
            when(again.delay)
        );
        let warning = self.server.options.redactor().clean(&warning);
        Some((warning, again.delay))
    }

    /// Sends the request. Each refusal that can be learned from is met at most once.
    pub(super) async fn ask(&mut self) -> Result<Reply, Failed<E>> {
        if !self.is_prepared {
            // Boxed, like what else is over soon: many wait here at the same time.
            let news = Box::pin(self.prepare()).await?;
            self.is_prepared = true;
            if !news.is_empty() {
                return Ok(Reply::News(news));
            }
        }
        loop {
            let paths = self.dialect.paths(&self.server.endpoint);
            let Some(path) = paths.get(self.tried) else {
                // Every place said that there is nothing; the first was the likeliest.
                let unknown = || Error::Protocol("no path to ask under".to_owned());
                let first_refusal = self.first_refusal.take();
                return Err(Failed {
                    error: first_refusal.map_or_else(unknown, Error::Refused),
                    reached: Reached::Head,
                });
            };
            let body = Bytes::from(Value::from(self.body()).to_string());
            let exchange = Box::pin(self.send(path, body.clone())).await?;
            if exchange.status == 200 {
                self.confirm();
                return Ok(Reply::Head(Box::new(exchange)));
            }
            let (refusal, said) = Box::pin(self.refusal(exchange)).await;
            if adjust(&mut self.adjustments, &refusal, &said, &body)
                || self.think_no_more(&refusal, &said)
            {
                continue;
            }
            match refusal.kind {
                RefusalKind::Loading => return Ok(Reply::Loading(refusal)),
                // Not what it looked like.
                RefusalKind::WrongPath
                    if self.dialect == Dialect::Ollama
                        && self.server.options.api_type == ApiType::Auto =>
                {
                    self.dialect = Dialect::OpenAi;
                    self.tried = self.learned.prefix.unwrap_or(0);
                    self.is_guess = true;
                }
                RefusalKind::WrongPath
                    if refusal.status == Some(404) && self.learned.prefix.is_none() =>
                {
                    self.first_refusal.get_or_insert(refusal);
                    self.tried += 1;
                }
                _ => {
                    return Err(Failed {
                        error: Error::Refused(refusal),
                        reached: Reached::Head,
                    });
                }
            }
        }
    }

    /// What is sent.
    fn body(&self) -> Map<String, Value> {
        let mut body = self
            .dialect
            .body(&self.request, &self.names, self.adjustments, &self.terms);
        if let Some(prefill) = self.prefill {
            prefill.put(&mut body);
        }
        body
    }

    /// The answer says that there is an Ollama, there or behind a gateway: the next question asks
    /// which, if nobody has.
    pub(super) fn looks_like_ollama(&self) {
        self.server.learn(|known| {
            known.looks_like_ollama = true;
            if self.is_guess {
                known.ollama = None;
            }
        });
    }

    /// What was asked of the model's thinking is not for this one.
    fn think_no_more(&mut self, refusal: &Refusal, said: &str) -> bool {
        let refused = matches!(refusal.status, Some(400 | 422))
            && refusal.kind == RefusalKind::Other
            && said.contains("think")
            && self.terms.think.take().is_some();
        if refused && let Some(facts) = self.server.models().get_mut(&self.request.model) {
            facts.thinking = Some(false);
        }
        refused
    }

    /// Remembers what a request that was accepted looked like, where it differs from what was
    /// known before.
    fn confirm(&self) {
        self.server.learn(|known| {
            match self.dialect {
                Dialect::OpenAi => known.prefix = Some(self.tried),
                Dialect::Ollama => {}
            }
            if self.is_guess {
                known.ollama = Some(self.dialect == Dialect::Ollama);
            }
            let (before, now) = (self.learned.adjustments, self.adjustments);
            let known = &mut known.adjustments;
            known.no_stream_options |= now.no_stream_options;
            known.empty_content |= now.empty_content;
            known.return_progress &= now.return_progress == before.return_progress;
            known.no_truncate |= now.no_truncate;
        });
    }

    async fn send(&self, path: &str, body: Bytes) -> Result<Exchange, Failed<E>> {
        let options = &self.server.options;
        let outgoing = Outgoing {
            path,
            headers: &self.headers,
            // A kept connection may be closing; what is sent on it then is gone.
            fresh: self.is_resent() || !options.retries.allow_doubt(),
            body: Some(body),
            accept: self.dialect.accept(),
        };
        let patience = Patience {
            connect: options.clocks.connect,
            reply: options.clocks.first_token,
            deadline: if self.is_resent() {
                Some(self.deadline())
            } else {
                self.total_deadline()
            },
            pauses: self.pauses.clone(),
        };
        let sent = self.server.client.send(&outgoing, &patience).await;
        sent.map_err(|Unanswered { error, written, .. }| Failed {
            error: match error {
                Error::Timeout { clock, limit } => self.who_ran_out(clock, limit),
                error => error,
            },
            reached: if written {
                Reached::Written
            } else {
                Reached::Nothing
            },
        })
    }

    /// Whichever clock it was, it may only have run out because a longer one did.
    fn who_ran_out(&self, clock: Clock, limit: Duration) -> Error<E> {
        let clocks = &self.server.options.clocks;
        let is_over = |limit: &Duration| self.start.after(*limit).is_past();
        let (clock, limit) = match clocks.total.filter(is_over) {
            Some(total) => (Clock::Total, total),
            None if self.is_resent() && is_over(&clocks.first_token) => {
                (Clock::FirstToken, clocks.first_token)
            }
            None => (clock, limit),
        };
        Error::Timeout { clock, limit }
    }

    async fn refusal(&self, exchange: Exchange) -> (Refusal, String) {
        let status = exchange.status;
        let wait = retry_after(&exchange.headers, SystemTime::now());
        let deadline = self.total_deadline().map(|deadline| deadline.instant());
        let body = exchange.read_error(deadline).await;
        let refusal = refusal::of_response(status, &body, wait, &self.server.options.redactor());
        (refusal, String::from_utf8_lossy(&body).into_owned())
    }
}

/// What all requests of a question carry.
fn headers<E: Carrier>(
    server: &Inner<E>,
    request: &ChatRequest,
) -> Result<HeaderMap, InvalidHeader> {
    let mut headers = server.headers.clone()?;
    if let Some(conversation) = &request.affinity {
        headers.extend(server.options.headers_of(conversation)?);
    }
    if !headers.contains_key(REQUEST_ID)
        && let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string())
    {
        headers.insert(REQUEST_ID, id);
    }
    Ok(headers)
}

/// From 0 to 1.
fn jitter() -> f64 {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    (random >> 32) as f64 / f64::from(u32::MAX)
}

fn what_failed<E: Carrier>(error: &Error<E>) -> String {
    match error {
        Error::Open(source) => format!("{error} ({source})"),
        Error::NoReply {
            source: Some(source),
        }
        | Error::Interrupted {
            source: Some(source),
        } => format!("{error} ({source})"),
        Error::Refused(Refusal {
            status: Some(status),
            message,
            ..
        }) => format!("the server answered HTTP {status} ({message})"),
        _ => error.to_string(),
    }
}

fn when(delay: Duration) -> String {
    if delay.is_zero() {
        return "at once".to_owned();
    }
    format!("in {} s", (delay.as_secs_f64() * 10.0).ceil() / 10.0)
}
