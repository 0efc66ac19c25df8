//! text-generation-webui's `/v1/internal/model/info`.

use serde_json::Value;

use super::{Inquiry, Told, field::text};
use crate::llm::{
    carrier::Carrier,
    model::{Model, ModelState},
};

pub(super) async fn ask<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    models: &mut [Model],
) -> Option<Told> {
    let info = inquiry.get("/v1/internal/model/info").await?;
    info.get("model_name")?;
    add(&info, models);
    Some(Told::default())
}

pub(super) fn add(info: &Value, models: &mut [Model]) {
    // `None`, in Python's spelling, while there is none.
    let loaded = text(info, "model_name").filter(|name| name != "None");
    for model in models {
        if loaded.as_ref() == Some(&model.id) {
            model.state = ModelState::Loaded;
        }
    }
}
