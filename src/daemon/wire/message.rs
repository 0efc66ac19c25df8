//! Messages: OpenAI's and Anthropic's forms in, content blocks inside, content blocks out.

use serde_json::Value;

use crate::{
    llm,
    protocol::{self, Content, MessageParam, Role, ToolCallParam},
};

/// A message that can't be understood: where, and why.
#[derive(Debug)]
pub(in crate::daemon) struct Malformed {
    /// The place in the params, as the host wrote them.
    pub(in crate::daemon) field: String,
    /// What is wrong there.
    pub(in crate::daemon) problem: String,
}

/// Reads a prompt's messages. Instructions among them join `system`, in order and apart
/// by a blank line, because several chat templates allow them nowhere else.
pub(in crate::daemon) fn read(
    system: Option<String>,
    messages: Vec<MessageParam>,
) -> Result<(Option<String>, Vec<llm::Message>), Malformed> {
    let mut instructions: Vec<String> =
        system.into_iter().filter(|text| !text.is_empty()).collect();
    let mut read = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let place = |rest: &str| format!("messages[{index}]{rest}");
        let content = message.content.unwrap_or_default();
        match message.role {
            Role::System => instructions.push(plain_text(content).ok_or_else(|| Malformed {
                field: place(".content"),
                problem: "instructions can only be text".to_owned(),
            })?),
            Role::User => read.push(llm::Message {
                role: llm::Role::User,
                content: content.into_blocks().into_iter().map(block).collect(),
            }),
            Role::Tool => read.push(llm::Message {
                role: llm::Role::User,
                content: vec![llm::Block::ToolResult {
                    tool_use_id: message.tool_call_id.ok_or_else(|| Malformed {
                        field: place(".tool_call_id"),
                        problem: "a tool's message must name the call it answers".to_owned(),
                    })?,
                    content: blocks(content),
                    is_error: false,
                }],
            }),
            Role::Assistant => {
                let mut content = blocks(content);
                for (call, param) in message.tool_calls.into_iter().enumerate() {
                    content.push(tool_use(param).map_err(|problem| Malformed {
                        field: place(&format!(".tool_calls[{call}].function.arguments")),
                        problem,
                    })?);
                }
                read.push(llm::Message {
                    role: llm::Role::Assistant,
                    content,
                });
            }
        }
    }
    let system = (!instructions.is_empty()).then(|| instructions.join("\n\n"));
    Ok((system, read))
}

/// A message for the host.
pub(in crate::daemon) fn write(message: &llm::Message) -> protocol::Message {
    protocol::Message {
        role: match message.role {
            llm::Role::System => Role::System,
            llm::Role::User => Role::User,
            llm::Role::Assistant => Role::Assistant,
        },
        content: message.content.iter().cloned().map(wire_block).collect(),
    }
}

/// The bytes of text in messages, roughly what they take on the wire.
pub(in crate::daemon) fn text_bytes(messages: &[llm::Message]) -> usize {
    fn bytes(blocks: &[llm::Block]) -> usize {
        blocks
            .iter()
            .map(|block| match block {
                llm::Block::Text { text } => text.len(),
                llm::Block::Thinking { thinking, .. } => thinking.len(),
                // Checked to be bounded where it arrived.
                llm::Block::ToolUse { .. } => 64,
                llm::Block::ToolResult { content, .. } => bytes(content),
                llm::Block::Image { source } => match source {
                    llm::ImageSource::Base64 { data, .. } => data.len(),
                    llm::ImageSource::Url { url } => url.len(),
                },
            })
            .sum()
    }
    messages.iter().map(|message| bytes(&message.content)).sum()
}

/// The blocks of a tool's result, as the host sent them.
pub(in crate::daemon) fn blocks(content: Content) -> Vec<llm::Block> {
    content.into_blocks().into_iter().map(block).collect()
}

fn plain_text(content: Content) -> Option<String> {
    let mut text = String::new();
    for block in content.into_blocks() {
        let protocol::Block::Text { text: more } = block else {
            return None;
        };
        text.push_str(&more);
    }
    Some(text)
}

fn tool_use(call: ToolCallParam) -> Result<llm::Block, String> {
    let arguments = call.function.arguments.trim();
    let input = if arguments.is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        serde_json::from_str(arguments).map_err(|error| format!("not JSON: {error}"))?
    };
    Ok(llm::Block::ToolUse {
        id: call.id,
        name: call.function.name,
        input,
    })
}

