//! An LLM server's API over any byte stream.
//!
//! A [`Server`] is an [`Endpoint`] and an [`Opener`]: the room never learns who carries its bytes,
//! and hyper's types do not leave it. [`Server::discover`] tells what the server is and which
//! models it has; [`Server::chat`] gives a [`ChatStream`] of events that ends in a whole
//! [`Completion`], or in an error that keeps what came.
//!
//! ```text
//! Server ── discovery ──┐
//!        └─ chat ─ ask ─┴─ http (pool, connection, tap) ── Opener
//!            ├─ resend: failures → once more?  (no I/O)
//!            ├─ decoder: bytes → frames        (no I/O)
//!            └─ dialect: frames → events       (no I/O)
//! ```

mod api_type;
mod ask;
mod carrier;
mod chat;
mod context;
mod decoder;
mod dialect;
mod discovery;
mod endpoint;
mod error;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod http;
mod json;
mod message;
mod model;
mod moment;
mod ollama;
mod options;
mod refusal;
mod resend;
mod retry_after;
mod sanitize;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hyper::header::HeaderMap;

#[cfg(test)]
pub(crate) use self::dialect::as_openai;
pub use self::{
    api_type::{ApiChoice, ApiType},
    carrier::{BoxFuture, ByteStream, Carrier, Opener},
    chat::ChatStream,
    dialect::{Dialect, parse_arguments},
    discovery::models_in,
    endpoint::{Dial, Endpoint, EndpointError},
    error::{Clock, Error},
    event::{ChatEvent, Completion, InvalidCall, Phase, StopReason, Timing, Usage},
    http::{CaFileProblem, Handshake, TlsFailure},
    message::{Block, ChatRequest, ImageSource, Message, Role, Sampling, Tool, ToolChoice},
    model::{
        Capabilities, ContextWindow, Discovery, Model, ModelState, Parameters, ServerInfo,
        ServerKind, TypedModel,
    },
    ollama::{KeepAlive, OllamaSettings, Think},
    options::{Clocks, HeaderProblem, InvalidHeader, Options, Retries, TlsOptions},
    refusal::{Refusal, RefusalKind},
    sanitize::Redactor,
};
use self::{
    ask::Learned,
    context::Ledger,
    decoder::{limits, line, ndjson, sse},
    http::{Client, Patience},
    moment::Pauses,
    ollama::Known,
    resend::Budget,
};

/// One LLM server. Clone = same connections, the same memory of what the server cannot do, and the
/// same budget of requests sent again.
pub struct Server<E: Carrier> {
    inner: Arc<Inner<E>>,
}

struct Inner<E: Carrier> {
    client: Client<E>,
    endpoint: Endpoint,
    options: Options,
    /// What every request carries; checked once, told when first needed.
    headers: Result<HeaderMap, InvalidHeader>,
    learned: Mutex<Learned>,
    /// What Ollama said of its models.
    models: Mutex<Known>,
    /// How large contexts are, and prompts.
    ledger: Mutex<Ledger>,
    budget: Mutex<Budget>,
}

impl<E: Carrier> Server<E> {
    /// Does no I/O. Headers that cannot be sent are told by the first request; ask
    /// [`Options::check`] to know earlier.
    #[must_use]
    pub fn new(endpoint: Endpoint, opener: Arc<dyn Opener<E>>, options: Options) -> Self {
        let headers = options.header_map();
        let client = Client::new(endpoint.clone(), opener, &options);
        Self {
            inner: Arc::new(Inner {
                client,
                endpoint,
                options,
                headers,
                learned: Mutex::default(),
                models: Mutex::default(),
                ledger: Mutex::default(),
                budget: Mutex::default(),
            }),
        }
    }

    /// Connects, and tells how the connection is secured; `None` without TLS. The request that
    /// follows uses the same connection. Takes at most the connect clock.
    ///
    /// # Errors
    /// When there is no connection, or no secure one.
    pub async fn handshake(&self) -> Result<Option<Handshake>, Error<E>> {
        let clocks = &self.inner.options.clocks;
        let patience = Patience {
            connect: clocks.connect,
            reply: clocks.connect,
            deadline: None,
            pauses: Pauses::default(),
        };
        self.inner.client.handshake(&patience).await
    }

    /// Asks what the server is and which models it has. Takes at most the discovery clock; when
    /// that runs out after the list came, details are missing rather than the whole.
    ///
    /// Dropping the future closes the connection it uses.
    ///
    /// Where the server has no model list, [`Options::models`] are told with a warning, if there are
    /// any.
    ///
    /// # Errors
    /// When there is no model list to be had.
    pub async fn discover(&self) -> Result<Discovery, Error<E>> {
        // Models may have been replaced.
        self.inner.models().clear();
        discovery::discover(&self.inner).await
    }

    /// Takes over what another client found the same server to be.
    pub fn recall(&self, found: &Discovery) {
        self.inner.recall(found);
    }

    /// Asks for an answer; returns with the head of the response, or as soon as there is something
    /// to tell before: that the server takes its time, that the model is being loaded, that the
    /// prompt may be cut, or that the request has to be sent again. Waits under the connect and
    /// first-token clocks; which API the server has, if that is not known yet, is found out under
    /// the discovery clock.
    ///
    /// Dropping the future, or the stream, closes the connection at once: the server stops.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, and sending the request again is of no use.
    /// Nothing was generated then, except after [`Error::NoReply`] and [`Error::Timeout`], where
    /// nobody can know.
    pub async fn chat(&self, request: ChatRequest) -> Result<ChatStream<E>, Error<E>> {
        ChatStream::open(Arc::clone(&self.inner), request).await
    }
}

impl<E: Carrier> Inner<E> {
    fn learned(&self) -> Learned {
        *self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, lesson: impl FnOnce(&mut Learned)) {
        lesson(&mut self.learned.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn recall(&self, found: &Discovery) {
        self.learn(|learned| learned.is(found.server.kind));
        self.ledger().learn(found);
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn models(&self) -> MutexGuard<'_, Known> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Carrier> Clone for Server<E> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<E: Carrier> fmt::Debug for Server<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("endpoint", &self.inner.endpoint)
            .finish_non_exhaustive()
    }
}
