//! Which program made a model list, by the list itself and the head it came under.
//!
//! Servers imitate each other, and never in everything: the most specific fact decides. What the
//! list leaves open is asked, the likeliest first.

use hyper::header::{HeaderMap, SERVER};
use serde_json::Value;

use super::list::entries;
use crate::llm::model::ServerKind;

/// What a list tells of its server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Is(ServerKind),
    /// It may be one of these, the likeliest first.
    MayBe(Vec<ServerKind>),
}

/// Asked for where nothing points anywhere.
const USUAL: &[ServerKind] = &[ServerKind::Ollama, ServerKind::Tgi, ServerKind::LiteLlm];

/// Asked for where there is no model to point anywhere.
const WITHOUT_MODELS: &[ServerKind] = &[
    ServerKind::Ollama,
    ServerKind::TextGenerationWebui,
    ServerKind::LocalAi,
];

/// LiteLLM writes this time for every model.
const LITELLM_CREATED: u64 = 1_677_610_602;

/// Sorts a list by what it says. `port` is the one it was asked on.
pub(super) fn verdict(list: &Value, headers: &HeaderMap, port: Option<u16>) -> Verdict {
    if let Some(kind) = by_header(headers)
        .or_else(|| by_owner(list))
        .or_else(|| by_field(list, headers))
    {
        return Verdict::Is(kind);
    }
    let mut suspects = Vec::new();
    let mut suspect = |kind| {
        if !suspects.contains(&kind) {
            suspects.push(kind);
        }
    };
    by_hint(list, headers).into_iter().for_each(&mut suspect);
    by_port(port).into_iter().for_each(&mut suspect);
    let rest = if entries(list).is_empty() {
        WITHOUT_MODELS
    } else {
        USUAL
    };
    rest.iter().copied().for_each(&mut suspect);
    Verdict::MayBe(suspects)
}

/// Who puts its name on every answer.
fn by_header(headers: &HeaderMap) -> Option<ServerKind> {
    if headers
        .keys()
        .any(|name| name.as_str().starts_with("x-litellm-"))
    {
        return Some(ServerKind::LiteLlm);
    }
    server(headers)
        .starts_with("ConcedoLlamaForKobold")
        .then_some(ServerKind::KoboldCpp)
}

/// Who calls itself the owner of every model. Where they differ, somebody has collected them.
fn by_owner(list: &Value) -> Option<ServerKind> {
    match owner(list)? {
        "llamacpp" => Some(ServerKind::LlamaCpp),
        "vllm" => Some(ServerKind::Vllm),
        "sglang" => Some(ServerKind::Sglang),
        "tabbyAPI" => Some(ServerKind::TabbyApi),
        "koboldcpp" => Some(ServerKind::KoboldCpp),
        "tensorrt_llm" => Some(ServerKind::TensorRtLlm),
        // Anybody may be called that.
        "me" if all(list, "permissions") => Some(ServerKind::LlamaCppPython),
        _ => None,
    }
}

/// Who has fields, or lacks some, like nobody else.
fn by_field(list: &Value, headers: &HeaderMap) -> Option<ServerKind> {
    let entries = entries(list);
    let any = |key: &str| entries.iter().any(|entry| entry.get(key).is_some());
    if any("canonical_slug") {
        return Some(ServerKind::OpenRouter);
    }
    let has_metadata = |entry: &Value| entry.get("metadata").is_some_and(Value::is_object);
    if owner(list) == Some("organization-owner") && entries.iter().all(has_metadata) {
        return Some(ServerKind::RayServe);
    }
    if owner(list) == Some("organization_owner") && is_express(headers) {
        return Some(ServerKind::LmStudio);
    }
    if server(headers).starts_with("BaseHTTP/") && !any("owned_by") {
        return Some(ServerKind::Mlx);
    }
    // A router without a model, for one.
    let is_empty = entries.is_empty();
    (is_empty && server(headers) == "llama.cpp").then_some(ServerKind::LlamaCpp)
}

