//! The body of a chat completion request.

use serde_json::{Map, Value, json};

use super::message::messages;
use crate::llm::{
    dialect::{Adjustments, Names, tool::function},
    message::{ChatRequest, ToolChoice},
};

/// Members of the body that `extra` cannot set: they are what was asked, or how we read.
const RESERVED: &[&str] = &[
    "model",
    "messages",
    "tools",
    "tool_choice",
    "stream",
    "stream_options",
    "n",
];

/// The body of a request.
pub(in crate::llm::dialect) fn body(
    request: &ChatRequest,
    names: &Names,
    adjustments: Adjustments,
) -> Map<String, Value> {
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("model", request.model.as_str().into());
    set(
        "messages",
        messages(request, names, adjustments.empty_content).into(),
    );
    if !request.tools.is_empty() {
        let tools: Vec<_> = request
            .tools
            .iter()
            .map(|tool| function(tool, names))
            .collect();
        set("tools", tools.into());
        if let Some(choice) = request
            .tool_choice
            .as_ref()
            .and_then(|choice| tool_choice(choice, names))
        {
            set("tool_choice", choice);
        }
    }
    let sampling = &request.sampling;
    if let Some(temperature) = sampling.temperature {
        set("temperature", temperature.into());
    }
    if let Some(top_p) = sampling.top_p {
        set("top_p", top_p.into());
    }
    if let Some(limit) = sampling.max_output_tokens {
        set("max_tokens", limit.into());
    }
    if !sampling.stop.is_empty() {
        set("stop", sampling.stop.clone().into());
    }
    if let Some(seed) = sampling.seed {
        set("seed", seed.into());
    }
    let streams = !adjustments.in_one_piece;
    if adjustments.return_progress && streams {
        set("return_progress", true.into());
    }
    for (key, value) in &request.extra {
        if !RESERVED.contains(&key.as_str()) {
            set(key, value.clone());
        }
    }
    set("stream", streams.into());
    if streams && !adjustments.no_stream_options {
        let mut options = match request.extra.get("stream_options") {
            Some(Value::Object(options)) => options.clone(),
            _ => Map::new(),
        };
        options.insert("include_usage".to_owned(), true.into());
        set("stream_options", options.into());
    }
    body
}

/// `auto` is left out: it is the default, and some servers refuse to hear it.
fn tool_choice(choice: &ToolChoice, names: &Names) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::Required => Some("required".into()),
        ToolChoice::None => Some("none".into()),
        ToolChoice::Named(name) => {
            Some(json!({"type": "function", "function": {"name": names.to_wire(name)}}))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::message::{Block, Message, Role, Sampling, Tool};

    fn request() -> ChatRequest {
        ChatRequest {
            model: "org/m:1".into(),
            messages: vec![Message {
                role: Role::User,
                content: vec![Block::Text { text: "hi".into() }],
            }],
            ..ChatRequest::default()
        }
    }

    fn built(request: &ChatRequest, adjustments: Adjustments) -> Value {
        let names = Names::new(request.tools.iter().map(|tool| tool.name.as_str()));
        body(request, &names, adjustments).into()
    }

    #[test]
    fn a_plain_request_says_only_what_was_asked() {
        assert_eq!(
            built(&request(), Adjustments::default()),
            json!({
                "model": "org/m:1",
                "messages": [{"role": "user", "content": "hi"}],
                "stream": true,
                "stream_options": {"include_usage": true},
            })
        );
    }

    #[test]
    fn an_answer_in_one_piece_is_asked_for_without_what_belongs_to_a_stream() {
        let adjustments = Adjustments {
            in_one_piece: true,
            return_progress: true,
            ..Adjustments::default()
        };
        assert_eq!(
            built(&request(), adjustments),
            json!({
                "model": "org/m:1",
                "messages": [{"role": "user", "content": "hi"}],
                "stream": false,
            })
        );
    }

    #[test]
    fn sampling_tools_and_extra_members_are_added() {
        let request = ChatRequest {
            tools: vec![Tool {
                name: "fs.read".into(),
                description: Some("Reads.".into()),
                input_schema: json!({"required": []}),
            }],
            tool_choice: Some(ToolChoice::Named("fs.read".into())),
            sampling: Sampling {
                temperature: Some(0.5),
                top_p: Some(0.9),
                max_output_tokens: Some(10),
                stop: vec!["END".into()],
                seed: Some(-1),
            },
            extra: json!({
                "top_k": 5, "temperature": 0, "stream": false, "messages": [], "model": "other", "n": 4,
                "stream_options": {"include_usage": false, "chunk": 1},
            })
            .as_object()
            .unwrap()
            .clone(),
            ..request()
        };
        assert_eq!(
            built(
                &request,
                Adjustments {
                    return_progress: true,
                    ..Adjustments::default()
                }
            ),
            json!({
                "model": "org/m:1",
                "messages": [{"role": "user", "content": "hi"}],
                "tools": [{"type": "function", "function": {
                    "name": "fs_read",
                    "description": "Reads.",
                    "parameters": {"required": [], "type": "object", "properties": {}},
                }}],
                "tool_choice": {"type": "function", "function": {"name": "fs_read"}},
                "temperature": 0,
                "top_p": 0.9,
                "max_tokens": 10,
                "stop": ["END"],
                "seed": -1,
                "return_progress": true,
                "top_k": 5,
                "stream": true,
                "stream_options": {"include_usage": true, "chunk": 1},
            })
        );
    }

    #[test]
    fn stream_options_are_left_out_for_a_server_that_refused_them() {
        let adjustments = Adjustments {
            no_stream_options: true,
            ..Adjustments::default()
        };
        assert_eq!(built(&request(), adjustments).get("stream_options"), None);
    }

    #[test]
    fn a_tool_choice_without_tools_is_not_sent() {
        let request = ChatRequest {
            tool_choice: Some(ToolChoice::Required),
            ..request()
        };
        assert_eq!(
            built(&request, Adjustments::default()).get("tool_choice"),
            None
        );
    }
}
