//! The table of methods.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jsonrpsee::{Extensions, MethodCallback, RpcModule};
use jsonrpsee_types::{ErrorObjectOwned, Id};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::decode::{Unreadable, decode_params, decode_params_noting};
use super::error::ErrorReply;
use super::in_flight::InFlight;

type Guard<C> = dyn Fn(&C, &str) -> Result<(), ErrorReply> + Send + Sync;
type OnNotification<C> = dyn Fn(&Arc<C>, Option<&str>) -> Result<(), Unreadable> + Send + Sync;

/// The methods that a host may call, with the context `C` that their handlers share.
pub struct Router<C> {
    context: Arc<C>,
    guard: Option<Box<Guard<C>>>,
    requests: RpcModule<C>,
    notifications: HashMap<&'static str, Box<OnNotification<C>>>,
}

/// What a handler knows of its request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Cancelled by `$/cancelRequest`, and when the process ends. The handler finishes itself:
    /// it cleans up and returns what it has, mostly [`super::code::CANCELLED`].
    pub token: CancellationToken,
    /// The method that was called.
    pub method: &'static str,
    /// Fields of the params that have no meaning here, in wire spelling.
    pub passed_over: Vec<String>,
    id: Id<'static>,
    in_flight: InFlight,
}

// === impl Router ===

impl<C: Send + Sync + 'static> Router<C> {
    /// A router without methods.
    pub fn new(context: C) -> Self {
        Self::from_arc(Arc::new(context))
    }

    /// As [`Self::new`], for a context that others share.
    pub fn from_arc(context: Arc<C>) -> Self {
        Self {
            requests: RpcModule::from_arc(Arc::clone(&context)),
            context,
            guard: None,
            notifications: HashMap::new(),
        }
    }

    /// Installs a check that runs before a message is dispatched, known method or not: an `Err`
    /// answers the request. A notification that it refuses is dropped.
    ///
    /// It runs on the reader, one line after the other, before any later line is looked at. So
    /// it may keep state (the first `initialize` wins), and it must not block.
    #[must_use]
    pub fn guard(
        mut self,
        guard: impl Fn(&C, &str) -> Result<(), ErrorReply> + Send + Sync + 'static,
    ) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// Serves a method.
    ///
    /// Params are an object; absent ones count as an empty one. The handler runs in a task of
    /// its own. Handlers start in the order of their requests, that is, each runs up to its
    /// first wait before the next one starts; they finish in any order. So a handler must not
    /// block its thread. One that panics answers −32603. A name can be served once; a second
    /// registration is ignored.
    pub fn on<P, R, F, Fut>(&mut self, method: &'static str, handler: F) -> &mut Self
    where
        P: DeserializeOwned + Send + 'static,
        R: Serialize + Send + Sync + 'static,
        F: Fn(Arc<C>, P, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, ErrorReply>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let registered =
            self.requests
                .register_async_method(method, move |params, context, extensions| {
                    let handler = Arc::clone(&handler);
                    async move {
                        let call = extensions.get::<Call>().ok_or_else(ErrorReply::internal)?;
                        let mut call = call.clone();
                        let (typed, passed_over) = decode_params_noting(params.as_str())
                            .map_err(|problem| ErrorReply::invalid_params(&problem))?;
                        call.passed_over = passed_over;
                        // The text may hold secrets and may be long; the handler runs for minutes.
                        drop(params);
                        let result = handler(context, typed, call).await?;
                        // jsonrpsee wants results that can be cloned.
                        Ok::<_, ErrorObjectOwned>(Arc::new(result))
                    }
                });
        debug_assert!(registered.is_ok(), "{method} is served twice");
        self
    }

    /// Serves a notification. The handler runs on the reader, in the order of the lines, and
    /// must not block; what takes time it spawns.
    pub fn on_notification<P, F>(&mut self, method: &'static str, handler: F) -> &mut Self
    where
        P: DeserializeOwned,
        F: Fn(&Arc<C>, P) + Send + Sync + 'static,
    {
        let handler: Box<OnNotification<C>> = Box::new(move |context, params| {
            handler(context, decode_params(params)?);
            Ok(())
        });
        let previous = self.notifications.insert(method, handler);
        debug_assert!(previous.is_none(), "{method} is served twice");
        self
    }

    pub(super) fn admit(&self, method: &str) -> Result<(), ErrorReply> {
        let Some(guard) = &self.guard else {
            return Ok(());
        };
        catch_unwind(AssertUnwindSafe(|| guard(&self.context, method)))
            .unwrap_or_else(|_panic| Err(ErrorReply::internal()))
    }

    /// The callback of a request, ready to run in a task; `None` for an unknown method.
    pub(super) fn request(&self, method: &str) -> Option<(&'static str, MethodCallback)> {
        let (name, callback) = self.requests.method_with_name(method)?;
        Some((name, callback.clone()))
    }

    /// Runs a notification's handler.
    pub(super) fn notification(&self, method: &str, params: Option<&str>) {
        let Some((name, handler)) = self.notifications.get_key_value(method) else {
            tracing::debug!("a notification of an unknown method was ignored");
            return;
        };
        match catch_unwind(AssertUnwindSafe(|| handler(&self.context, params))) {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => {
                tracing::warn!(method = name, %problem, "a notification was ignored");
            }
            Err(_panic) => tracing::error!(method = name, "a notification's handler panicked"),
        }
    }
}

impl<C> fmt::Debug for Router<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut methods: Vec<_> = self.requests.method_names().collect();
        methods.extend(self.notifications.keys());
        methods.sort_unstable();
        f.debug_struct("Router")
            .field("methods", &methods)
            .finish_non_exhaustive()
    }
}

// === impl Call ===

impl Call {
    pub(super) fn new(
        method: &'static str,
        id: Id<'static>,
        token: CancellationToken,
        in_flight: InFlight,
    ) -> Self {
        Self {
            token,
            method,
            passed_over: Vec::new(),
            id,
            in_flight,
        }
    }

    /// Cancels every request in flight, this one and later ones too.
    pub fn cancel_all(&self) {
        self.in_flight.cancel_all();
    }

    /// Waits until every other request has its reply in the queue, so that this one's comes
    /// after them. Two requests that both wait would wait for each other.
    pub async fn others_answered(&self) {
        self.in_flight.but_one().await;
    }

    pub(super) fn into_extensions(self) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(self);
        extensions
    }

    /// The request's id as the host wrote it, for logs.
    pub fn id(&self) -> impl fmt::Display + '_ {
        &self.id
    }
}