fn block(block: protocol::Block) -> llm::Block {
    match block {
        protocol::Block::Text { text } => llm::Block::Text { text },
        protocol::Block::Thinking {
            thinking,
            signature,
        } => llm::Block::Thinking {
            thinking,
            signature,
        },
        protocol::Block::ToolUse { id, name, input } => llm::Block::ToolUse { id, name, input },
        protocol::Block::ToolResult {
            tool_use_id,
            content,
            is_error,
        } => llm::Block::ToolResult {
            tool_use_id,
            content: blocks(content),
            is_error,
        },
        protocol::Block::Image { source } => llm::Block::Image {
            source: match source {
                protocol::ImageSource::Base64 { media_type, data } => {
                    llm::ImageSource::Base64 { media_type, data }
                }
                protocol::ImageSource::Url { url } => llm::ImageSource::Url { url },
            },
        },
        protocol::Block::ImageUrl { image_url } => llm::Block::Image {
            source: image_source(image_url.url),
        },
    }
}

/// RFC 2397: `data:image/png;base64,…` holds the picture itself.
fn image_source(url: String) -> llm::ImageSource {
    let inline = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(','))
        .and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data)));
    match inline {
        Some((media_type, data)) => llm::ImageSource::Base64 {
            media_type: media_type.to_owned(),
            data: data.to_owned(),
        },
        None => llm::ImageSource::Url { url },
    }
}

fn wire_block(block: llm::Block) -> protocol::Block {
    match block {
        llm::Block::Text { text } => protocol::Block::Text { text },
        llm::Block::Thinking {
            thinking,
            signature,
        } => protocol::Block::Thinking {
            thinking,
            signature,
        },
        llm::Block::ToolUse { id, name, input } => protocol::Block::ToolUse { id, name, input },
        llm::Block::ToolResult {
            tool_use_id,
            content,
            is_error,
        } => protocol::Block::ToolResult {
            tool_use_id,
            content: Content::Blocks(content.into_iter().map(wire_block).collect()),
            is_error,
        },
        llm::Block::Image { source } => protocol::Block::Image {
            source: match source {
                llm::ImageSource::Base64 { media_type, data } => {
                    protocol::ImageSource::Base64 { media_type, data }
                }
                llm::ImageSource::Url { url } => protocol::ImageSource::Url { url },
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(json: serde_json::Value) -> Vec<MessageParam> {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn openai_and_anthropic_forms_read_the_same() {
        let openai = messages(serde_json::json!([
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "What is in a?" },
            { "role": "assistant", "content": null, "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "Read", "arguments": "{\"path\":\"a\"}" } }
            ] },
            { "role": "tool", "tool_call_id": "c1", "content": "hello" },
        ]));
        let anthropic = messages(serde_json::json!([
            { "role": "user", "content": [{ "type": "text", "text": "What is in a?" }] },
            { "role": "assistant", "content": [
                { "type": "tool_use", "id": "c1", "name": "Read", "input": { "path": "a" } }
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "c1", "content": "hello" }
            ] },
        ]));
        let (system, openai) = read(None, openai).unwrap();
        let (same, anthropic) = read(Some("Be brief.".to_owned()), anthropic).unwrap();
        assert_eq!(system, same);
        assert_eq!(openai, anthropic);
    }

    #[test]
    fn arguments_that_are_not_json_are_named() {
        let malformed = read(
            None,
            messages(serde_json::json!([
                { "role": "user", "content": "x" },
                { "role": "assistant", "tool_calls": [
                    { "id": "c1", "function": { "name": "Read", "arguments": "{" } }
                ] },
            ])),
        )
        .unwrap_err();
        assert_eq!(
            malformed.field,
            "messages[1].tool_calls[0].function.arguments"
        );
    }

    #[test]
    fn a_data_url_is_a_picture() {
        assert_eq!(
            image_source("data:image/png;base64,AAAA".to_owned()),
            llm::ImageSource::Base64 {
                media_type: "image/png".to_owned(),
                data: "AAAA".to_owned()
            }
        );
        assert_eq!(
            image_source("http://x/y.png".to_owned()),
            llm::ImageSource::Url {
                url: "http://x/y.png".to_owned()
            }
        );
    }
}
