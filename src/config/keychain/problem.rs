//! Why the system's store of secrets gave no key, or kept none.

/// Why the system's store of secrets gave no key, or kept none. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeychainProblem {
    /// There is none here: no desktop session, nobody who serves it, or it does not answer.
    #[error("there is no key store: {reason}")]
    Unavailable {
        /// Reads on after a colon.
        reason: String,
    },
    /// It is locked and stays so: a person said no, or nobody could be asked.
    #[error("the key store is locked, and was not unlocked")]
    Refused,
    /// A person was asked, and has not answered in 90 s.
    #[error("the key store waits for a person to unlock it")]
    TimedOut,
    /// The store is open, and the entry with the vault's key is not in it.
    #[error("the key store has no entry {account}")]
    Missing {
        /// The entry's name.
        account: String,
    },
    /// The entry with the vault's key has something else in it.
    #[error("the key store's entry {account} has another key in it")]
    Wrong {
        /// The entry's name.
        account: String,
    },
    /// It failed in a way of its own.
    #[error("the key store failed: {reason}")]
    Failed {
        /// Its own words.
        reason: String,
    },
}

/// The most of a store's own words that is kept.
const WORDS: usize = 300;

impl KeychainProblem {
    pub(in crate::config) fn unavailable(reason: impl AsRef<str>) -> Self {
        let reason = words(reason.as_ref());
        Self::Unavailable { reason }
    }

    pub(in crate::config) fn failed(reason: impl AsRef<str>) -> Self {
        let reason = words(reason.as_ref());
        Self::Failed { reason }
    }
}

/// One line, and not a long one.
fn words(text: &str) -> String {
    let plain = text.chars().map(|letter| match letter.is_control() {
        true => ' ',
        false => letter,
    });
    plain.take(WORDS).collect()
}
