//! llama.cpp's `/props`.

use serde_json::Value;

use super::list::{number, text};
use crate::llm::model::{ContextWindow, Model};

pub(super) fn version(props: &Value) -> Option<String> {
    text(props, "build_info")
}

/// Adds what the props say of the one model that is loaded. A router's props are about nothing.
pub(super) fn add(props: &Value, models: &mut [Model]) {
    let [model] = models else { return };
    if text(props, "role").is_some_and(|role| role == "router") {
        return;
    }
    if model.context_window.effective.is_none()
        && let Some(context) = props
            .get("default_generation_settings")
            .and_then(|settings| number(settings, "n_ctx"))
    {
        model.context_window = ContextWindow {
            effective: Some(context),
            source: Some("/props n_ctx"),
            ..model.context_window
        };
    }
    let flag = |of: &str, name: &str| props.get(of)?.get(name)?.as_bool();
    model.capabilities.tools =
        flag("chat_template_caps", "supports_tools").or(model.capabilities.tools);
    model.capabilities.vision = flag("modalities", "vision").or(model.capabilities.vision);
}
