//! Sentences for a server's "no".

use crate::{
    llm::{Refusal, RefusalKind, TlsFailure},
    protocol::{ErrorCode, ErrorData, ErrorObject, StageName},
};

use super::Scene;

pub(super) fn too_long(needed: u64, available: u64, scene: &Scene) -> String {
    let model = scene.model.as_deref().unwrap_or("the model");
    format!(
        "The prompt needs {needed} tokens; {model} is loaded with {available}. Shorten it, or load \
         the model with more."
    )
}

/// Why the server said no.
pub(super) fn refusal(refusal: &Refusal, scene: &Scene) -> ErrorObject {
    use ErrorCode as Code;
    let said = &refusal.message;
    let model = scene.model.as_deref().unwrap_or("the model");
    let status = refusal
        .status
        .map_or_else(String::new, |status| format!(" (HTTP {status})"));
    let (code, stage, message, hint) = match refusal.kind {
        RefusalKind::Auth => (
            Code::ApiAuthFailed,
            Some(StageName::Server),
            format!("{scene} wants another API key. It said: {said}"),
            Some("Put the server's key into the API key field."),
        ),
        RefusalKind::HostHeader => (
            Code::ApiAuthFailed,
            Some(StageName::Server),
            format!(
                "{scene} refuses requests for this host name. Use localhost or 127.0.0.1 in the \
                 endpoint. It said: {said}"
            ),
            Some("Ollama: or start it with OLLAMA_HOST / OLLAMA_ORIGINS for this name."),
        ),
        RefusalKind::NeedsTls => {
            let mut error = super::tls::tls(&TlsFailure::Wanted, scene);
            error.data.http_status = refusal.status;
            return error;
        }
        RefusalKind::WrongPath => (
            Code::ApiProtocolError,
            Some(StageName::Server),
            format!(
                "{scene} is open but does not answer as an LLM server there{status}. Check the base path."
            ),
            None,
        ),
        RefusalKind::InvalidModel => (
            Code::ApiInvalidModel,
            Some(StageName::Model),
            format!("{} has no model {model}. It said: {said}", scene.host),
            Some("Choose one of the models that list-models shows."),
        ),
        RefusalKind::ContextOverflow { needed, available } => (
            Code::ApiContextOverflow,
            None,
            match (needed, available) {
                (Some(needed), Some(available)) => too_long(needed, available, scene),
                _ => format!(
                    "The prompt does not fit in the context of {model}. Shorten it, or load the \
                     model with more. It said: {said}"
                ),
            },
            None,
        ),
        RefusalKind::RateLimited => (
            Code::ApiRateLimited,
            None,
            match refusal.retry_after {
                Some(after) => format!(
                    "{} is busy and asks to try again in {} s. It said: {said}",
                    scene.host,
                    after.as_secs().max(1)
                ),
                None => format!(
                    "{} is busy; try again in a moment. It said: {said}",
                    scene.host
                ),
            },
            None,
        ),
        RefusalKind::Loading => (
            Code::ApiModelLoading,
            None,
            format!(
                "{} is still loading the model. Try again in a moment.",
                scene.host
            ),
            None,
        ),
        RefusalKind::ToolsUnsupported { hint } => (
            Code::ApiToolsUnsupported,
            Some(StageName::Tools),
            format!(
                "{} can't call tools with {model} as it was started. It said: {said}",
                scene.host
            ),
            hint,
        ),
        RefusalKind::ImagesUnsupported => (
            Code::ApiError,
            None,
            format!("{model} can't see images. Choose a model with vision. It said: {said}"),
            Some("llama.cpp needs the model's mmproj file for images.")
                .filter(|_| said.contains("mmproj")),
        ),
        RefusalKind::Unavailable => (
            Code::ApiUnavailable,
            Some(StageName::Server),
            format!("{scene} is up, but what it needs is not. It said: {said}"),
            None,
        ),
        RefusalKind::Other => (
            Code::ApiError,
            Some(StageName::Server),
            format!("{scene} answered an error{status}: {said}"),
            Some("The LLM server's own log has more about it."),
        ),
    };
    let mut data = ErrorData::new(code, refusal.is_transient());
    data.stage = stage;
    data.host = Some(scene.host.clone());
    data.http_status = refusal.status;
    data.hint = hint.map(str::to_owned);
    super::with_data(data, message)
}
