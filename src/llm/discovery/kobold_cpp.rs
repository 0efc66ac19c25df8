//! KoboldCpp's own routes.

use serde_json::Value;

use super::{
    Inquiry, Told,
    field::{flag, number, text},
};
use crate::llm::{
    carrier::Carrier,
    model::{Model, ModelState},
};

pub(super) async fn ask<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    models: &mut [Model],
) -> Option<Told> {
    let answer = inquiry.get("/api/extra/version").await?;
    if text(&answer, "result")? != "KoboldCpp" {
        return None;
    }
    let context = inquiry.get("/api/extra/true_max_context_length").await;
    add(&answer, &context.unwrap_or_default(), models);
    let version = text(&answer, "version");
    Some(Told { version })
}

/// Adds what its version and its context say.
pub(super) fn add(version: &Value, context: &Value, models: &mut [Model]) {
    // It has one, or waits for somebody to load one.
    let [model] = models else { return };
    if model.id.ends_with("inactive") {
        return;
    }
    model.state = ModelState::Loaded;
    if let Some(context) = number(context, "value") {
        model.context_window.effective = Some(context);
        model.context_window.source = Some("/api/extra/true_max_context_length");
    }
    let can = &mut model.capabilities;
    can.vision = flag(version, "vision").or(can.vision);
}
