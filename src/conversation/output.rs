//! A tool's output on its way to the model: capped, and only of what a tool may return.

use crate::llm::{Block, ImageSource};

use super::text::{ceil, floor, one_line};

/// The longest preview of a result, in characters.
const PREVIEW_CHARS: usize = 200;
/// The largest image passed on, in bytes of base64.
const IMAGE_BYTES: usize = 5 * 1024 * 1024;
/// The images of one round together.
const ROUND_IMAGE_BYTES: usize = 20 * 1024 * 1024;
/// So much of a text is looked at for signs that it is none, as git does.
const PROBE_CHARS: usize = 8000;

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

/// Shares `limit` bytes of text between the outputs of one round: none gets less because others
/// are short. Of images, those that come first are kept.
pub(super) fn share(outputs: Vec<&mut Vec<Block>>, limit: usize) {
    let sizes: Vec<usize> = outputs.iter().map(|output| text_bytes(output)).collect();
    let mut images = ROUND_IMAGE_BYTES;
    for (output, share) in outputs.into_iter().zip(shares(&sizes, limit)) {
        *output = cap(std::mem::take(output), share);
        for block in output {
            if let Block::Image {
                source: ImageSource::Base64 { media_type, data },
            } = block
            {
                match images.checked_sub(data.len()) {
                    Some(left) => images = left,
                    None => *block = left_out(&image(media_type, data)),
                }
            }
        }
    }
}

/// The largest even share, and what those below it leave over.
fn shares(sizes: &[usize], limit: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|place| sizes.get(*place));
    let mut shares = sizes.to_vec();
    let (mut left, mut others) = (limit, sizes.len());
    for place in order {
        if let Some(share) = shares.get_mut(place) {
            *share = (*share).min(left / others.max(1));
            left -= *share;
        }
        others -= 1;
    }
    shares
}

fn text_bytes(content: &[Block]) -> usize {
    let texts = content.iter().map(|block| match block {
        Block::Text { text } => text.len(),
        _ => 0,
    });
    texts.sum()
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
    match &block {
        Block::Text { text } if is_binary(text) => {
            left_out(&format!("binary data of {} bytes", text.len()))
        }
        Block::Text { .. } => block,
        Block::Image {
            source: ImageSource::Base64 { media_type, data },
        } if data.len() > IMAGE_BYTES || !media_type.starts_with("image/") => {
            left_out(&image(media_type, data))
        }
        Block::Image { .. } => block,
        Block::Thinking { .. } => left_out("thinking"),
        Block::ToolUse { .. } => left_out("tool_use"),
        Block::ToolResult { .. } => left_out("tool_result"),
    }
}

/// Whether a text is what became of bytes that are none: it has a NUL, or a third of it are control
/// characters and marks of what could not be decoded.
fn is_binary(text: &str) -> bool {
    let mut odd = 0;
    let mut all = 0;
    for c in text.chars().take(PROBE_CHARS) {
        all += 1;
        match c {
            '\0' => return true,
            '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}' => {}
            char::REPLACEMENT_CHARACTER => odd += 1,
            c if c.is_control() => odd += 1,
            _ => {}
        }
    }
    odd * 3 > all
}

fn image(media_type: &str, data: &str) -> String {
    format!(
        "{} of {} bytes",
        one_line(media_type, 40),
        data.len() / 4 * 3
    )
}

fn left_out(what: &str) -> Block {
    Block::Text {
        text: format!("(left out of the tool's output: {what})"),
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
    fn binary_output_is_described() {
        let described = |text: &str| cap(vec![self::text(text)], 1000);
        assert_eq!(
            described("\u{7f}ELF\u{2}\u{1}\u{1}\0\0"),
            [text(
                "(left out of the tool's output: binary data of 9 bytes)"
            )]
        );
        let undecoded = "\u{fffd}PNG\u{fffd}\u{fffd}\u{1}";
        assert!(described(undecoded)[0] != text(undecoded));
        for fine in [
            "",
            "tab\tand\r\nbreak",
            "\u{1b}[31mred\u{1b}[0m",
            "one \u{fffd} of many",
            "äöü🦀",
        ] {
            assert_eq!(described(fine), [text(fine)]);
        }
        let document = Block::Image {
            source: ImageSource::Base64 {
                media_type: "application/pdf".to_owned(),
                data: "AAAA".to_owned(),
            },
        };
        assert_eq!(
            cap(vec![document], 1000),
            [text(
                "(left out of the tool's output: application/pdf of 3 bytes)"
            )]
        );
    }

    #[test]
    fn a_rounds_outputs_share_its_limit_evenly() {
        assert_eq!(shares(&[10, 20, 30], 60), [10, 20, 30]);
        assert_eq!(shares(&[100, 5, 100], 65), [30, 5, 30]);
        assert_eq!(shares(&[100, 100], 0), [0, 0]);
        assert_eq!(shares(&[], 10), [0; 0]);
        let mut outputs = [vec![text("0123456789abcdefghij")], vec![text("short")]];
        share(outputs.iter_mut().collect(), 15);
        assert_eq!(
            outputs,
            [
                vec![text("012345\n[… 10 of 20 bytes left out here …]\nghij")],
                vec![text("short")]
            ]
        );
    }

    #[test]
    fn the_images_of_a_round_have_a_limit() {
        let large = "A".repeat(IMAGE_BYTES);
        let mut outputs: Vec<_> = (0..6).map(|_| vec![image(&large)]).collect();
        share(outputs.iter_mut().collect(), 1000);
        let kept = outputs.iter().filter(|output| **output == [image(&large)]);
        assert_eq!(kept.count(), 4);
    }

    #[test]
    fn a_preview_is_one_short_line() {
        assert_eq!(preview(&[image("AA=="), text("two\nlines")]), "two lines");
        assert_eq!(preview(&[text(" ")]), "(no output)");
        assert_eq!(preview(&[image("AA==")]), "(image)");
        assert_eq!(preview(&[text("x".repeat(500))]).chars().count(), 200);
    }
}
