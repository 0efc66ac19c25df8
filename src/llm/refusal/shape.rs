//! The shapes of error bodies.

use serde_json::{Map, Value};

use crate::llm::json;

/// What an error body says, whatever its shape.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) message: String,
    /// The error's `type`.
    pub(super) class: Option<String>,
    pub(super) code: Option<String>,
    pub(super) param: Option<String>,
    /// llama.cpp's numbers of an overflow.
    pub(super) prompt_tokens: Option<u64>,
    pub(super) context: Option<u64>,
    /// The words around a message that was JSON within a text.
    around: String,
}

/// Errors told on by gateways are wrapped at most so often.
const WRAPPINGS: usize = 4;

impl Said {
    /// Everything a phrase may stand in, in lower case.
    pub(crate) fn haystack(&self) -> String {
        let parts = [
            Some(self.message.as_str()),
            self.class.as_deref(),
            self.code.as_deref(),
            Some(self.around.as_str()),
        ];
        let joined: Vec<_> = parts.into_iter().flatten().collect();
        joined.join("\n").to_lowercase()
    }

    /// The code where it is an HTTP status: LiteLLM writes it as a string.
    pub(super) fn code_number(&self) -> Option<u16> {
        let number = self.code.as_deref()?.parse().ok()?;
        (400..600).contains(&number).then_some(number)
    }
}

/// The error within a chunk or a body that came with 200, if there is one.
pub(crate) fn error_in(event: Option<&str>, json: &Value) -> Option<Said> {
    let is_error = match json.get("error") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) if text.is_empty() => false,
        Some(_) => true,
    };
    let flat = json.get("object").and_then(Value::as_str) == Some("error")
        || json.get("type").and_then(Value::as_str) == Some("error");
    if is_error || flat || event == Some("error") {
        return Some(from_json(json));
    }
    // OpenRouter tells of its providers' errors so.
    let mut choices = json.get("choices")?.as_array()?.iter();
    let choice = choices.find(|choice| choice.get("error").is_some_and(Value::is_object))?;
    Some(from_json(choice))
}

/// Reads a JSON error body.
pub(crate) fn from_json(json: &Value) -> Said {
    unwrap(read(json), WRAPPINGS)
}

fn read(json: &Value) -> Said {
    match json {
        Value::String(text) => text_only(text),
        Value::Array(items) => items.first().map(read).unwrap_or_default(),
        Value::Object(object) => from_object(object),
        Value::Null | Value::Bool(_) | Value::Number(_) => Said::default(),
    }
}

/// Who passes an error on, writes its JSON into a text of its own: what it says counts, and the
/// words around it are kept to be searched.
fn unwrap(said: Said, times: usize) -> Said {
    let text = &said.message;
    let inner = || {
        let object = text.get(text.find('{')?..=text.rfind('}')?)?;
        let inner = from_object(json::parse(object).ok()?.as_object()?);
        let around = text.replacen(object, " ", 1);
        (!inner.message.is_empty()).then_some((inner, around))
    };
    let Some((inner, around)) = inner().filter(|_| times > 0) else {
        return said;
    };
    let inner = Said {
        class: inner.class.or(said.class),
        code: inner.code.or(said.code),
        param: inner.param.or(said.param),
        prompt_tokens: inner.prompt_tokens.or(said.prompt_tokens),
        context: inner.context.or(said.context),
        around: format!("{} {around}", said.around),
        message: inner.message,
    };
    unwrap(inner, times - 1)
}

fn from_object(object: &Map<String, Value>) -> Said {
    match object.get("error") {
        Some(Value::Object(inner)) => {
            let mut said = from_object(inner);
            if said.message.is_empty() {
                said.message = string(object, "message").unwrap_or_default();
            }
            return said;
        }
        Some(Value::String(text)) if !text.is_empty() => {
            let mut said = text_only(text);
            said.class = string(object, "error_type").or_else(|| string(object, "type"));
            said.code = code(object);
            return said;
        }
        _ => {}
    }
    if let Some(errors) = object.get("errors").filter(|errors| errors.is_array()) {
        return read(errors);
    }
    let message = string(object, "message")
        .or_else(|| string(object, "msg"))
        .or_else(|| object.get("detail").map(detail));
    Said {
        message: message.unwrap_or_default(),
        class: string(object, "type"),
        code: code(object),
        param: string(object, "param"),
        prompt_tokens: object.get("n_prompt_tokens").and_then(Value::as_u64),
        context: object.get("n_ctx").and_then(Value::as_u64),
        around: String::new(),
    }
}

/// FastAPI's `detail`: a text, an object, or a list of what is wrong where.
fn detail(detail: &Value) -> String {
    let Value::Array(items) = detail else {
        return read(detail).message;
    };
    let one = |item: &Value| {
        let place: Vec<_> = item
            .get("loc")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|part| {
                part.as_str()
                    .map_or_else(|| part.to_string(), str::to_owned)
            })
            .collect();
        let text = read(item).message;
        if place.is_empty() {
            text
        } else {
            format!("{}: {text}", place.join("."))
        }
    };
    let all: Vec<_> = items.iter().take(8).map(one).collect();
    all.join("; ")
}

/// Reads a body that is not JSON. Of an HTML page the title is kept.
pub(crate) fn from_text(text: &str) -> Said {
    let text = text.trim();
    if !text.starts_with('<') {
        return unwrap(text_only(text), WRAPPINGS);
    }
    let title = text
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"))
        .map_or("", |(title, _)| title.trim());
    Said {
        // It may be the page's text that says what is wrong.
        around: text.to_owned(),
        ..text_only(&format!("an HTML page {title:?}"))
    }
}

fn text_only(text: &str) -> Said {
    Said {
        message: text.to_owned(),
        ..Said::default()
    }
}

fn string(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key)?.as_str().map(str::to_owned)
}

fn code(object: &Map<String, Value>) -> Option<String> {
    match object.get("code")? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
