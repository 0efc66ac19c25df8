//! Sentences for what can go wrong with a prompt.

use crate::{
    conversation::{CallFailure, Error, NotContinuable},
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
        Error::ToolLoop { name, period } => {
            let what = match period {
                1 => format!("called {name} four times in a row with the same arguments"),
                _ => format!("made the same {period} tool calls for the fourth time"),
            };
            told(
                ErrorCode::ToolLoopDetected,
                format!(
                    "The model {what}, so it was stopped. Ask differently, or choose another model."
                ),
            )
        }
        Error::UnfitCalls { rounds } => told(
            ErrorCode::ToolLimitExceeded,
            format!(
                "The model called tools with arguments that do not fit, {rounds} times in a row, \
                 and was stopped. Ask differently, or choose another model."
            ),
        ),
        Error::FailedCalls { rounds } => told(
            ErrorCode::ToolLimitExceeded,
            format!(
                "Every tool call failed, {rounds} times in a row, so the model was stopped. What \
                 the tools said is in the conversation."
            ),
        ),
        Error::HostGone => told(
            ErrorCode::HostUnavailable,
            "Nobody is there any more to run tools.".to_owned(),
        ),
    }
}

/// Why there is no answer to go on with.
pub(in crate::daemon) fn not_continuable(why: NotContinuable) -> ErrorObject {
    let message = match why {
        NotContinuable::Finished => {
            "The conversation does not end with an answer that was cut short, so there is nothing \
             to go on with."
        }
        NotContinuable::ToolsRan => {
            "The answer was cut short after tools had run, and is not gone on with: nobody could \
             say whether they would run twice. Ask anew."
        }
        NotContinuable::NothingSaid => {
            "Nothing of the answer had come when it was cut short. Ask again."
        }
    };
    super::invalid_params("continue", message)
}

/// Why a call was answered for its tool.
pub(in crate::daemon) fn call(failure: CallFailure) -> ErrorCode {
    match failure {
        CallFailure::NotFound => ErrorCode::ToolNotFound,
        CallFailure::InvalidInput => ErrorCode::ToolInvalidInput,
        CallFailure::Failed => ErrorCode::ToolExecutionFailed,
        CallFailure::TimedOut => ErrorCode::ToolTimeout,
        CallFailure::Denied => ErrorCode::ToolDenied,
        CallFailure::Cancelled => ErrorCode::ToolCancelled,
        CallFailure::Loop => ErrorCode::ToolLoopDetected,
        CallFailure::Limit => ErrorCode::ToolLimitExceeded,
    }
}
