//! The asking: few requests, each with a deadline, and an answer that is no use is none.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use super::list;
use crate::llm::{
    Inner,
    carrier::Carrier,
    error::Error,
    http::{Fetched, Outgoing, Patience},
    json,
    moment::Moment,
    refusal::{self, RefusalKind},
    retry_after::retry_after,
};

/// Largest answer: a model list's.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// The longest wait for one detail.
const DETAIL: Duration = Duration::from_secs(5);

/// GETs besides the list.
const MOST_DETAILS: u32 = 3;

/// One server being asked, until its deadline.
pub(in crate::llm) struct Inquiry<'a, E: Carrier> {
    server: &'a Inner<E>,
    deadline: Moment,
    /// GETs for details so far.
    details: AtomicU32,
}

/// A model list, with the head that it came under.
pub(super) struct Listed {
    pub(super) list: Value,
    pub(super) headers: HeaderMap,
}

impl<'a, E: Carrier> Inquiry<'a, E> {
    pub(in crate::llm) fn new(server: &'a Inner<E>, deadline: Moment) -> Self {
        Self {
            server,
            deadline,
            details: AtomicU32::new(0),
        }
    }

    pub(in crate::llm) fn server(&self) -> &'a Inner<E> {
        self.server
    }

    /// The list, from the first place that has one.
    pub(super) async fn list(&self) -> Result<Listed, Error<E>> {
        let mut first_refusal = None;
        for (position, prefix) in self.server.endpoint.api_prefixes().into_iter().enumerate() {
            let path = format!("{prefix}/models");
            let fetched = self.fetch(&path, None, Duration::MAX).await?;
            match self.read_list(&fetched) {
                Ok(list) => {
                    self.server.learn(|learned| learned.prefix = Some(position));
                    let headers = fetched.headers;
                    return Ok(Listed { list, headers });
                }
                Err(Error::Refused(refusal)) if refusal.kind == RefusalKind::WrongPath => {
                    first_refusal.get_or_insert(refusal);
                }
                Err(error) => return Err(error),
            }
        }
        Err(first_refusal.map_or_else(
            || Error::Protocol("no path to ask under".to_owned()),
            Error::Refused,
        ))
    }

    fn read_list(&self, fetched: &Fetched) -> Result<Value, Error<E>> {
        let redactor = self.server.options.redactor();
        if fetched.status != 200 {
            let wait = retry_after(&fetched.headers, SystemTime::now());
            let mut refusal = refusal::of_response(fetched.status, &fetched.body, wait, &redactor);
            // No model was named, so it is the path that was not found, however that is put.
            let is_missing = matches!(fetched.status, 404 | 405);
            if is_missing && matches!(refusal.kind, RefusalKind::Other | RefusalKind::InvalidModel)
            {
                refusal.kind = RefusalKind::WrongPath;
            }
            return Err(Error::Refused(refusal));
        }
        let unexpected = || {
            let content_type = fetched.headers.get(CONTENT_TYPE);
            Error::UnexpectedContent {
                content_type: content_type.map_or_else(
                    || "no content type".to_owned(),
                    |value| redactor.excerpt(&String::from_utf8_lossy(value.as_bytes())),
                ),
                excerpt: redactor.excerpt(&String::from_utf8_lossy(&fetched.body)),
            }
        };
        let json = json::parse(&fetched.body).map_err(|error| match error.is_data() {
            true => Error::Protocol(format!("the model list cannot be read: {error}")),
            false => unexpected(),
        })?;
        if let Some(said) = refusal::error_in(None, &json) {
            return Err(Error::Refused(refusal::in_stream(&said, &redactor)));
        }
        if list::is_list(&json) {
            Ok(json)
        } else {
            Err(unexpected())
        }
    }

    /// A detail from one of the server's own routes: JSON, or nothing. Nothing, too, once enough
    /// was asked.
    pub(super) async fn get(&self, route: &str) -> Option<Value> {
        if self.details.fetch_add(1, Ordering::Relaxed) >= MOST_DETAILS {
            return None;
        }
        self.detail(route, None).await
    }

    /// A detail that has to be asked for with JSON.
    pub(super) async fn post(&self, route: &str, body: &Value) -> Option<Value> {
        let body = Bytes::from(body.to_string());
        self.detail(route, Some(body)).await
    }

    async fn detail(&self, route: &str, body: Option<Bytes>) -> Option<Value> {
        match self.fetch_route(route, body, DETAIL).await {
            Ok(fetched) if fetched.status == 200 => json::parse(&fetched.body).ok(),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(route, %error, "no details from the server");
                None
            }
        }
    }

    /// One of the server's own routes, such as `/props`; waits for the reply at most this long.
    pub(in crate::llm) async fn fetch_route(
        &self,
        route: &str,
        body: Option<Bytes>,
        wait: Duration,
    ) -> Result<Fetched, Error<E>> {
        let path = format!("{}{route}", self.server.endpoint.root());
        self.fetch(&path, body, wait).await
    }

    /// Waits for the reply at most this long, and at most under the discovery clock.
    async fn fetch(
        &self,
        path: &str,
        body: Option<Bytes>,
        wait: Duration,
    ) -> Result<Fetched, Error<E>> {
        let clocks = &self.server.options.clocks;
        let outgoing = Outgoing {
            path,
            headers: self.server.headers.as_ref().map_err(Clone::clone)?,
            fresh: false,
            body,
            accept: "application/json",
        };
        let patience = Patience {
            connect: clocks.connect,
            reply: clocks.discovery.min(wait),
            deadline: Some(self.deadline.clone()),
            pauses: self.deadline.pauses().clone(),
        };
        self.server
            .client
            .fetch(&outgoing, &patience, MAX_ANSWER)
            .await
    }
}
