//! How many tokens a request has, without the model's tokenizer.
//!
//! An estimate for warnings only. English prose has about four bytes a token, program text and
//! German some three and a half, most other scripts between two and a half and three and a half.
//! Three and a half is a little too many tokens for prose, which is the better way to be wrong: a
//! needless warning costs less than a prompt that was cut.

use crate::llm::message::{Block, ChatRequest, Message, Tool};

/// What a template writes around each message.
const MESSAGE: u64 = 8;

/// What Ollama itself counts an image as.
const IMAGE: u64 = 768;

/// What an image may come to, at most.
const IMAGE_AT_MOST: u64 = 16 * 1024;

/// What a template writes around a message, at most.
const MESSAGE_AT_MOST: u64 = 64;

/// What a template writes by itself, at most: without tools, and to explain them.
const SETTING_AT_MOST: u64 = 256;
const TOOLS_AT_MOST: u64 = 1024;

/// All of the request that the model reads.
pub(in crate::llm) fn tokens(request: &ChatRequest) -> u64 {
    of(request, &request.messages)
}

/// The request without its last messages.
pub(in crate::llm) fn tokens_without_last(request: &ChatRequest, count: usize) -> u64 {
    let kept = request.messages.len().saturating_sub(count);
    of(request, request.messages.get(..kept).unwrap_or_default())
}

/// What the request cannot have more of: a token has at least a byte.
pub(in crate::llm) fn at_most(request: &ChatRequest) -> u64 {
    let tools = |tools: &[Tool]| -> u64 {
        let tool = |tool: &Tool| {
            let description = tool.description.as_deref().map_or(0, bytes);
            // Some templates spread a schema over lines.
            bytes(&tool.name) + description + 2 * bytes(&tool.input_schema.to_string())
        };
        let all: u64 = tools.iter().map(tool).sum();
        match tools {
            [] => 0,
            _ => all + TOOLS_AT_MOST,
        }
    };
    let said: u64 = request
        .messages
        .iter()
        .map(|message| MESSAGE_AT_MOST + blocks_at_most(&message.content))
        .sum();
    let system = request.system.as_deref().map_or(0, bytes);
    SETTING_AT_MOST + system + tools(&request.tools) + said
}

fn blocks_at_most(content: &[Block]) -> u64 {
    let block = |block: &Block| match block {
        Block::Text { text } => bytes(text),
        Block::Thinking { .. } => 0,
        Block::ToolUse { id, name, input } => {
            MESSAGE_AT_MOST + bytes(id) + bytes(name) + 2 * bytes(&input.to_string())
        }
        Block::ToolResult {
            tool_use_id,
            content,
            ..
        } => MESSAGE_AT_MOST + bytes(tool_use_id) + blocks_at_most(content),
        Block::Image { .. } => IMAGE_AT_MOST,
    };
    content.iter().map(block).sum()
}

pub(in crate::llm) fn has_images(request: &ChatRequest) -> bool {
    fn any(content: &[Block]) -> bool {
        content.iter().any(|block| match block {
            Block::Image { .. } => true,
            Block::ToolResult { content, .. } => any(content),
            Block::Text { .. } | Block::Thinking { .. } | Block::ToolUse { .. } => false,
        })
    }
    request.messages.iter().any(|message| any(&message.content))
}

fn of(request: &ChatRequest, messages: &[Message]) -> u64 {
    let system = request.system.as_deref().map_or(0, text);
    let tools: u64 = request
        .tools
        .iter()
        .map(|tool| {
            let description = tool.description.as_deref().map_or(0, text);
            text(&tool.name) + description + text(&tool.input_schema.to_string())
        })
        .sum();
    let said: u64 = messages
        .iter()
        .map(|message| MESSAGE + blocks(&message.content))
        .sum();
    system + tools + said
}

fn blocks(content: &[Block]) -> u64 {
    let block = |block: &Block| match block {
        Block::Text { text: said } => text(said),
        // Not sent.
        Block::Thinking { .. } => 0,
        Block::ToolUse { name, input, .. } => text(name) + text(&input.to_string()),
        Block::ToolResult { content, .. } => MESSAGE + blocks(content),
        Block::Image { .. } => IMAGE,
    };
    content.iter().map(block).sum()
}

/// Two sevenths of the bytes.
fn text(text: &str) -> u64 {
    bytes(text).saturating_mul(2).div_ceil(7)
}

fn bytes(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::message::{ImageSource, Role};

    fn user(content: Vec<Block>) -> Message {
        Message {
            role: Role::User,
            content,
        }
    }

    fn said(bytes: usize) -> Block {
        Block::Text {
            text: "x".repeat(bytes),
        }
    }

    #[test]
    fn text_counts_by_its_bytes_and_an_image_does_not() {
        let image = Block::Image {
            source: ImageSource::Base64 {
                media_type: "image/png".into(),
                data: "A".repeat(1_000_000),
            },
        };
        let request = ChatRequest {
            system: Some("x".repeat(700)),
            messages: vec![user(vec![said(3500)]), user(vec![image])],
            ..ChatRequest::default()
        };
        assert_eq!(tokens(&request), 200 + (8 + 1000) + (8 + 768));
        assert_eq!(tokens_without_last(&request, 1), 200 + 8 + 1000);
        assert_eq!(tokens_without_last(&request, 9), 200);
    }
}
