//! An answer that was cut short in an earlier prompt, and is gone on with in this one's first round.

use crate::llm::{Block, Message, Role};

/// What had been said.
#[derive(Debug)]
pub(super) struct Begun(Vec<Block>);

impl Begun {
    /// Of the last message, if the model said it.
    pub(super) fn of(messages: &[Message]) -> Option<Self> {
        let last = messages.last()?;
        (last.role == Role::Assistant).then(|| Self(last.content.clone()))
    }

    /// The whole answer: what had been said and what came after it. The text goes on in the middle
    /// of a word.
    pub(super) fn join(self, mut rest: Vec<Block>) -> Vec<Block> {
        let Self(mut whole) = self;
        let goes_on = rest
            .iter()
            .position(|block| matches!(block, Block::Text { .. }));
        if let (Some(place), Some(Block::Text { text: begun })) = (goes_on, whole.last_mut())
            && let Block::Text { text } = rest.remove(place)
        {
            begun.push_str(&text);
        }
        whole.extend(rest);
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Block {
        Block::Text { text: text.into() }
    }

    fn call() -> Block {
        Block::ToolUse {
            id: "1".into(),
            name: "read".into(),
            input: serde_json::json!({}),
        }
    }

    fn thought(thinking: &str) -> Block {
        Block::Thinking {
            thinking: thinking.into(),
            signature: None,
        }
    }

    #[test]
    fn the_text_goes_on_where_it_stopped() {
        for (rest, whole) in [
            (vec![text("llo.")], vec![thought("hm"), text("Hello.")]),
            (vec![], vec![thought("hm"), text("He")]),
            (
                vec![text("llo."), call()],
                vec![thought("hm"), text("Hello."), call()],
            ),
            (vec![call()], vec![thought("hm"), text("He"), call()]),
        ] {
            let begun = Begun(vec![thought("hm"), text("He")]);
            assert_eq!(begun.join(rest), whole);
        }
    }
}
