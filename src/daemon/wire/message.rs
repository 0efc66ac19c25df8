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
    system: Option<Content>,
    messages: Vec<MessageParam>,
) -> Result<(Option<String>, Vec<llm::Message>), Malformed> {
    let mut instructions = match system {
        Some(system) => instructions_of(system, || "system".to_owned())?,
        None => Vec::new(),
    };
    let mut read = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let place = |rest: &str| format!("messages[{index}]{rest}");
        let content = message.content.unwrap_or_default();
        match message.role {
            Role::System => {
                instructions.extend(instructions_of(content, || place(".content"))?);
            }
            Role::User => read.push(llm::Message {
                role: llm::Role::User,
                content: blocks(content),
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
                let thought = message.reasoning_content.filter(|text| !text.is_empty());
                let thought = thought.map(|thinking| llm::Block::Thinking {
                    thinking,
                    signature: None,
                });
                let mut content: Vec<_> = thought.into_iter().chain(blocks(content)).collect();
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
    content
        .into_blocks()
        .into_iter()
        .filter_map(block)
        .collect()
}

/// The texts of instructions.
fn instructions_of(content: Content, field: impl Fn() -> String) -> Result<Vec<String>, Malformed> {
    let text = |block| match block {
        protocol::Block::Text { text } => Ok(text),
        _ => Err(Malformed {
            field: field(),
            problem: "instructions can only be text".to_owned(),
        }),
    };
    let texts: Result<Vec<_>, _> = content.into_blocks().into_iter().map(text).collect();
    Ok(texts?.into_iter().filter(|text| !text.is_empty()).collect())
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

/// `None` for what only those who made it can read.
fn block(block: protocol::Block) -> Option<llm::Block> {
    Some(match block {
        protocol::Block::RedactedThinking { .. } => return None,
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
    })
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
mod round_trip;
#[cfg(test)]
mod tests;
