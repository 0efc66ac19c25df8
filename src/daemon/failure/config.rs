//! Sentences for what can go wrong with saved profiles.

use crate::{
    config::Error,
    protocol::{ErrorCode, ErrorData, ErrorObject},
};

/// Why a profile can't be used or saved.
pub(in crate::daemon) fn config(error: &Error) -> ErrorObject {
    let told = |code, message: String| {
        super::with_data(ErrorData::new(code, error.is_transient()), message)
    };
    match error {
        Error::NotFound { id } => {
            let mut told = told(
                ErrorCode::ConfigNotFound,
                format!("There is no saved server `{id}`. It may have been deleted."),
            );
            told.data.config_id = Some(id.clone());
            told
        }
        Error::Invalid { field, problem } => {
            let mut told = told(ErrorCode::ConfigInvalid, format!("`{field}` {problem}."));
            told.data.field = Some(field.clone());
            told
        }
        Error::Corrupt { path, line } => told(
            ErrorCode::ConfigInvalid,
            format!(
                "{} is not JSON (line {line}). Mend the file, or delete the server and add it again.",
                path.display()
            ),
        ),
        Error::Refused { path, problem } => told(
            ErrorCode::ConfigInvalid,
            format!("{} {problem}, so it is left alone.", path.display()),
        ),
        Error::Io { path, source } => told(
            ErrorCode::StoreIo,
            format!(
                "{} could not be read or written; what was saved before is intact. ({source})",
                path.display()
            ),
        ),
        Error::Unapproved { field } => {
            let mut told = told(
                ErrorCode::ConfigUntrusted,
                format!(
                    "`{field}` starts a program on this computer, and it was not saved by you \
                     here: it may have come with the project. Look at it, and save the server \
                     again to allow it."
                ),
            );
            told.data.field = Some(field.clone());
            told
        }
        Error::SecretBinding { field } => told(
            ErrorCode::SecretBindingMismatch,
            format!(
                "The saved {field} was given for another address than the one that is set now. \
                 Enter it again."
            ),
        ),
    }
}
