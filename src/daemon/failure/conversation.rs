//! Sentences for what can go wrong with a prompt.

use crate::{
    conversation::Error,
    protocol::{ErrorCode, ErrorData, ErrorObject},
    ssh,
};

use super::Scene;

/// Why a prompt was not brought to its end.
pub(in crate::daemon) fn conversation(error: &Error<ssh::Error>, scene: &Scene) -> ErrorObject {
    let told =
        |code, message| super::with_data(ErrorData::new(code, error.is_transient()), message);
    match error {
        Error::Llm(error) => super::llm(error, scene),
        Error::Unfinished => told(
            ErrorCode::StreamInterrupted,
            format!("{scene} stopped in the middle of the answer. The text so far is kept."),
        ),
        Error::NoMessages => {
            super::invalid_params("messages", "`messages` is empty: ask something.")
        }
        Error::InvalidMessage(problem) => {
            super::invalid_params("messages", &format!("`messages`: {problem}."))
        }
        Error::InvalidTool { index, problem } => super::invalid_params(
            &format!("tools[{index}]"),
            &format!("`tools[{index}]`: {problem}."),
        ),
        Error::InvalidToolChoice(problem) => {
            super::invalid_params("toolChoice", &format!("`toolChoice`: {problem}."))
        }
        Error::ToolLoop { name, times } => told(
            ErrorCode::ToolLoopDetected,
            format!(
                "The model called {name} {times} times in a row with the same arguments, so it was \
                 stopped. Ask differently, or choose another model."
            ),
        ),
        Error::HostGone => told(
            ErrorCode::HostUnavailable,
            "Nobody is there any more to run tools.".to_owned(),
        ),
    }
}
