//! What a server is and which models it has.
//!
//! Servers imitate each other, so the first 200 decides nothing: the most specific fact does.
//! The model list is the only thing that must work; everything else only adds to it. Besides the
//! list at most three GETs are made, and one POST per model at Ollama.

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Inner,
    carrier::Carrier,
    error::Error,
    http::{Fetched, Outgoing, Patience},
    json,
    model::{Discovery, ServerInfo, ServerKind},
    refusal::{self, RefusalKind},
    retry_after::retry_after,
};

mod list;
mod llama_cpp;
mod ollama;

pub(super) use self::ollama::{is_ollamas_list, maximum_context, num_ctx};

/// Largest answer: a model list's.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// One server being asked, until its deadline.
pub(super) struct Inquiry<'a, E: Carrier> {
    pub(super) server: &'a Inner<E>,
    pub(super) deadline: Instant,
}

pub(super) async fn discover<E: Carrier>(server: &Inner<E>) -> Result<Discovery, Error<E>> {
    let inquiry = Inquiry {
        server,
        deadline: Instant::now() + server.options.clocks.discovery,
    };
    let list = inquiry.model_list().await?;
    let mut models = list::models(&list);
    let mut info = ServerInfo {
        kind: list::kind(&list),
        version: None,
    };
    match info.kind {
        ServerKind::LlamaCpp => {
            if let Some(props) = inquiry.get("/props").await {
                info.version = llama_cpp::version(&props);
                llama_cpp::add(&props, &mut models);
            }
        }
        ServerKind::Vllm => {
            let version = inquiry.get("/version").await;
            info.version = version.as_ref().and_then(version_of);
        }
        ServerKind::Generic => {
            if let Some(version) = inquiry
                .get("/api/version")
                .await
                .as_ref()
                .and_then(version_of)
                && ollama::add(&inquiry, &mut models).await
            {
                info = ServerInfo {
                    kind: ServerKind::Ollama,
                    version: Some(version),
                };
            }
        }
        ServerKind::Ollama
        | ServerKind::LlamaCppPython
        | ServerKind::Sglang
        | ServerKind::LmStudio
        | ServerKind::Tgi
        | ServerKind::LiteLlm
        | ServerKind::LocalAi
        | ServerKind::TabbyApi
        | ServerKind::KoboldCpp
        | ServerKind::TensorRtLlm
        | ServerKind::Mlx
        | ServerKind::TextGenerationWebui
        | ServerKind::OpenRouter => {}
    }
    server.learn(|learned| {
        learned.kind = Some(info.kind);
        learned.adjustments.return_progress = info.kind == ServerKind::LlamaCpp;
    });
    Ok(Discovery {
        server: info,
        models,
    })
}

impl<E: Carrier> Inquiry<'_, E> {
    /// The list, from the first place that has one.
    async fn model_list(&self) -> Result<Value, Error<E>> {
        let mut first_refusal = None;
        for (position, prefix) in self.server.endpoint.api_prefixes().into_iter().enumerate() {
            let path = format!("{prefix}/models");
            let fetched = self.fetch(&path, None).await?;
            match self.read_list(&fetched) {
                Ok(list) => {
                    self.server.learn(|learned| learned.prefix = Some(position));
                    return Ok(list);
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
            let wait = retry_after(&fetched.headers, std::time::SystemTime::now());
            let refusal = refusal::of_response(fetched.status, &fetched.body, wait, &redactor);
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

    /// A detail: JSON, or nothing.
    async fn get(&self, route: &str) -> Option<Value> {
        self.detail(route, None).await
    }

    async fn post(&self, route: &str, body: &Value) -> Option<Value> {
        self.detail(route, Some(Bytes::from(body.to_string())))
            .await
    }

    async fn detail(&self, route: &str, body: Option<Bytes>) -> Option<Value> {
        match self.fetch_route(route, body).await {
            Ok(fetched) if fetched.status == 200 => json::parse(&fetched.body).ok(),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(route, %error, "no details from the server");
                None
            }
        }
    }

    /// One of the server's own routes, such as `/props`.
    pub(super) async fn fetch_route(
        &self,
        route: &str,
        body: Option<Bytes>,
    ) -> Result<Fetched, Error<E>> {
        let path = format!("{}{route}", self.server.endpoint.root());
        self.fetch(&path, body).await
    }

    async fn fetch(&self, path: &str, body: Option<Bytes>) -> Result<Fetched, Error<E>> {
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
            reply: clocks.discovery,
            deadline: Some(self.deadline),
        };
        self.server
            .client
            .fetch(&outgoing, patience, MAX_ANSWER)
            .await
    }
}

fn version_of(json: &Value) -> Option<String> {
    list::text(json, "version")
}
