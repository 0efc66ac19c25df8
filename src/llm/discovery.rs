//! What a server is and which models it has.
//!
//! The model list is the only thing that must work; everything else only adds to it. What the list
//! says of its server decides who is asked for what ([`fingerprint`]), and each server's answers
//! are read in a file of its own. Besides the list at most three GETs are made, and one POST per
//! model at Ollama.

use self::fingerprint::Verdict;
use super::{
    Inner,
    carrier::Carrier,
    endpoint::Dial,
    error::Error,
    json,
    model::{Discovery, Model, ServerInfo, ServerKind},
    moment::Pauses,
};

mod field;
mod fingerprint;
mod inquiry;
mod kobold_cpp;
mod list;
mod litellm;
mod llama_cpp;
mod lm_studio;
mod local_ai;
mod name;
mod near;
mod ollama;
mod sglang;
mod tabby_api;
mod tgi;
mod typed;
mod vllm;
mod webui;

use self::inquiry::Listed;
pub(super) use self::{
    inquiry::Inquiry,
    ollama::{is_ollamas_list, maximum_context, num_ctx},
};

/// What a server told of itself, besides its models.
#[derive(Debug, Default)]
struct Told {
    version: Option<String>,
}

pub(super) async fn discover<E: Carrier>(server: &Inner<E>) -> Result<Discovery, Error<E>> {
    let now = Pauses::default().now();
    let deadline = now.after(server.options.clocks.discovery);
    let inquiry = Inquiry::new(server, deadline);
    let listed = match inquiry.list().await {
        Ok(listed) => listed,
        Err(error) => return typed::instead(&server.options, error),
    };
    let mut models = list::models(&listed.list);
    let info = identify(&inquiry, &listed, &mut models).await;
    list::add(info.kind, &listed.list, &mut models);
    typed::add(&server.options.models, &mut models);
    let found = Discovery {
        api: server.options.api_type.choose(&info),
        server: info,
        models,
        warnings: list::warnings(&listed.list),
    };
    server.recall(&found);
    Ok(found)
}

/// The models of a list, by the list alone. For fuzzing.
///
/// The bytes are read as every other answer, too: whatever they are, nothing may panic.
#[doc(hidden)]
#[must_use]
pub fn models_in(list: &[u8]) -> Vec<Model> {
    let Ok(json) = json::parse(list) else {
        return Vec::new();
    };
    if !list::is_list(&json) {
        return Vec::new();
    }
    let _ = fingerprint::verdict(&json, &hyper::HeaderMap::new(), None);
    let mut models = list::models(&json);
    let detail = json.get("detail").unwrap_or(&json);
    kobold_cpp::add(detail, detail, &mut models);
    litellm::add(detail, &mut models);
    llama_cpp::add(detail, &mut models);
    lm_studio::add(detail, &mut models);
    lm_studio::add_old(detail, &mut models);
    local_ai::add(detail, &mut models);
    ollama::add(detail, detail, &mut models);
    models
        .iter_mut()
        .for_each(|model| ollama::add_show(detail, model));
    sglang::add(detail, &mut models);
    tabby_api::add(detail, &mut models);
    tgi::add(detail, &mut models);
    webui::add(detail, &mut models);
    list::add(ServerKind::Vllm, &json, &mut models);
    models
}

/// Finds out which program it is, and adds what it says of its models.
async fn identify<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    listed: &Listed,
    models: &mut [Model],
) -> ServerInfo {
    let port = match inquiry.server().endpoint.dial() {
        Dial::Tcp { port, .. } => Some(*port),
        Dial::Unix { .. } => None,
    };
    let info = |kind, told: Told| ServerInfo {
        kind,
        version: told.version,
    };
    match fingerprint::verdict(&listed.list, &listed.headers, port) {
        Verdict::Is(kind) => {
            let told = ask(kind, inquiry, models).await;
            info(kind, told.unwrap_or_default())
        }
        Verdict::MayBe(suspects) => {
            for kind in suspects {
                if let Some(told) = ask(kind, inquiry, models).await {
                    return info(kind, told);
                }
            }
            info(ServerKind::Generic, Told::default())
        }
    }
}

/// Asks a server as one of this kind; `None` if it does not answer as one.
async fn ask<E: Carrier>(
    kind: ServerKind,
    inquiry: &Inquiry<'_, E>,
    models: &mut [Model],
) -> Option<Told> {
    match kind {
        ServerKind::KoboldCpp => kobold_cpp::ask(inquiry, models).await,
        ServerKind::LiteLlm => litellm::ask(inquiry, models).await,
        ServerKind::LlamaCpp => llama_cpp::ask(inquiry, models).await,
        ServerKind::LmStudio => lm_studio::ask(inquiry, models).await,
        ServerKind::LocalAi => local_ai::ask(inquiry, models).await,
        ServerKind::Ollama => ollama::ask(inquiry, models).await,
        ServerKind::Sglang => sglang::ask(inquiry, models).await,
        ServerKind::TabbyApi => tabby_api::ask(inquiry, models).await,
        ServerKind::Tgi => tgi::ask(inquiry, models).await,
        ServerKind::TextGenerationWebui => webui::ask(inquiry, models).await,
        ServerKind::Vllm | ServerKind::TensorRtLlm => vllm::ask(inquiry).await,
        // Their list is all there is.
        ServerKind::LlamaCppPython
        | ServerKind::Mlx
        | ServerKind::OpenRouter
        | ServerKind::RayServe
        | ServerKind::Generic => None,
    }
}
