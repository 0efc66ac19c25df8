//! TabbyAPI lists the folder of models; `/v1/model` is the one that is loaded.

use serde_json::Value;

use super::{
    Inquiry, Told,
    field::{flag, number},
};
use crate::llm::{
    carrier::Carrier,
    model::{Model, ModelState},
};

pub(super) async fn ask<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    models: &mut [Model],
) -> Option<Told> {
    let current = inquiry.get("/v1/model").await?;
    add(&current, models);
    Some(Told::default())
}

pub(super) fn add(current: &Value, models: &mut [Model]) {
    let Some(loaded) = current.get("id").and_then(Value::as_str) else {
        return;
    };
    for model in models {
        if model.id != loaded {
            model.state = ModelState::Unloaded;
            continue;
        }
        model.state = ModelState::Loaded;
        let Some(parameters) = current.get("parameters") else {
            continue;
        };
        if let Some(context) = number(parameters, "max_seq_len") {
            model.context_window.effective = Some(context);
            model.context_window.source = Some("/v1/model max_seq_len");
        }
        model.capabilities.vision = flag(parameters, "use_vision");
    }
}
