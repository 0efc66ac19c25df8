//! What an error says about a login: what was tried, and why something could not be.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One way of authenticating, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthAttempt {
    /// `none`, `publickey`, `keyboard-interactive`, `password`.
    pub method: &'static str,
    /// Which key: `~/.ssh/id_ed25519`, `agent: comment`.
    pub detail: Option<String>,
    pub outcome: AuthOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthOutcome {
    Rejected,
    /// Accepted, but the server wants another factor.
    Partial,
    /// Not tried, and why.
    Skipped(String),
    /// Not tried, and why; the system's `ssh` could.
    LeftToSystem(String),
}

/// Why a private key file is of no use.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyProblem {
    #[error("cannot be read: {0}")]
    Unreadable(Arc<io::Error>),
    #[error("is not a regular file")]
    NotAFile,
    #[error("is too large for a key")]
    TooLarge,
    /// Others may read it; `chmod 600` helps.
    #[error("may be read by others (mode {0:03o})")]
    Permissions(u32),
    #[error("is a public key; the private key is the file beside it without .pub")]
    PublicKey,
    #[error("is not a private key")]
    Unrecognised,
    /// `ssh-keygen -p -f <file>` rewrites the key in a format that works.
    #[error("is encrypted in an old way; convert it with ssh-keygen -p")]
    OldEncryption,
    /// Only the agent can use a key that lives on a security key.
    #[error("belongs to a security key, which only an SSH agent can use")]
    SecurityKey,
    /// Only the agent can use a key whose type this program does not know.
    #[error("has an unsupported key type")]
    UnsupportedType,
    #[error("is encrypted, and there is no passphrase")]
    PassphraseNeeded,
    #[error("has another passphrase")]
    PassphraseWrong,
    #[error("is damaged")]
    Damaged,
    /// The server only takes SHA-1 signatures from RSA keys.
    #[error("is an RSA key, and the server only accepts SHA-1 signatures")]
    OnlySha1,
    /// PubkeyAcceptedAlgorithms allows it with SHA-1 signatures only.
    #[error("is an RSA key, and PubkeyAcceptedAlgorithms allows only SHA-1 signatures")]
    Sha1Wanted,
    /// PubkeyAcceptedAlgorithms, or the server, leaves out its algorithm.
    #[error("is of a kind that PubkeyAcceptedAlgorithms leaves out")]
    NotAccepted,
}

/// Why a command gives no password or passphrase.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SecretCommandProblem {
    #[error("cannot be started: {0}")]
    NotStarted(Arc<io::Error>),
    /// `said` is the last line of its standard error.
    #[error("failed ({status}): {}", said.as_deref().unwrap_or("it said nothing"))]
    Failed {
        status: String,
        said: Option<String>,
    },
    #[error("did not end within {0:?}")]
    TooLong(Duration),
    #[error("wrote more than {0} bytes")]
    TooMuch(usize),
    #[error("wrote something that is not UTF-8")]
    NotText,
    #[error("wrote more than one line, or a NUL character")]
    NotOneLine,
    #[error("wrote nothing")]
    Empty,
}

/// Why a user certificate would not be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    #[error("cannot be read")]
    Unreadable,
    #[error("belongs to another key")]
    OtherKey,
    #[error("is not a user certificate")]
    NotForUsers,
    #[error("has expired")]
    Expired,
    #[error("is not valid yet")]
    NotYetValid,
    #[error("is not made out to {0}")]
    OtherPrincipal(String),
}

/// Why the agent is of no use.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AgentProblem {
    /// Neither SSH_AUTH_SOCK nor a socket of the profile.
    #[error("SSH_AUTH_SOCK is not set")]
    NoSocket,
    #[error("IdentityAgent switches it off")]
    Disabled,
    #[error("{} cannot be opened: {source}", path.display())]
    Unreachable {
        path: PathBuf,
        source: Arc<io::Error>,
    },
    #[error("it does not answer")]
    Silent,
    #[error("it holds no keys")]
    Empty,
    #[error("it holds no key that matches the chosen one")]
    NoMatch,
    #[error("it does not work: {0}")]
    Broken(String),
}
