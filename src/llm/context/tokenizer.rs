//! Counting by the server's own tokenizer and chat template.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Window;
use crate::llm::{carrier::Carrier, discovery::Inquiry, json, model::ServerKind};

/// The longest that a prompt is held up to be counted.
pub(in crate::llm) const PATIENCE: Duration = Duration::from_secs(2);

/// Members of a chat request that have a part in what the model reads.
const READ: &[&str] = &[
    "model",
    "messages",
    "tools",
    "tool_choice",
    "chat_template_kwargs",
    "reasoning_effort",
    "add_generation_prompt",
    "continue_final_message",
];

/// Which routes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// llama.cpp: `/apply-template`, then `/tokenize`.
    TemplateFirst,
    /// vLLM: `/tokenize` takes messages.
    AtOnce,
}

/// A conversation to be counted.
#[derive(Debug)]
pub(in crate::llm) struct Question {
    way: Way,
    body: Map<String, Value>,
    /// What comes before the messages, as JSON.
    pub(super) setting: String,
    /// Each as JSON.
    pub(super) messages: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) tokens: u64,
    /// Where the server says it on the way.
    pub(super) window: Option<Window>,
}

impl Question {
    /// From the body of a chat request to a server of this kind; `None` if it cannot count.
    pub(in crate::llm) fn new(kind: ServerKind, mut body: Map<String, Value>) -> Option<Self> {
        let way = match kind {
            ServerKind::LlamaCpp => Way::TemplateFirst,
            ServerKind::Vllm => Way::AtOnce,
            _ => return None,
        };
        body.retain(|key, _| READ.contains(&key.as_str()));
        let messages = body.get("messages").and_then(Value::as_array);
        let messages = messages.into_iter().flatten().map(Value::to_string);
        let messages = messages.collect();
        let setting: Vec<_> = body
            .iter()
            .filter(|(key, _)| *key != "messages")
            .map(|(key, value)| format!("{key}:{value}"))
            .collect();
        Some(Self {
            way,
            setting: setting.join(","),
            messages,
            body,
        })
    }

    #[cfg(test)]
    pub(super) fn of_parts(setting: &str, messages: &[&str]) -> Self {
        Self {
            way: Way::AtOnce,
            body: Map::new(),
            setting: setting.to_owned(),
            messages: messages.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Counts; `None` if the server does not, or not in time.
pub(super) async fn count<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    question: &Question,
) -> Option<Counted> {
    let body = Value::from(question.body.clone());
    match question.way {
        Way::AtOnce => {
            let answer = ask(inquiry, "/tokenize", Some(&body)).await?;
            Some(Counted {
                tokens: answer.get("count")?.as_u64()?,
                window: context(answer.get("max_model_len"), "max_model_len"),
            })
        }
        Way::TemplateFirst => {
            let answer = ask(inquiry, "/apply-template", Some(&body)).await?;
            let prompt = answer.get("prompt")?.as_str()?;
            let body = json!({
                "model": question.body.get("model"),
                "content": prompt,
                "add_special": true,
                "parse_special": true,
            });
            let answer = ask(inquiry, "/tokenize", Some(&body)).await?;
            let tokens = answer.get("tokens")?.as_array()?.len();
            Some(Counted {
                tokens: u64::try_from(tokens).ok()?,
                window: None,
            })
        }
    }
}

/// The context as it is now, where it has to be asked for apart: before a prompt is held back, it
/// is worth a look whether the server was started anew with more.
pub(super) async fn window<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    question: &Question,
) -> Option<Window> {
    match question.way {
        Way::AtOnce => None,
        Way::TemplateFirst => {
            let props = ask(inquiry, "/props", None).await?;
            let settings = props.get("default_generation_settings")?;
            context(settings.get("n_ctx"), "/props n_ctx")
        }
    }
}

fn context(tokens: Option<&Value>, source: &'static str) -> Option<Window> {
    let tokens = tokens?.as_u64().filter(|tokens| *tokens > 0)?;
    Some(Window { tokens, source })
}

async fn ask<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    route: &str,
    body: Option<&Value>,
) -> Option<Value> {
    let body = body.map(|body| Bytes::from(body.to_string()));
    match inquiry.fetch_route(route, body, PATIENCE).await {
        Ok(fetched) if fetched.status == 200 => json::parse(&fetched.body).ok(),
        Ok(fetched) => {
            if matches!(fetched.status, 404 | 405 | 501) {
                inquiry.server().ledger().has_no_tokenizer();
            }
            None
        }
        Err(error) => {
            tracing::debug!(route, %error, "the prompt is not counted by the server");
            None
        }
    }
}
