//! Why the vault does not give or keep a secret.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::keychain::KeychainProblem;

/// What opens a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// A key that the host keeps.
    Host,
    /// A passphrase that a person knows.
    Passphrase,
    /// A key in the system's own store of secrets.
    Keychain,
}

/// Why the vault does not give or keep a secret. What it holds is intact in every case.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VaultProblem {
    /// The key is not there. The same call succeeds once the vault is unlocked.
    #[error("the vault is locked; it opens with {needs}")]
    Locked {
        /// What it opens with.
        needs: KeySource,
    },
    /// The vault was made with another key than the one given.
    #[error("the vault does not open with this {key}")]
    KeyMismatch {
        /// What kind of key it was.
        key: KeySource,
    },
    /// The key is in the system's own store, which did not give it.
    #[error(transparent)]
    Keychain(#[from] KeychainProblem),
    /// The file is damaged, and so is its backup, or there is none. Both were put aside.
    #[error("the vault is damaged; it was put aside as {}", aside.display())]
    Corrupt {
        /// Its new name.
        aside: PathBuf,
    },
    /// A newer version of this program wrote the file. It is left alone.
    #[error("the vault has version {version}, which is newer than this program")]
    TooNew {
        /// The file's version.
        version: u64,
    },
    /// Another process has been writing for longer than 2 s.
    #[error("another process is writing the vault")]
    Busy,
    /// The file system failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        source: Arc<io::Error>,
    },
    /// The file is not one that is read: a symbolic link, another user's, or too large.
    #[error("{} {problem}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Reads on after the path.
        problem: &'static str,
    },
    /// A secret of more than 64 KiB.
    #[error("a secret is longer than 64 KiB")]
    TooLong,
    /// A vault was to be reset, and the id given is not its own.
    #[error("this is not the vault's id")]
    OtherVault,
    /// There is no vault: nothing was given to open one with.
    #[error("there is no vault")]
    NoVault,
}

impl VaultProblem {
    /// Whether the same call may succeed later, with nothing done by anybody.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy | Self::Io { .. } => true,
            Self::Locked { .. }
            | Self::KeyMismatch { .. }
            | Self::Keychain(_)
            | Self::Corrupt { .. }
            | Self::TooNew { .. }
            | Self::Refused { .. }
            | Self::TooLong
            | Self::OtherVault
            | Self::NoVault => false,
        }
    }

    /// For `map_err`.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Io {
            path,
            source: Arc::new(source),
        }
    }
}

/// As in a sentence: "the passphrase".
impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "key of the host",
            Self::Passphrase => "passphrase",
            Self::Keychain => "key of the system's key store",
        })
    }
}
