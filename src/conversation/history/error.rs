//! Why conversations could not be kept or read.

use rusqlite::ErrorCode;

/// Why conversations could not be kept or read. What was to be kept is then kept in memory and
/// written with the next message of its conversation.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HistoryError {
    /// Another process holds the file, for longer than we wait.
    #[error("another process is using the conversations' file")]
    Busy,
    /// Only a newer version can read the file; it is left as it is.
    #[error("the conversations' file was written by a newer version")]
    TooNew,
    /// The file was not, or no longer, a database. What was to be kept is in a new one.
    #[error("the conversations' file was damaged; it has been set aside as {set_aside}")]
    Corrupt { set_aside: String },
    /// The disk refused, or whatever the text says.
    #[error("{0}")]
    Io(String),
}

impl HistoryError {
    pub(super) fn io(error: &std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// Whether the file itself is at fault.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Why something could not be done, before it is known what that means.
#[derive(Debug)]
pub(super) enum Fault {
    Told(HistoryError),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<HistoryError> for Fault {
    fn from(error: HistoryError) -> Self {
        Self::Told(error)
    }
}

impl From<Fault> for HistoryError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Told(error) => error,
            Fault::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
                _ => Self::Io(error.to_string()),
            },
        }
    }
}
