//! Asking for an answer until there is one to read: learns on the way what this server cannot
//! take, and tells a model that is being loaded from a real refusal.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Inner,
    carrier::Carrier,
    dialect::openai::{self, Adjustments, Names},
    error::{Clock, Error},
    http::{self, Exchange, Outgoing, Patience},
    message::ChatRequest,
    refusal::{self, Refusal, RefusalKind},
    retry_after::retry_after,
};

/// What was found out about a server; kept as long as its [`Server`](super::Server).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Learned {
    /// Which of [`Endpoint::api_prefixes`](super::Endpoint) has the API.
    pub(super) prefix: Option<usize>,
    pub(super) adjustments: Adjustments,
}

/// One question, which can be asked again as long as the server only says "not yet".
pub(super) struct Question<E: Carrier> {
    server: Arc<Inner<E>>,
    request: ChatRequest,
    names: Names,
    affinity: Option<(HeaderName, HeaderValue)>,
    start: Instant,
}

/// The server's reaction.
pub(super) enum Reply {
    /// An answer begins.
    Head(Box<Exchange>),
    /// The model is being loaded.
    Loading(Refusal),
}

impl<E: Carrier> Question<E> {
    pub(super) fn new(server: Arc<Inner<E>>, request: ChatRequest) -> Result<Self, Error<E>> {
        let affinity = server.options.affinity(request.affinity.as_deref())?;
        let names = Names::new(request.tools.iter().map(|tool| tool.name.as_str()));
        Ok(Self {
            server,
            request,
            names,
            affinity,
            start: Instant::now(),
        })
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// When the question was first asked.
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// When it no longer makes sense to ask again.
    pub(super) fn deadline(&self) -> Instant {
        let clocks = &self.server.options.clocks;
        http::earliest(self.start + clocks.first_token, self.total_deadline())
    }

    fn total_deadline(&self) -> Option<Instant> {
        self.server
            .options
            .clocks
            .total
            .map(|total| self.start + total)
    }

    /// Sends the request. Each refusal that can be learned from is met at most once.
    pub(super) async fn ask(&self) -> Result<Reply, Error<E>> {
        let prefixes = self.server.endpoint.api_prefixes();
        let learned = self.server.learned();
        let mut tried = learned.prefix.unwrap_or(0);
        let mut adjustments = learned.adjustments;
        let mut first_refusal = None;
        loop {
            let Some(prefix) = prefixes.get(tried) else {
                // Every place said that there is nothing; the first was the likeliest.
                let unknown = || Error::Protocol("no path to ask under".to_owned());
                return Err(first_refusal.map_or_else(unknown, Error::Refused));
            };
            let body = openai::body(&self.request, &self.names, adjustments);
            let body = Bytes::from(Value::from(body).to_string());
            let exchange = self.send(prefix, body.clone()).await?;
            if exchange.status == 200 {
                self.server
                    .learn(|server| server.confirm(tried, learned.adjustments, adjustments));
                return Ok(Reply::Head(Box::new(exchange)));
            }
            let (refusal, said) = self.refusal(exchange).await;
            if adjust(&mut adjustments, &refusal, &said, &body) {
                continue;
            }
            match refusal.kind {
                RefusalKind::Loading => return Ok(Reply::Loading(refusal)),
                RefusalKind::WrongPath
                    if refusal.status == Some(404) && learned.prefix.is_none() =>
                {
                    first_refusal.get_or_insert(refusal);
                    tried += 1;
                }
                _ => return Err(Error::Refused(refusal)),
            }
        }
    }

    async fn send(&self, prefix: &str, body: Bytes) -> Result<Exchange, Error<E>> {
        let options = &self.server.options;
        let outgoing = Outgoing {
            path: &format!("{prefix}/chat/completions"),
            headers: self.server.headers.as_ref().map_err(Clone::clone)?,
            extra_header: self.affinity.clone(),
            body: Some(body),
            accept: "text/event-stream, application/json",
        };
        let patience = Patience {
            connect: options.clocks.connect,
            reply: options.clocks.first_token,
            deadline: self.total_deadline(),
        };
        let sent = self.server.client.send(&outgoing, patience).await;
        match (sent, options.clocks.total) {
            // Whichever clock it was, it only ran out because the last one did.
            (Err(Error::Timeout { .. }), Some(limit)) if Instant::now() >= self.start + limit => {
                Err(Error::Timeout {
                    clock: Clock::Total,
                    limit,
                })
            }
            (sent, _) => sent,
        }
    }

    async fn refusal(&self, exchange: Exchange) -> (Refusal, String) {
        let status = exchange.status;
        let wait = retry_after(&exchange.headers, SystemTime::now());
        let body = exchange.read_error(self.total_deadline()).await;
        let refusal = refusal::of_response(status, &body, wait, &self.server.options.redactor());
        (refusal, String::from_utf8_lossy(&body).into_owned())
    }
}

/// Changes what the refusal names, if it was sent; true if asking again is worth it. Each change
/// is made at most once, so this ends.
fn adjust(adjustments: &mut Adjustments, refusal: &Refusal, said: &str, sent: &[u8]) -> bool {
    let status = refusal.status.unwrap_or_default();
    if matches!(status, 400 | 422) {
        if !adjustments.no_stream_options
            && (said.contains("stream_options") || said.contains("include_usage"))
        {
            adjustments.no_stream_options = true;
            return true;
        }
        if adjustments.return_progress && said.contains("return_progress") {
            adjustments.return_progress = false;
            return true;
        }
    }
    // Templates that join strings fail on null, in their own words and often with a 500.
    let has_null = || {
        sent.windows(NULL_CONTENT.len())
            .any(|window| window == NULL_CONTENT)
    };
    if matches!(status, 400 | 422 | 500)
        && refusal.kind == RefusalKind::Other
        && !adjustments.empty_content
        && said.contains("content")
        && has_null()
    {
        adjustments.empty_content = true;
        return true;
    }
    false
}

/// Within a JSON string the quotes would be escaped.
const NULL_CONTENT: &[u8] = b"\"content\":null";

impl Learned {
    /// Remembers what a request that was accepted looked like, where it differs from what was
    /// known before.
    fn confirm(&mut self, prefix: usize, before: Adjustments, now: Adjustments) {
        self.prefix = Some(prefix);
        let known = &mut self.adjustments;
        known.no_stream_options |= now.no_stream_options;
        known.empty_content |= now.empty_content;
        known.return_progress &= now.return_progress == before.return_progress;
    }
}
