//! A tool's output on its way to the model: capped, and only of what a tool may return.

use crate::llm::{Block, ImageSource};

use super::text::{ceil, floor, one_line};

/// The longest preview of a result, in characters.
const PREVIEW_CHARS: usize = 200;
/// The largest image passed on, in bytes of base64.
const IMAGE_BYTES: usize = 5 * 1024 * 1024;

/// Keeps at most `limit` bytes of text: the first 60 % and the last 40 %, since what a tool says
/// last (the error, the summary) counts as much as how it begins. A marker in the gap says how much
/// is missing; it comes on top of the limit.
pub(super) fn cap(content: Vec<Block>, limit: usize) -> Vec<Block> {
    let content: Vec<Block> = content.into_iter().map(permitted).collect();
    let texts = || {
        content.iter().filter_map(|block| match block {
            Block::Text { text } => Some(text.as_str()),
            _ => None,
        })
    };
    if texts().map(str::len).sum::<usize>() <= limit {
        return content;
    }
    let text = cut(&texts().collect::<Vec<_>>().join("\n"), limit);
    let others = content
        .into_iter()
        .filter(|block| !matches!(block, Block::Text { .. }));
    std::iter::once(Block::Text { text })
        .chain(others)
        .collect()
}

/// One line about a result.
pub(super) fn preview(content: &[Block]) -> String {
    let text = content.iter().find_map(|block| match block {
        Block::Text { text } => Some(one_line(text, PREVIEW_CHARS)),
        _ => None,
    });
    match text {
        Some(text) if !text.is_empty() => text,
        _ if content
            .iter()
            .any(|block| matches!(block, Block::Image { .. })) =>
        {
            "(image)".to_owned()
        }
        _ => "(no output)".to_owned(),
    }
}

fn cut(text: &str, limit: usize) -> String {
    let head_len = limit / 5 * 3;
    let head_end = floor(text, head_len);
    let tail_start = ceil(
        text,
        text.len() - limit.saturating_sub(head_len).min(text.len()),
    )
    .max(head_end);
    let (head, rest) = text.split_at(head_end);
    let tail = rest.get(tail_start - head_end..).unwrap_or_default();
    let missing = text.len() - head.len() - tail.len();
    format!(
        "{head}\n[… {missing} of {total} bytes left out here …]\n{tail}",
        total = text.len()
    )
}

/// A tool returns text and images; anything else, or too much of it, becomes a remark.
fn permitted(block: Block) -> Block {
    let left_out = match &block {
        Block::Text { .. } => return block,
        Block::Image {
            source: ImageSource::Base64 { media_type, data },
        } if data.len() > IMAGE_BYTES => {
            format!(
                "{} of {} bytes",
                one_line(media_type, 40),
                data.len() / 4 * 3
            )
        }
        Block::Image { .. } => return block,
        Block::Thinking { .. } => "thinking".to_owned(),
        Block::ToolUse { .. } => "tool_use".to_owned(),
        Block::ToolResult { .. } => "tool_result".to_owned(),
    };
    Block::Text {
        text: format!("(left out of the tool's output: {left_out})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: impl Into<String>) -> Block {
        Block::Text { text: text.into() }
    }

    fn image(data: &str) -> Block {
        Block::Image {
            source: ImageSource::Base64 {
                media_type: "image/png".to_owned(),
                data: data.to_owned(),
            },
        }
    }

    #[test]
    fn output_within_the_limit_is_untouched() {
        let content = vec![text("12345"), image("AA=="), text("67890")];
        assert_eq!(cap(content.clone(), 10), content);
    }

    #[test]
    fn more_is_cut_in_the_middle_and_says_how_much() {
        assert_eq!(
            cap(vec![text("0123456789abcdefghij")], 10),
            [text("012345\n[… 10 of 20 bytes left out here …]\nghij")]
        );
    }

    #[test]
    fn several_texts_are_one_output() {
        assert_eq!(
            cap(
                vec![text("0123456789"), image("AA=="), text("abcdefghij")],
                10
            ),
            [
                text("012345\n[… 11 of 21 bytes left out here …]\nghij"),
                image("AA==")
            ]
        );
    }

    #[test]
    fn no_character_is_cut_apart() {
        assert_eq!(
            cap(vec![text("ä".repeat(10))], 10),
            [text("äää\n[… 10 of 20 bytes left out here …]\nää")]
        );
        for limit in 0..8 {
            assert!(cap(vec![text("🦀🦀🦀")], limit).len() == 1);
        }
    }

    #[test]
    fn what_a_tool_may_not_return_becomes_a_remark() {
        let huge = "A".repeat(IMAGE_BYTES + 4);
        let call = Block::ToolUse {
            id: "1".into(),
            name: "x".into(),
            input: serde_json::json!({}),
        };
        assert_eq!(
            cap(vec![image(&huge), call], 1000),
            [
                text("(left out of the tool's output: image/png of 3932163 bytes)"),
                text("(left out of the tool's output: tool_use)"),
            ]
        );
    }

    #[test]
    fn a_preview_is_one_short_line() {
        assert_eq!(preview(&[image("AA=="), text("two\nlines")]), "two lines");
        assert_eq!(preview(&[text(" ")]), "(no output)");
        assert_eq!(preview(&[image("AA==")]), "(image)");
        assert_eq!(preview(&[text("x".repeat(500))]).chars().count(), 200);
    }
}
