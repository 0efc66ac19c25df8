//! Text Generation Inference's `/info`.

use serde_json::Value;

use super::{
    Inquiry, Told,
    field::{number, text},
};
use crate::llm::{
    carrier::Carrier,
    model::{Model, ModelState},
};

pub(super) async fn ask<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    models: &mut [Model],
) -> Option<Told> {
    let info = inquiry.get("/info").await?;
    let router = text(&info, "router")?;
    if !router.starts_with("text-generation-router") {
        return None;
    }
    add(&info, models);
    let version = text(&info, "version");
    Some(Told { version })
}

pub(super) fn add(info: &Value, models: &mut [Model]) {
    // It serves one.
    let [model] = models else { return };
    model.state = ModelState::Loaded;
    let window = &mut model.context_window;
    if let Some(total) = number(info, "max_total_tokens") {
        window.effective = Some(total);
        window.source = Some("/info max_total_tokens");
    }
    model.max_input_tokens =
        number(info, "max_input_tokens").or_else(|| number(info, "max_input_length"));
}
