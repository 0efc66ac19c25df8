//! Asking Ollama's small routes, before a prompt.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Facts, Loaded, Version};
use crate::llm::{
    Inner,
    carrier::Carrier,
    discovery::{Inquiry, is_ollamas_list},
    error::{Clock, Error},
    json,
    moment::Moment,
};

/// What is remembered of models, by the names that they were asked for.
pub(in crate::llm) type Known = HashMap<String, Facts>;

/// One server being asked.
pub(in crate::llm) struct Lookup<'a, E: Carrier>(Inquiry<'a, E>);

/// What came of asking.
#[derive(Debug)]
pub(in crate::llm) enum Found {
    /// A JSON answer.
    Answer(Value),
    /// The server has no such route.
    NoSuchRoute,
    /// It said something else, or nothing in time.
    Nothing,
}

impl<'a, E: Carrier> Lookup<'a, E> {
    /// Asks under the discovery clock, and never beyond `limit`.
    pub(in crate::llm) fn new(server: &'a Inner<E>, now: Moment, limit: Moment) -> Self {
        let deadline = now.after(server.options.clocks.discovery);
        Self(Inquiry::new(server, deadline.or_earlier(Some(limit))))
    }

    /// The server's version, if it says one.
    ///
    /// # Errors
    /// As of [`Self::get`].
    pub(in crate::llm) async fn version(&self) -> Result<Option<Version>, Error<E>> {
        Ok(match self.get("/api/version").await? {
            Found::Answer(answer) => Version::read(&answer),
            Found::NoSuchRoute | Found::Nothing => None,
        })
    }

    /// Whether the server is an Ollama and none of its imitators; `None` if that cannot be found
    /// out now. Its version is learned on the way.
    ///
    /// # Errors
    /// As of [`Self::get`].
    pub(in crate::llm) async fn is_ollama(&self) -> Result<Option<bool>, Error<E>> {
        let version = match self.get("/api/version").await? {
            Found::Answer(answer) if answer.get("version").is_some_and(Value::is_string) => {
                Version::read(&answer)
            }
            Found::Answer(_) | Found::NoSuchRoute => return Ok(Some(false)),
            Found::Nothing => return Ok(None),
        };
        let is_ollama = match self.get("/api/tags").await? {
            Found::Answer(tags) => is_ollamas_list(&tags),
            Found::NoSuchRoute => false,
            Found::Nothing => return Ok(None),
        };
        let server = self.0.server();
        server.learn(|learned| learned.ollama_version = version);
        Ok(Some(is_ollama))
    }

    /// What is known of a model; asks only if nothing is.
    ///
    /// # Errors
    /// As of [`Self::get`].
    pub(in crate::llm) async fn facts(&self, model: &str) -> Result<Facts, Error<E>> {
        let server = self.0.server();
        if let Some(known) = server.models().get(model) {
            return Ok(*known);
        }
        let body = Bytes::from(json!({ "model": model }).to_string());
        let Found::Answer(show) = self.ask("/api/show", Some(body)).await? else {
            return Ok(Facts::default());
        };
        let facts = Facts::read(&show);
        server.models().insert(model.to_owned(), facts);
        Ok(facts)
    }

    /// Whether a model is in memory now.
    ///
    /// # Errors
    /// As of [`Self::get`].
    pub(in crate::llm) async fn loaded(&self, model: &str) -> Result<Loaded, Error<E>> {
        Ok(match self.get("/api/ps").await? {
            Found::Answer(ps) => Loaded::read(&ps, model),
            Found::NoSuchRoute | Found::Nothing => Loaded::Unknown,
        })
    }

    /// # Errors
    /// When the server cannot be reached: whatever is asked next would fail alike.
    async fn get(&self, route: &str) -> Result<Found, Error<E>> {
        self.ask(route, None).await
    }

    async fn ask(&self, route: &str, body: Option<Bytes>) -> Result<Found, Error<E>> {
        let fetched = match self.0.fetch_route(route, body, Duration::MAX).await {
            Ok(fetched) => fetched,
            Err(
                error @ (Error::Open(_)
                | Error::Header(_)
                | Error::NotHttp { .. }
                | Error::Timeout {
                    clock: Clock::Connect,
                    ..
                }),
            ) => return Err(error),
            Err(error) => {
                tracing::debug!(route, %error, "nothing to be learned from the server");
                return Ok(Found::Nothing);
            }
        };
        Ok(match fetched.status {
            // A page that says 200 to everything is no API.
            200 => json::parse(&fetched.body).map_or(Found::NoSuchRoute, Found::Answer),
            404 | 405 | 501 => Found::NoSuchRoute,
            _ => Found::Nothing,
        })
    }
}
