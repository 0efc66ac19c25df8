//! LocalAI's `/v1/models/capabilities`.

use serde_json::Value;

use super::{
    Inquiry, Told,
    field::{has, index, items, text},
};
use crate::llm::{carrier::Carrier, model::Model};

pub(super) async fn ask<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    models: &mut [Model],
) -> Option<Told> {
    let list = inquiry.get("/v1/models/capabilities").await?;
    if !is_list(&list) {
        return None;
    }
    add(&list, models);
    let version = inquiry.get("/version").await;
    let version = version.and_then(|answer| text(&answer, "version"));
    Some(Told { version })
}

fn is_list(list: &Value) -> bool {
    let is_entry = |entry: &Value| entry.get("capabilities").is_some_and(Value::is_array);
    list.get("data").is_some_and(Value::is_array) && items(list, "data").iter().all(is_entry)
}

pub(super) fn add(list: &Value, models: &mut [Model]) {
    let entries = index(items(list, "data"), "id");
    for model in models {
        let Some(entry) = entries.get(model.id.as_str()) else {
            continue;
        };
        let can = &mut model.capabilities;
        let sees = has(entry, "input_modalities", &["image"]);
        can.vision = sees.or_else(|| has(entry, "capabilities", &["vision"]));
        let chats = has(entry, "capabilities", &["chat", "completion"]);
        let embeds = has(entry, "capabilities", &["embeddings"]);
        can.embedding = embeds.map(|embeds| embeds && chats != Some(true));
    }
}
