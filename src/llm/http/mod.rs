//! HTTP/1.1 over byte streams from an [`Opener`]. hyper's types end here (headers apart).
//!
//! Redirects are not followed, proxies not asked, compression not accepted. No request is sent a
//! second time here, look-ups apart: a kept connection that took no byte of one was none any more,
//! and another is used. All else is for the caller to decide, who is told how far it came.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap,
        HeaderValue, LOCATION,
    },
};
use tokio::time::Instant;

mod connection;
mod exchange;
mod pool;
mod tap;
mod tls;

pub(super) use self::exchange::{Exchange, ReadError};
pub use self::tls::{CaFileProblem, Handshake, TlsFailure};
use self::{
    connection::{Connection, SendError, Sent},
    pool::Pool,
    tls::{Insecure, Tls},
};
use super::{
    carrier::{Carrier, Opener},
    endpoint::Endpoint,
    error::{Clock, Error},
    moment::{Moment, Pauses},
    options::Options,
    sanitize::Redactor,
};

/// Sends requests to one server.
pub(super) struct Client<E> {
    opener: Arc<dyn Opener<E>>,
    endpoint: Endpoint,
    /// Instead of the endpoint's own.
    host_header: Option<String>,
    /// For an endpoint that has it.
    tls: Option<Tls>,
    pool: Pool,
    redactor: Redactor,
}

/// A request, small enough to be built again.
#[derive(Debug, Clone)]
pub(super) struct Outgoing<'a> {
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// On a connection of its own, whatever was kept.
    pub(super) fresh: bool,
    /// Sent as JSON by POST; without it the request is a GET.
    pub(super) body: Option<Bytes>,
    pub(super) accept: &'static str,
}

/// How long to wait for a response head.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    /// For opening the stream, and for a stall while sending.
    pub(super) connect: Duration,
    /// For the head, once connected.
    pub(super) reply: Duration,
    /// Whatever else holds.
    pub(super) deadline: Option<Moment>,
    /// Of the clock by which it is meant.
    pub(super) pauses: Pauses,
}

/// A request without a response that can be read.
#[derive(Debug)]
pub(super) struct Unanswered<E: Carrier> {
    pub(super) error: Error<E>,
    /// The carrier took at least a byte of it.
    pub(super) written: bool,
    /// It went out on a connection kept from earlier.
    reused: bool,
}

/// A response read to its end, or to the limit asked for.
pub(super) struct Fetched {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl<E: Carrier> Client<E> {
    pub(super) fn new(endpoint: Endpoint, opener: Arc<dyn Opener<E>>, options: &Options) -> Self {
        Self {
            opener,
            tls: Tls::new(&endpoint, &options.tls),
            endpoint,
            host_header: options.host_header.clone(),
            pool: Pool::default(),
            redactor: options.redactor(),
        }
    }

    /// Connects ahead of the first request, to learn how the connection is secured; `None`
    /// without TLS.
    pub(super) async fn handshake(
        &self,
        patience: &Patience,
    ) -> Result<Option<Handshake>, Error<E>> {
        let (connection, handshake) = self.connect(patience).await?;
        self.pool.put(connection, None);
        Ok(handshake)
    }

