//! The reader task: takes lines apart and starts what they ask for, without ever waiting for it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use jsonrpsee::{ConnectionId, MethodCallback, MethodResponse};
use jsonrpsee_types::error::OVERSIZED_RESPONSE_MSG;
use jsonrpsee_types::{ErrorObjectOwned, Id, Params};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::Limits;
use super::calls::CANCEL;
use super::error::{ErrorReply, code};
use super::in_flight::{Entry, InFlight, Refusal};
use super::line::Line;
use super::message::{Inbound, parse_id};
use super::outbound::Outbound;
use super::queue::Message;
use super::reader::Lines;
use super::router::{Call, Router};

/// From this many bytes on, a line is not handled among the others.
const LONG_LINE: usize = 256 * 1024;

/// Lines from the host, on their way to the router. Dropping it cancels every request in flight
/// and fails every pending call.
#[derive(Debug)]
pub struct Incoming {
    lines: Lines,
    outbound: Outbound,
    in_flight: InFlight,
    tasks: TaskTracker,
    message_bytes: usize,
    /// Ends when the request before has started.
    previous_started: Option<oneshot::Receiver<()>>,
}

/// Why serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The host closed its end, or died.
    Eof,
    /// The shutdown token was cancelled.
    Stopped,
    /// The host can no longer be written to.
    HostGone,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Requests whose reply was not queued in time.
    pub unanswered: usize,
    /// Whether all that was queued has been written.
    pub written: bool,
}

/// A request that is not served, and why.
#[derive(Debug)]
struct Refused {
    id: Id<'static>,
    error: ErrorReply,
}

// === impl Incoming ===

impl Incoming {
    pub(super) fn new(lines: Lines, outbound: Outbound, limits: Limits) -> Self {
        Self {
            lines,
            outbound,
            in_flight: InFlight::new(limits.in_flight, limits.in_flight_bytes),
            tasks: TaskTracker::new(),
            message_bytes: limits.message_bytes,
            previous_started: None,
        }
    }

    /// Serves the host until end of file, `shutdown`, or until it can no longer be written to.
    ///
    /// At the end every pending [`Outbound::call`] fails with `Closed`. Requests in flight go
    /// on; [`Self::drain`] ends them.
    pub async fn serve<C: Send + Sync + 'static>(
        &mut self,
        router: &Router<C>,
        shutdown: &CancellationToken,
    ) -> End {
        let end = self.receive_all(router, shutdown).await;
        self.outbound.calls().close();
        end
    }

    /// Cancels every request in flight, then waits until their replies are queued and written,
    /// or until `enough`. To a host that is gone nothing is written.
    pub async fn drain(self, enough: impl Future<Output = ()>) -> Drained {
        self.in_flight.cancel_all();
        self.tasks.close();
        let written = async {
            self.tasks.wait().await;
            tokio::select! {
                written = self.outbound.flush() => written.is_ok(),
                () = self.outbound.gone() => false,
            }
        };
        let written = tokio::select! {
            biased;
            written = written => written,
            () = enough => false,
        };
        Drained {
            unanswered: self.in_flight.len(),
            written,
        }
    }

    async fn receive_all<C: Send + Sync + 'static>(
        &mut self,
        router: &Router<C>,
        shutdown: &CancellationToken,
    ) -> End {
        let gone = self.outbound.gone_token().clone();
        loop {
            let line = tokio::select! {
                biased;
                () = shutdown.cancelled() => return End::Stopped,
                () = gone.cancelled() => return End::HostGone,
                line = self.lines.next() => line,
            };
            let refused = match line {
                None => return End::Eof,
                Some(Line::Text(line)) => aside(line.len(), || self.receive(router, &line)),
                Some(Line::TooLong) => {
                    tracing::warn!("a line longer than the limit was discarded");
                    Some(Refused::invalid(
                        Id::Null,
                        &format!("a message has at most {} bytes", self.message_bytes),
                    ))
                }
            };
            if let Some(refused) = refused {
                tokio::select! {
                    () = self.outbound.refuse(refused.into_reply()) => {}
                    () = shutdown.cancelled() => return End::Stopped,
                }
            }
        }
    }

    /// Does what a line asks for; what is refused has to be answered so.
    fn receive<C: Send + Sync + 'static>(
        &mut self,
        router: &Router<C>,
        line: &[u8],
    ) -> Option<Refused> {
        match Inbound::parse(line) {
            Inbound::Request { id, method, params } => {
                let started = self.start(router, &id, &method, params, line.len());
                return started.err().map(|error| Refused { id, error });
            }
            Inbound::Notification { method, params } if method == CANCEL => self.cancel(params),
            Inbound::Notification { method, params } => match router.admit(&method) {
                Ok(()) => router.notification(&method, params.map(RawValue::get)),
                Err(_refusal) => tracing::debug!("a notification was refused"),
            },
            Inbound::Reply { id, result } => {
                if !id.is_some_and(|id| self.outbound.calls().resolve(id, result)) {
                    tracing::debug!("a reply that nobody waits for was dropped");
                }
            }
            Inbound::Invalid { id, problem } => {
                tracing::warn!(problem, "an invalid message was refused");
                return Some(Refused::invalid(id, problem));
            }
            Inbound::NotJson => {
                tracing::warn!(
                    bytes = line.len(),
                    "a line that is not UTF-8 JSON was skipped"
                );
            }
        }
        None
    }

    /// Starts a request's handler in its own task.
    fn start<C: Send + Sync + 'static>(
        &mut self,
        router: &Router<C>,
        id: &Id<'static>,
        method: &str,
        params: Option<&RawValue>,
        bytes: usize,
    ) -> Result<(), ErrorReply> {
        let entry =
            self.in_flight
                .register(id.clone(), bytes)
                .map_err(|refusal| match refusal {
                    Refusal::DuplicateId => ErrorReply::new(
                        code::INVALID_REQUEST,
                        "Invalid request: another request with this id is in flight.",
                    ),
                    Refusal::TooMany => ErrorReply::new(
                        code::TOO_MANY,
                        "Too many requests are in flight; wait for one to end.",
                    ),
                })?;
        router.admit(method)?;
        // Only async methods are ever registered.
        let Some((method, MethodCallback::Async(callback))) = router.request(method) else {
            return Err(ErrorReply::new(
                code::METHOD_NOT_FOUND,
                "There is no such method in this protocol.",
            ));
        };

        let call = Call::new(
            method,
            id.clone(),
            entry.token.clone(),
            self.in_flight.clone(),
        );
        let span = tracing::debug_span!("request", method, id = %call.id());
        let params = Params::new(params.map(RawValue::get)).into_owned();
        let handler = callback(
            id.clone(),
            params,
            ConnectionId(0),
            self.message_bytes,
            call.into_extensions(),
        );
        let (started, next) = oneshot::channel();
        let handler = in_order(self.previous_started.replace(next), started, handler);
        let handler = polled_aside(bytes, handler);
        let answer = answer(
            handler,
            entry,
            id.clone(),
            method,
            self.outbound.clone(),
            self.message_bytes,
        );
        self.tasks.spawn(answer.instrument(span));
        Ok(())
    }

    fn cancel(&self, params: Option<&RawValue>) {
        #[derive(Deserialize)]
        struct Cancel<'a> {
            #[serde(borrow)]
            id: &'a RawValue,
        }
        let id = params
            .and_then(|params| serde_json::from_str::<Cancel<'_>>(params.get()).ok())
            .and_then(|cancel| parse_id(cancel.id.get()));
        match id {
            Some(id) => self.in_flight.cancel(&id),
            None => tracing::warn!("a cancellation without a readable id was ignored"),
        }
    }
}

