//! What has to be known before a question can be put: the dialect, and how large a prompt the model
//! can take.

use super::{Failed, Question};
use crate::llm::{
    api_type::ApiType,
    carrier::Carrier,
    context::{self, Verdict, estimate},
    dialect::{Dialect, ollama},
    discovery::{Inquiry, discover},
    endpoint::Dial,
    error::Error,
    event::{ChatEvent, Phase},
    ollama::{
        Loaded, Lookup, Think, Version,
        window::{self, Situation},
    },
    resend::Reached,
};
use serde_json::Value;
use tokio::time::timeout;

impl<E: Carrier> Question<E> {
    /// Finds it out; returns what is to be told before the question is put. A server that does
    /// not say is taken as one that is not Ollama, or as one of which nothing is known.
    pub(super) async fn prepare(&mut self) -> Result<Vec<ChatEvent>, Failed<E>> {
        // The question itself has not been sent, whatever went wrong.
        let unsent = |error| Failed {
            error,
            reached: Reached::Nothing,
        };
        self.find_out().await.map_err(unsent)
    }

    async fn find_out(&mut self) -> Result<Vec<ChatEvent>, Error<E>> {
        // Else it is asked whether it is an Ollama anyway.
        if self.server.options.api_type == ApiType::OpenAiCompatible {
            self.look_up().await;
        }
        let is_ollama = self.choose().await?;
        if !is_ollama {
            self.look_up().await;
        }
        self.prefill = self.prefill().await?;
        match is_ollama {
            true => self.size_up(estimate::tokens(&self.request)).await,
            false => self.fit().await,
        }
    }

    /// Of a prompt that may be too large it has to be known for what: asks the server what it is
    /// and has, if nobody did. Once, and not for long; a server that does not say is taken as it is.
    async fn look_up(&self) {
        let known = self.server.learned();
        let is_small = || estimate::at_most(&self.request) <= window::SMALLEST;
        if known.kind.is_some() || known.looked_up || is_small() {
            return;
        }
        self.server.learn(|known| known.looked_up = true);
        let asking = async {
            // Of an Ollama with many models, discovery would ask too much.
            let ollama = match known.ollama {
                Some(known) => Some(known),
                None => self.lookup().is_ollama().await?,
            };
            self.server.learn(|learned| learned.ollama = ollama);
            if ollama != Some(true) {
                discover(&self.server).await?;
            }
            Ok::<_, Error<E>>(())
        };
        match timeout(context::PATIENCE, asking).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the server does not say what it has"),
            Err(_) => tracing::debug!("the server does not say in time what it has"),
        }
    }

    /// Chooses the dialect; whether the server is an Ollama, as far as that matters.
    async fn choose(&mut self) -> Result<bool, Error<E>> {
        let api_type = self.server.options.api_type;
        // Who named the API is not to see others asked for without a reason.
        if api_type == ApiType::OpenAiCompatible && !self.may_be_ollama() {
            return Ok(false);
        }
        let prompt = estimate::tokens(&self.request);
        let is_ollama = match api_type {
            ApiType::Ollama => true,
            ApiType::Auto => self.is_ollama().await?,
            // It only matters if the prompt could be too large for it.
            ApiType::OpenAiCompatible => prompt > window::SMALLEST && self.is_ollama().await?,
        };
        if is_ollama && api_type != ApiType::OpenAiCompatible {
            self.dialect = Dialect::Ollama;
            // It has one place only.
            self.tried = 0;
        }
        Ok(is_ollama)
    }

    /// Sees whether the prompt fits, with a server that has its context by itself. Takes at most
    /// two seconds, and next to nothing for a prompt that is small.
    async fn fit(&self) -> Result<Vec<ChatEvent>, Error<E>> {
        let deadline = self.pauses().now().after(context::PATIENCE);
        let inquiry = Inquiry::new(&self.server, deadline.or_earlier(Some(self.deadline())));
        let question = || {
            let kind = self.server.learned().kind?;
            context::Question::new(kind, self.body())
        };
        match context::judge(&inquiry, &self.request, question).await {
            Verdict::Fits => Ok(Vec::new()),
            Verdict::Warning(warning) => Ok(vec![ChatEvent::Warning(warning)]),
            Verdict::TooLong { needed, available } => Err(Error::TooLong { needed, available }),
        }
    }

    /// Whether the server is an Ollama; asked once.
    async fn is_ollama(&mut self) -> Result<bool, Error<E>> {
        if let Some(known) = self.server.learned().is_ollama() {
            return Ok(known);
        }
        let found = self.lookup().is_ollama().await?;
        self.server.learn(|learned| learned.ollama = found);
        self.is_guess = found.is_none();
        Ok(found.unwrap_or(false))
    }

    /// By what is known, by an answer that came, or by Ollama's port.
    fn may_be_ollama(&self) -> bool {
        let is_its_port = || matches!(self.server.endpoint.dial(), Dial::Tcp { port: 11434, .. });
        let learned = self.server.learned();
        let looks_like_it = || learned.looks_like_ollama || is_its_port();
        learned.is_ollama().unwrap_or_else(looks_like_it)
    }

    /// Settles on what to ask of Ollama, and tells what is going to happen.
    async fn size_up(&mut self, prompt: u64) -> Result<Vec<ChatEvent>, Error<E>> {
        let native = self.dialect == Dialect::Ollama;
        let options = self.server.options.ollama.clone();
        let model = self.request.model.clone();
        let lookup = self.lookup();
        let mut version = self.server.learned().ollama_version;
        if version.is_none() && native {
            version = lookup.version().await?;
        }
        let facts = lookup.facts(&model).await?;
        let loaded = match facts.remote {
            true => Loaded::Unknown,
            false => lookup.loaded(&model).await?,
        };
        self.server
            .learn(|learned| learned.ollama_version = version);

        let situation = Situation {
            configured: self.server.options.num_ctx(&model),
            prompt,
            answer: self.request.sampling.max_output_tokens,
            loaded,
            facts,
        };
        let given = self.request.extra.get("options");
        let given = given.and_then(|options| options.get("num_ctx"));
        let num_ctx = match given {
            Some(given) => given.as_u64(),
            None if native && !facts.remote => situation.num_ctx(),
            None => None,
        };
        if native {
            self.terms = ollama::Terms {
                num_ctx,
                think: Think::of_model(options.think, facts.thinking),
                keep_alive: options.keep_alive,
                no_shift: version.is_some_and(Version::can_stop_shifting),
            };
        }

        let mut events = Vec::new();
        let left_out = match native {
            true => ollama::unsendable_images(&self.request),
            false => 0,
        };
        if left_out > 0 {
            events.push(ChatEvent::Warning(format!(
                "{left_out} image(s) were left out: Ollama takes JPEG, PNG and WebP only"
            )));
        }
        // Who can refuse to cut a prompt will do so.
        let refuses = native
            && !self.adjustments.no_truncate
            && self.request.extra.get("truncate") != Some(&Value::Bool(true))
            && version.is_some_and(Version::can_refuse_to_cut);
        if !refuses && !facts.remote {
            let window = situation.window(num_ctx.filter(|_| native));
            let warning = situation.warning(&self.request, window, self.dialect);
            events.extend(warning.map(ChatEvent::Warning));
        }
        if loaded == Loaded::No {
            events.push(ChatEvent::Status {
                phase: Phase::LoadingModel,
                progress: None,
            });
        }
        Ok(events)
    }

    fn lookup(&self) -> Lookup<'_, E> {
        Lookup::new(&self.server, self.pauses().now(), self.deadline())
    }
}