    /// Sends a request and returns with the head of its response, whatever its status. Dropping
    /// the future closes the connection it uses.
    pub(super) async fn send(
        &self,
        outgoing: &Outgoing<'_>,
        patience: &Patience,
    ) -> Result<Exchange, Unanswered<E>> {
        let mut request = self.request(outgoing).map_err(Unanswered::unsent)?;
        loop {
            let begin = Instant::now();
            let reused = if outgoing.fresh {
                None
            } else {
                self.pool.take()
            };
            let is_reused = reused.is_some();
            let mut connection = match reused {
                Some(connection) => connection,
                None => {
                    // Boxed: its room is of use for the beginning only.
                    let connected = Box::pin(self.connect(patience)).await;
                    connected.map_err(Unanswered::unsent)?.0
                }
            };
            let took = begin.elapsed();
            let connected = patience.pauses.now();
            let deadline = connected.after(patience.reply);
            let deadline = deadline.or_earlier(patience.deadline.clone());
            let stall = (patience.connect, &patience.pauses);
            let before = connection.written();
            let error = match connection.send(request, stall, &deadline).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    let exchange = Exchange {
                        status: head.status.as_u16(),
                        headers: apart(head.headers),
                        connect: if is_reused { Duration::ZERO } else { took },
                        connected,
                        connection,
                        body,
                        ended: false,
                        unbroken: 0,
                        pool: self.pool.clone(),
                    };
                    return self.check(exchange).map_err(|error| Unanswered {
                        error,
                        written: true,
                        reused: is_reused,
                    });
                }
                // The idle connection had just died; the pool runs dry, so this ends.
                Err(SendError::Unsent(unsent)) if is_reused => {
                    request = *unsent;
                    continue;
                }
                // It spoke before it was asked: HTTP servers don't, SSH servers do.
                Err(SendError::Unsent(_)) => {
                    let greeting = connection.greeting();
                    if greeting.is_empty() || greeting.starts_with(b"HTTP/") {
                        SendError::Closed(connection.take_error())
                    } else {
                        SendError::NotHttp { greeting }
                    }
                }
                Err(error) => error,
            };
            return Err(Unanswered {
                error: self.explain(error, patience),
                written: connection.written() > before,
                reused: is_reused,
            });
        }
    }

    /// Looks something up: sends a request that may be sent twice, and reads its whole response.
    pub(super) async fn fetch(
        &self,
        outgoing: &Outgoing<'_>,
        patience: &Patience,
        limit: usize,
    ) -> Result<Fetched, Error<E>> {
        let exchange = match self.send(outgoing, patience).await {
            // Closed under our hands, most likely. Once more, on a connection of its own.
            Err(unanswered)
                if unanswered.reused && matches!(unanswered.error, Error::NoReply { .. }) =>
            {
                let fresh = Outgoing {
                    fresh: true,
                    ..outgoing.clone()
                };
                self.send(&fresh, patience).await
            }
            sent => sent,
        };
        let exchange = exchange.map_err(|unanswered| unanswered.error)?;
        let deadline = patience.pauses.now().after(patience.reply);
        let deadline = deadline.or_earlier(patience.deadline.clone()).instant();
        let (status, headers) = (exchange.status, exchange.headers.clone());
        let (body, read) = exchange.read(limit, deadline).await;
        match read {
            Ok(()) => Ok(Fetched {
                status,
                headers,
                body,
            }),
            Err(ReadError::Cut(source)) => Err(Error::Interrupted { source }),
            Err(ReadError::TooLong) => Err(Error::Protocol(format!(
                "the answer is longer than {limit} bytes"
            ))),
            Err(ReadError::Late) => Err(Error::Timeout {
                clock: Clock::FirstToken,
                limit: patience.reply,
            }),
        }
    }

    async fn connect(
        &self,
        patience: &Patience,
    ) -> Result<(Connection, Option<Handshake>), Error<E>> {
        let limit = patience.connect;
        let late = || Error::Timeout {
            clock: Clock::Connect,
            limit,
        };
        let reaching = Instant::now();
        let reached = self.opener.reach().await;
        patience.pauses.add(reaching.elapsed());
        reached.map_err(Error::Open)?;
        let deadline = patience.pauses.now().after(limit);
        let deadline = deadline.or_earlier(patience.deadline.clone());
        let opening = self.opener.open(self.endpoint.dial());
        let opened = deadline.limit(opening).await.ok_or_else(late)?;
        let mut stream = opened.map_err(Error::Open)?;
        let mut handshake = None;
        if let Some(tls) = &self.tls {
            let secured = deadline.limit(tls.secure(stream, &self.redactor)).await;
            let secured = secured.ok_or(TlsFailure::TimedOut { limit })?;
            let (secure, how) = secured.map_err(|error| match error {
                Insecure::Failed(failure) => Error::Tls(failure),
                Insecure::Carrier(source) => Error::NoReply {
                    source: Some(source),
                },
            })?;
            stream = secure;
            handshake = Some(how);
        }
        let connection = Connection::new(stream).await;
        let connection = connection.map_err(|error| self.explain(error, patience))?;
        Ok((connection, handshake))
    }

    fn request(&self, outgoing: &Outgoing<'_>) -> Result<Request<Sent>, Error<E>> {
        let unusable = |_| Error::Protocol("the request cannot be written as HTTP".to_owned());
        let host = self.host_header.as_deref();
        let host = HeaderValue::from_str(host.unwrap_or(self.endpoint.host_header()))
            .map_err(|_| Error::Protocol("the host cannot be written as HTTP".to_owned()))?;
        let method = if outgoing.body.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let body = outgoing.body.clone().unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(outgoing.path)
            .body(Box::new(Full::new(body.clone())))
            .map_err(unusable)?;
        let headers = request.headers_mut();
        *headers = outgoing.headers.clone();
        headers.insert(HOST, host);
        headers.insert(ACCEPT, HeaderValue::from_static(outgoing.accept));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if outgoing.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            // Some servers refuse chunked request bodies.
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        Ok(request)
    }

    /// What no caller should have to think of.
    fn check(&self, exchange: Exchange) -> Result<Exchange, Error<E>> {
        let text = |name| {
            exchange.headers.get(name).map(|value| {
                self.redactor
                    .clean(&String::from_utf8_lossy(value.as_bytes()))
            })
        };
        let status = StatusCode::from_u16(exchange.status).unwrap_or_default();
        if status.is_redirection() {
            return Err(Error::Redirected {
                status: exchange.status,
                location: text(LOCATION),
            });
        }
        match text(CONTENT_ENCODING) {
            Some(encoding)
                if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") =>
            {
                Err(Error::Protocol(format!(
                    "the answer is encoded as {encoding}, which was not asked for"
                )))
            }
            _ => Ok(exchange),
        }
    }

    fn explain(&self, error: SendError, patience: &Patience) -> Error<E> {
        match error {
            SendError::Unsent(_) => Error::NoReply { source: None },
            SendError::Closed(source) => match source.as_ref().and_then(tls::failure_in) {
                Some(failure) => Error::Tls(failure),
                None => Error::NoReply { source },
            },
            SendError::BadHead => {
                Error::Protocol("the head of the answer is malformed or too large".to_owned())
            }
            // An alert most often.
            SendError::NotHttp { greeting } if tls::is_record(&greeting) => {
                Error::Tls(TlsFailure::Wanted)
            }
            SendError::NotHttp { greeting } => Error::NotHttp {
                said: self.redactor.clean(&String::from_utf8_lossy(&greeting)),
            },
            SendError::Stalled => Error::Timeout {
                clock: Clock::Connect,
                limit: patience.connect,
            },
            SendError::Late => Error::Timeout {
                clock: Clock::FirstToken,
                limit: patience.reply,
            },
        }
    }
}

impl<E: Carrier> Unanswered<E> {
    fn unsent(error: Error<E>) -> Self {
        Self {
            error,
            written: false,
            reused: false,
        }
    }
}

/// Copies the values of headers. hyper's are slices of its read buffer, which they would keep in
/// memory for as long as the answer takes.
fn apart(mut headers: HeaderMap) -> HeaderMap {
    for value in headers.values_mut() {
        if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
            *value = copy;
        }
    }
    headers
}

pub(super) fn earliest(a: Instant, b: Option<Instant>) -> Instant {
    b.map_or(a, |b| a.min(b))
}