impl Refused {
    fn invalid(id: Id<'static>, problem: &str) -> Self {
        let problem = format!("Invalid request: {problem}.");
        Self {
            id,
            error: ErrorReply::new(code::INVALID_REQUEST, problem),
        }
    }

    fn into_reply(self) -> Box<RawValue> {
        MethodResponse::error(self.id, ErrorObjectOwned::from(self.error)).into_json()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.in_flight.cancel_all();
        self.outbound.calls().close();
    }
}

/// Runs a handler after the one before it has started, and tells the next one when it has.
///
/// The runtime alone would not keep that order: the task spawned last often runs first.
async fn in_order<T>(
    previous: Option<oneshot::Receiver<()>>,
    started: oneshot::Sender<()>,
    handler: impl Future<Output = T>,
) -> T {
    if let Some(previous) = previous {
        // Ends in an error, for nothing is sent: the other end is dropped, by a panic too.
        let _ = previous.await;
    }
    let mut handler = pin!(handler);
    let first = poll_fn(|context| Poll::Ready(handler.as_mut().poll(context))).await;
    drop(started);
    match first {
        Poll::Ready(output) => output,
        Poll::Pending => handler.await,
    }
}

/// Runs what takes time in proportion to the length of a line without keeping a worker of the
/// runtime from everybody else's tasks: 15 MiB take some 30 ms each time they are gone through.
fn aside<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let is_long = bytes >= LONG_LINE;
    // A runtime without workers, as in unit tests, has nowhere else to go.
    if is_long && Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// The same for a handler: all it does, for what it was given is copied and written anew at more
/// than one place on its way.
async fn polled_aside<T>(bytes: usize, handler: impl Future<Output = T>) -> T {
    let mut handler = pin!(handler);
    poll_fn(|context| aside(bytes, || handler.as_mut().poll(context))).await
}

/// Runs a handler to its end and queues its reply.
async fn answer(
    handler: impl Future<Output = MethodResponse> + Send + 'static,
    entry: Entry,
    id: Id<'static>,
    method: &'static str,
    outbound: Outbound,
    message_bytes: usize,
) {
    // A task of its own, so that a panic ends there.
    let handler = tokio::spawn(handler.in_current_span());
    let response = match handler.await {
        // jsonrpsee's own words. A handler may have its own for a result that is too long.
        Ok(response)
            if response.as_error_code() == Some(code::REPLY_TOO_BIG)
                && response.as_json().get().contains(OVERSIZED_RESPONSE_MSG) =>
        {
            MethodResponse::error(
                id,
                ErrorObjectOwned::from(ErrorReply::reply_too_big(message_bytes)),
            )
        }
        Ok(response) => response,
        Err(_panic) => {
            tracing::error!(method, "a request's handler panicked");
            MethodResponse::error(id, ErrorObjectOwned::from(ErrorReply::internal()))
        }
    };
    let (reply, on_queued, _) = response.into_parts();
    let reply = Message::from(reply);
    let Ok(slot) = outbound.reserve_slot(reply.len()).await else {
        return;
    };
    // The id is free before the host can see the reply, and the request counts until there is
    // room for it.
    let unanswered = entry.free();
    slot.fill(reply);
    drop(unanswered);
    if let Some(on_queued) = on_queued {
        on_queued.notify(true);
    }
}
