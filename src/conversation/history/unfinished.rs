//! Whether a conversation ends with an answer that can be gone on with.

use crate::llm::{Block, Message, Role};

use super::entry::Conversation;

/// Why there is nothing to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotContinuable {
    #[error("the conversation does not end with an answer that was cut short")]
    Finished,
    /// What they did is done, and the model's next words may depend on it in ways that a beginning
    /// of an answer does not show.
    #[error("tools had run when the answer was cut short")]
    ToolsRan,
    #[error("nothing was said before the answer was cut short")]
    NothingSaid,
}

impl Conversation {
    /// The place of the answer that was cut short and can be gone on with, from 0.
    ///
    /// # Errors
    /// When there is none.
    pub fn unfinished(&self) -> Result<usize, NotContinuable> {
        let Some((last, before)) = self.entries.split_last() else {
            return Err(NotContinuable::Finished);
        };
        if !last.partial {
            return Err(NotContinuable::Finished);
        }
        let asked = before.last();
        if asked.is_some_and(|entry| has_results(&entry.message)) {
            return Err(NotContinuable::ToolsRan);
        }
        if !ends_with_text(&last.message) {
            return Err(NotContinuable::NothingSaid);
        }
        Ok(before.len())
    }
}

fn has_results(message: &Message) -> bool {
    let is_result = |block: &Block| matches!(block, Block::ToolResult { .. });
    message.content.iter().any(is_result)
}

fn ends_with_text(message: &Message) -> bool {
    message.role == Role::Assistant
        && matches!(message.content.last(), Some(Block::Text { text }) if !text.trim().is_empty())
}
