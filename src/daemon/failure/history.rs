//! Sentences for what can go wrong with the conversations' file.

use crate::{
    conversation::HistoryError,
    protocol::{ErrorCode, ErrorData, ErrorObject},
};

/// Why conversations can't be kept or read.
pub(in crate::daemon) fn history(error: &HistoryError) -> ErrorObject {
    let told =
        |code, retryable, message| super::with_data(ErrorData::new(code, retryable), message);
    match error {
        HistoryError::Busy => told(
            ErrorCode::StoreBusy,
            true,
            "The conversations' file is in use by another process. Try again in a moment."
                .to_owned(),
        ),
        HistoryError::TooNew => told(
            ErrorCode::StoreIo,
            false,
            "The conversations' file was written by a newer version, and is left as it is. \
             Update, or begin a new conversation; it will end with the daemon."
                .to_owned(),
        ),
        HistoryError::Corrupt { set_aside } => told(
            ErrorCode::StoreIo,
            false,
            format!(
                "The conversations' file was damaged. It is set aside as {set_aside}, and a new \
                 one was begun."
            ),
        ),
        HistoryError::Io(problem) => told(
            ErrorCode::StoreIo,
            true,
            format!(
                "The conversations' file could not be read or written; what was saved before is \
                 intact. ({problem})"
            ),
        ),
    }
}

/// That an answer is not saved, though nothing is lost yet.
pub(in crate::daemon) fn unsaved(error: &HistoryError) -> String {
    let reason = history(error).message;
    match error {
        HistoryError::Corrupt { .. } => reason,
        HistoryError::Busy | HistoryError::TooNew | HistoryError::Io(_) => format!(
            "This part of the conversation is not saved yet; it is kept until the daemon ends. {reason}"
        ),
    }
}
