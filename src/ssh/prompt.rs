//! Questions that only a person can answer.
//!
//! The daemon implements [`Prompter`] over its host. All text in a question
//! that came from a server has been through [`sanitize`](super::text) already.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use secrecy::SecretString;

use super::error::{HostKeyInfo, Place};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Asks the person. Dropping a returned future withdraws the question.
pub trait Prompter: Send + Sync {
    /// Whether there is anybody to [`answer`](Self::answer). `false` saves the
    /// server a question that would only be answered with nothing. Says nothing
    /// about host keys.
    fn can_answer(&self) -> bool {
        true
    }

    /// Shows an unknown host key. The implementation checks that the answer
    /// names the fingerprint that was asked about.
    fn verify_host_key(
        &self,
        question: HostKeyQuestion,
    ) -> BoxFuture<'_, Result<HostKeyDecision, PromptFailure>>;

    /// Asks for a passphrase, a password, or what the server wants to know;
    /// yields one answer for each prompt.
    fn answer(&self, question: PromptQuestion) -> BoxFuture<'_, Result<Answers, PromptFailure>>;
}

pub type Answers = Vec<SecretString>;

/// First contact with a server.
#[derive(Debug, Clone)]
pub struct HostKeyQuestion {
    pub place: Place,
    pub key: HostKeyInfo,
    pub reason: HostKeyReason,
    /// Other names under which this very key is already known.
    pub known_as: Vec<KnownAs>,
    /// How long an answer is waited for.
    pub time_limit: Duration,
}

/// Why nobody can vouch for the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyReason {
    /// No file names this host.
    NeverSeen,
    /// The key is known for this host on port 22, but not on the port asked.
    KnownOnPort22,
    /// A certificate authority is recorded for this host, but the server showed a plain key.
    AuthorityExpected,
}

/// A line that records a key under some name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAs {
    /// The names as written in the file.
    pub names: String,
    pub file: PathBuf,
    /// Counted from 1.
    pub line: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyDecision {
    /// Trust the key and remember it in our own known_hosts file.
    Accept,
    /// Trust the key until this process ends.
    AcceptOnce,
    Reject,
}

/// One or more things to type in.
#[derive(Debug, Clone)]
pub struct PromptQuestion {
    pub place: Place,
    pub username: String,
    pub kind: PromptKind,
    /// The server's title and explanation (keyboard-interactive only); may have several lines.
    pub name: String,
    pub instruction: String,
    pub prompts: Vec<Prompt>,
    /// Counted from 1: above 1, the last answer was wrong.
    pub attempt: u32,
    /// Whether the answer may be kept: not where the profile says that it is asked for each time,
    /// or that a command has it.
    pub may_keep: bool,
    /// How long an answer is waited for. Servers hang up after about two minutes.
    pub time_limit: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptKind {
    /// The passphrase of this key file.
    Passphrase { path: PathBuf },
    /// The account's password.
    Password,
    /// The server's own question; its text is the server's and not to be trusted.
    KeyboardInteractive,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    pub text: String,
    /// Whether what is typed may be shown.
    pub echo: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PromptFailure {
    #[error("there is no way to ask")]
    Unsupported,
    #[error("the question was cancelled")]
    Cancelled,
    #[error("the question was not answered in time")]
    TimedOut,
    #[error("the host is gone")]
    HostGone,
    #[error("the answer does not fit the question")]
    Unfit,
}

/// A prompter without anybody behind it.
#[derive(Debug, Clone, Copy)]
pub struct NoPrompter;

impl Prompter for NoPrompter {
    fn can_answer(&self) -> bool {
        false
    }

    fn verify_host_key(
        &self,
        _: HostKeyQuestion,
    ) -> BoxFuture<'_, Result<HostKeyDecision, PromptFailure>> {
        Box::pin(std::future::ready(Err(PromptFailure::Unsupported)))
    }

    fn answer(&self, _: PromptQuestion) -> BoxFuture<'_, Result<Answers, PromptFailure>> {
        Box::pin(std::future::ready(Err(PromptFailure::Unsupported)))
    }
}
