//! What goes wrong with saved profiles, and what is merely worth saying.

use std::io;
use std::path::PathBuf;

use super::secrets::SecretField;
use super::vault::VaultProblem;

/// An error of this room. No message quotes a value that was read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No profile has this id.
    #[error("there is no profile `{id}`")]
    NotFound {
        /// As asked for; a valid id.
        id: String,
    },
    /// A field does not hold what it may. The user can mend it.
    #[error("`{field}` {problem}")]
    Invalid {
        /// In wire spelling: `ssh.jumpHosts[1].host`.
        field: String,
        /// What is allowed; reads on after the field's name.
        problem: String,
    },
    /// A profile's file is not JSON. The user can mend or delete it.
    #[error("{} is not JSON (line {line})", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where reading stopped, from 1.
        line: usize,
    },
    /// A file or folder that is not followed or read: a symbolic link, something else than a
    /// regular file, or more than 1 MiB.
    #[error("{} {problem}", path.display())]
    Refused {
        /// The file or folder.
        path: PathBuf,
        /// Reads on after the path.
        problem: &'static str,
    },
    /// The file system failed. What was saved before is intact.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// A profile that this user neither saved nor approved of on this machine as it is now: it
    /// came with the project, or was changed there. [`super::Store::trust`] approves of it.
    #[error("the profile `{id}` was not approved by this user on this machine")]
    Untrusted {
        /// The profile.
        id: String,
    },
    /// A profile is not the one that the user looked at any more.
    #[error("the profile `{id}` changed since it was shown")]
    ChangedSince {
        /// The profile.
        id: String,
    },
    /// Another process has been changing profiles for two seconds. Nothing was saved.
    #[error("another process is changing profiles")]
    Busy,
    /// A secret was given for another address than the profile names now. It must be given
    /// again.
    #[error("the {field} was given for another address than the profile names now")]
    SecretBinding {
        /// Which secret.
        field: SecretField,
    },
    /// The vault does not give or keep a secret.
    #[error(transparent)]
    Vault(#[from] VaultProblem),
}

/// Something accepted that the user should know about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// In wire spelling; empty where it concerns the whole profile.
    pub field: String,
    /// A sentence.
    pub message: String,
}

// === impl Error ===

impl Error {
    /// Whether the same call may succeed later, with nothing changed in the profile.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Busy => true,
            Self::Vault(problem) => problem.is_transient(),
            Self::NotFound { .. }
            | Self::Invalid { .. }
            | Self::Corrupt { .. }
            | Self::Refused { .. }
            | Self::Untrusted { .. }
            | Self::ChangedSince { .. }
            | Self::SecretBinding { .. } => false,
        }
    }

    pub(super) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// For `map_err`.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source }
    }
}

// === impl Warning ===

impl Warning {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}