/// What is only a hint.
fn by_hint(list: &Value, headers: &HeaderMap) -> Vec<ServerKind> {
    let entries = entries(list);
    let mut hints = Vec::new();
    let all = |is: &dyn Fn(&Value) -> bool| !entries.is_empty() && entries.iter().all(is);
    let id = |entry: &Value| entry.get("id").and_then(Value::as_str).map(str::to_owned);
    if is_express(headers) || owner(list) == Some("organization_owner") {
        hints.push(ServerKind::LmStudio);
    }
    if all(&|entry| entry.get("created").and_then(Value::as_u64) == Some(LITELLM_CREATED)) {
        hints.push(ServerKind::LiteLlm);
    }
    if all(&|entry| id(entry).is_some() && owner_of(entry) == id(entry).as_deref()) {
        hints.push(ServerKind::Tgi);
    }
    if owner(list) == Some("user") {
        hints.push(ServerKind::TextGenerationWebui);
    }
    if all(&|entry| id(entry).is_some_and(|id| id.contains(':')))
        || list.get("data").is_some_and(Value::is_null)
    {
        hints.push(ServerKind::Ollama);
    }
    if all(&|entry| entry.get("owned_by").is_none() && entry.get("created").is_none()) {
        hints.push(ServerKind::LocalAi);
    }
    hints
}

/// Where servers listen unless they are told otherwise.
fn by_port(port: Option<u16>) -> Option<ServerKind> {
    match port? {
        1234 => Some(ServerKind::LmStudio),
        3000 => Some(ServerKind::Tgi),
        4000 => Some(ServerKind::LiteLlm),
        5000 => Some(ServerKind::TextGenerationWebui),
        5001 => Some(ServerKind::KoboldCpp),
        11434 => Some(ServerKind::Ollama),
        _ => None,
    }
}

/// Whether every model has this field.
fn all(list: &Value, key: &str) -> bool {
    entries(list).iter().all(|entry| entry.get(key).is_some())
}

/// The owner that all models have.
fn owner(list: &Value) -> Option<&str> {
    let mut owners = entries(list).iter().map(owner_of);
    let first = owners.next()??;
    owners.all(|owner| owner == Some(first)).then_some(first)
}

fn owner_of(entry: &Value) -> Option<&str> {
    entry.get("owned_by")?.as_str()
}

fn server(headers: &HeaderMap) -> &str {
    let server = headers.get(SERVER).and_then(|value| value.to_str().ok());
    server.unwrap_or_default()
}

fn is_express(headers: &HeaderMap) -> bool {
    headers
        .get("x-powered-by")
        .is_some_and(|value| value == "Express")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields.iter();
        let fields = fields.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        fields.collect()
    }

    fn owned_by(owners: &[&str]) -> Value {
        let entry = |owner: &&str| json!({"id": "m", "owned_by": owner, "created": 1});
        json!({"data": owners.iter().map(entry).collect::<Vec<_>>()})
    }

    fn first(list: &Value, headers: &HeaderMap, port: Option<u16>) -> ServerKind {
        match verdict(list, headers, port) {
            Verdict::MayBe(suspects) => suspects[0],
            Verdict::Is(kind) => panic!("{kind:?}"),
        }
    }

    #[test]
    fn a_collection_of_servers_is_none_of_them() {
        let list = owned_by(&["vllm", "llamacpp"]);
        assert!(matches!(
            verdict(&list, &head(&[]), None),
            Verdict::MayBe(_)
        ));
        let list = owned_by(&["vllm", "vllm"]);
        assert_eq!(
            verdict(&list, &head(&[]), None),
            Verdict::Is(ServerKind::Vllm)
        );
    }

    #[test]
    fn a_gateway_that_names_itself_is_not_the_server_behind_it() {
        let headers = head(&[("x-litellm-version", "1.106.2")]);
        let list = owned_by(&["vllm"]);
        assert_eq!(
            verdict(&list, &headers, None),
            Verdict::Is(ServerKind::LiteLlm)
        );
    }

    #[test]
    fn what_the_list_hints_at_is_asked_before_what_the_port_does() {
        let ids = json!({"data": [{"id": "qwen3:4b", "owned_by": "library"}]});
        let express = head(&[("X-Powered-By", "Express")]);
        for (list, headers, port, asked_first) in [
            (&ids, head(&[]), Some(1234), ServerKind::Ollama),
            (
                &json!({"data": []}),
                head(&[]),
                Some(1234),
                ServerKind::LmStudio,
            ),
            (
                &json!({"data": []}),
                express,
                Some(5001),
                ServerKind::LmStudio,
            ),
            (
                &json!({"data": null}),
                head(&[]),
                Some(80),
                ServerKind::Ollama,
            ),
            (
                &owned_by(&["user"]),
                head(&[]),
                None,
                ServerKind::TextGenerationWebui,
            ),
            (&owned_by(&["m"]), head(&[]), None, ServerKind::Tgi),
            (
                &json!({"data": [{"id": "m"}]}),
                head(&[]),
                None,
                ServerKind::LocalAi,
            ),
            (&owned_by(&["acme"]), head(&[]), None, ServerKind::Ollama),
        ] {
            assert_eq!(first(list, &headers, port), asked_first, "{list}");
        }
    }
}
