//! The body of a request to `/api/chat`.

use serde_json::{Map, Value, json};

use super::message::messages;
use crate::llm::{
    dialect::{Adjustments, Names, tool::function},
    message::{ChatRequest, ToolChoice},
    ollama::{KeepAlive, Think},
};

/// What a request asks of Ollama beyond an answer. `None` leaves it to the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::llm) struct Terms {
    pub(in crate::llm) num_ctx: Option<u64>,
    pub(in crate::llm) think: Option<Think>,
    pub(in crate::llm) keep_alive: Option<KeepAlive>,
    /// Asks for an end, not for forgetting, when the context is full in the middle of an answer.
    pub(in crate::llm) no_shift: bool,
}

/// Members of the body that `extra` cannot set: they are what was asked, or how we read.
const RESERVED: &[&str] = &["model", "messages", "tools", "stream", "options"];

/// The body of a request.
pub(in crate::llm::dialect) fn body(
    request: &ChatRequest,
    names: &Names,
    adjustments: Adjustments,
    terms: &Terms,
) -> Map<String, Value> {
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("model", request.model.as_str().into());
    set("messages", messages(request, names).into());
    // There is no `tool_choice`: what the model is not to call, it must not know.
    if !request.tools.is_empty() && request.tool_choice != Some(ToolChoice::None) {
        let tools = request.tools.iter().map(|tool| function(tool, names));
        set("tools", tools.collect());
    }
    if let Some(think) = terms.think {
        set("think", think.to_json());
    }
    if let Some(keep_alive) = &terms.keep_alive {
        set("keep_alive", keep_alive.to_json());
    }
    if !adjustments.no_truncate {
        set("truncate", false.into());
        if terms.no_shift {
            set("shift", false.into());
        }
    }
    for (key, value) in &request.extra {
        if !RESERVED.contains(&key.as_str()) {
            set(key, value.clone());
        }
    }
    set("stream", true.into());
    let options = options(request, terms);
    if !options.is_empty() {
        set("options", options.into());
    }
    body
}

fn options(request: &ChatRequest, terms: &Terms) -> Map<String, Value> {
    let sampling = &request.sampling;
    let stop = Some(&sampling.stop).filter(|stop| !stop.is_empty());
    let given = [
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("num_predict", sampling.max_output_tokens.map(Value::from)),
        ("stop", stop.map(|stop| json!(stop))),
        ("seed", sampling.seed.map(Value::from)),
        ("num_ctx", terms.num_ctx.map(Value::from)),
    ];
    let mut options: Map<_, _> = given
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect();
    if let Some(Value::Object(extra)) = request.extra.get("options") {
        options.extend(extra.clone());
    }
    options
}

#[cfg(test)]
mod tests;
