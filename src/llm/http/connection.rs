//! One HTTP/1.1 connection, owned by whoever uses it.
//!
//! hyper splits a connection into a handle and a future that moves the bytes. Nothing is spawned
//! here: the future lives beside the handle and is polled together with it, so that dropping the
//! connection drops the byte stream at once, and a reader that pauses pauses the reading.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;

use super::tap::{Seen, Tap};
use crate::llm::{
    carrier::ByteStream,
    moment::{Moment, Pauses},
};

/// Longest response head, in bytes; hyper itself stops at 100 headers.
const MAX_HEAD: usize = 64 * 1024;

/// Largest read buffer. A body passes through it, so it only bounds the piece in flight.
const MAX_BUFFER: usize = 2 * MAX_HEAD;

/// What is sent. Boxed, because hyper keeps room for 32 requests with each connection.
pub(super) type Sent = Box<Full<Bytes>>;

pub(super) struct Connection {
    requests: http1::SendRequest<Sent>,
    driver: http1::Connection<TokioIo<Tap>, Sent>,
    /// The driver has returned and must not be polled again.
    closed: bool,
    seen: Seen,
}

/// Why there is no response head.
#[derive(Debug)]
pub(super) enum SendError {
    /// The connection was closed before any byte of the request was taken. It can go elsewhere.
    Unsent(Box<Request<Sent>>),
    Closed(Option<io::Error>),
    /// It is HTTP, but the head is malformed or larger than we take.
    BadHead,
    NotHttp {
        greeting: Vec<u8>,
    },
    /// Sending made no progress for the stall limit.
    Stalled,
    /// No head at the deadline.
    Late,
}

/// A piece of a body could not be read.
#[derive(Debug)]
pub(super) struct BodyError(pub(super) Option<io::Error>);

impl Connection {
    /// Needs no round trip.
    pub(super) async fn new(stream: Box<dyn ByteStream>) -> Result<Self, SendError> {
        let (tap, seen) = Tap::new(stream);
        let (requests, driver) = http1::Builder::new()
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_BUFFER)
            // One copy, one write: head and body leave in the same packet.
            .writev(false)
            .handshake(TokioIo::new(tap))
            .await
            .map_err(|_| SendError::Closed(seen.take_error()))?;
        Ok(Self {
            requests,
            driver,
            closed: false,
            seen,
        })
    }

    /// Sends a request and waits for the head of its response; a stall while sending may be so long
    /// by that clock. Dropping the future together with the connection cancels.
    pub(super) async fn send(
        &mut self,
        request: Request<Sent>,
        (stall, clock): (Duration, &Pauses),
        deadline: &Moment,
    ) -> Result<Response<Incoming>, SendError> {
        let (before, _) = self.seen.sent();
        let mut reply = pin!(self.requests.try_send_request(request));
        let stall_after = |now: Moment| {
            let moment = now.after(stall);
            async move { moment.come().await }
        };
        let mut late = pin!(deadline.come());
        let mut stalled = pin!(stall_after(clock.now()));
        let mut progress = before;
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(reply) = reply.as_mut().poll(cx) {
                return Poll::Ready(Ok(reply));
            }
            if !self.closed && Pin::new(&mut self.driver).poll(cx).is_ready() {
                self.closed = true;
            }
            if let Poll::Ready(reply) = reply.as_mut().poll(cx) {
                return Poll::Ready(Ok(reply));
            }
            let (written, flushed) = self.seen.sent();
            if written > progress {
                progress = written;
                stalled.set(stall_after(clock.now()));
            }
            let sending = written == before || !flushed;
            if sending && stalled.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(SendError::Stalled));
            }
            late.as_mut().poll(cx).map(|()| Err(SendError::Late))
        })
        .await?;
        outcome.map_err(|mut error| match error.take_message() {
            Some(request) => SendError::Unsent(Box::new(request)),
            None => self.explain(error.error()),
        })
    }

    /// How many bytes of all requests together were taken by the stream.
    pub(super) fn written(&self) -> u64 {
        self.seen.sent().0
    }

    /// The first bytes that the other side ever sent.
    pub(super) fn greeting(&self) -> Vec<u8> {
        self.seen.greeting()
    }

    /// The carrier's own error, once.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.seen.take_error()
    }

    fn explain(&self, error: &hyper::Error) -> SendError {
        let greeting = self.seen.greeting();
        if !error.is_parse() {
            SendError::Closed(self.seen.take_error())
        } else if greeting.starts_with(b"HTTP/") {
            SendError::BadHead
        } else {
            SendError::NotHttp { greeting }
        }
    }

    /// Polls for the next piece of a body that this connection carries.
    pub(super) fn poll_chunk(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            // The body asks the driver for more by being polled, and gets it when the driver is.
            if let Poll::Ready(chunk) = self.poll_frame(body, cx) {
                return Poll::Ready(chunk);
            }
            if self.closed {
                return Poll::Ready(Some(Err(BodyError(self.seen.take_error()))));
            }
            self.closed = Pin::new(&mut self.driver).poll(cx).is_ready();
            if !self.closed {
                return self.poll_frame(body, cx);
            }
        }
    }

    /// Trailers and empty pieces are skipped.
    fn poll_frame(
        &self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                    Ok(_) | Err(_) => {}
                },
                Some(Err(_)) => return Poll::Ready(Some(Err(BodyError(self.seen.take_error())))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// Whether another request can be sent. Looks at the stream once, so a server's close that
    /// has arrived is noticed.
    pub(super) fn is_reusable(&mut self) -> bool {
        if !self.closed {
            let mut cx = Context::from_waker(Waker::noop());
            self.closed = Pin::new(&mut self.driver).poll(&mut cx).is_ready();
        }
        !self.closed && self.requests.is_ready()
    }
}
