//! How many tokens a request has, without the model's tokenizer.
//!
//! An estimate for warnings only. English prose has about four bytes a token, program text and
//! German some three and a half, most other scripts between two and a half and three and a half.
//! Three and a half is a little too many tokens for prose, which is the better way to be wrong: a
//! needless warning costs less than a prompt that was cut.

use crate::llm::message::{Block, ChatRequest, Message};

/// What a template writes around each message.
const MESSAGE: u64 = 8;

/// What Ollama itself counts an image as.
const IMAGE: u64 = 768;

/// All of the request that the model reads.
pub(in crate::llm) fn tokens(request: &ChatRequest) -> u64 {
    of(request, &request.messages)
}

/// The request without its last messages.
pub(in crate::llm) fn tokens_without_last(request: &ChatRequest, count: usize) -> u64 {
    let kept = request.messages.len().saturating_sub(count);
    of(request, request.messages.get(..kept).unwrap_or_default())
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
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    bytes.saturating_mul(2).div_ceil(7)
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
