//! What an error says about a host key.

use std::path::PathBuf;

use crate::ssh::prompt::PromptFailure;

/// A server's host key, as people compare it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostKeyInfo {
    /// As in known_hosts: `ssh-ed25519`, `ssh-rsa`, …
    pub key_type: String,
    /// `SHA256:…`
    pub fingerprint: String,
    pub bits: u32,
}

/// A recorded host key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    pub key: HostKeyInfo,
    pub file: PathBuf,
    /// Counted from 1.
    pub line: u64,
}

impl KnownKey {
    /// Whether it is of the same type: a server has one key of each type, so
    /// this one was replaced. A key of another type may still be in use.
    pub fn is_like(&self, key: &HostKeyInfo) -> bool {
        self.key.key_type == key.key_type
    }
}

/// A host's certificate that proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCertificate {
    pub problem: HostCertificateProblem,
    /// The host's key, which the certificate is about.
    pub key: HostKeyInfo,
    /// What its authority calls it.
    pub id: String,
    /// The host names that it is made out to; without any, to all.
    pub principals: Vec<String>,
    /// In seconds since 1970; [`u64::MAX`] as an end means for ever.
    pub valid_after: u64,
    pub valid_before: u64,
    /// The key that signed it.
    pub signer: HostKeyInfo,
    /// Where that key is recorded as an authority for this host.
    pub authority: Option<KnownKey>,
}

/// Why a host certificate proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostCertificateProblem {
    #[error("has expired")]
    Expired,
    #[error("is not valid yet")]
    NotYetValid,
    #[error("is not made out to {0}")]
    OtherPrincipal(String),
    #[error("is a user's certificate")]
    NotForHosts,
    /// Whoever signed it wants something that we do not know.
    #[error("has the unknown critical option {0}")]
    CriticalOption(String),
    /// SHA-1 or DSA.
    #[error("is signed with an algorithm that is too weak")]
    WeakSignature,
    #[error("is forged or damaged: its signature is wrong")]
    BadSignature,
}

/// A list of algorithms that ssh_config may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlgorithmList {
    KeyExchange,
    HostKey,
    Cipher,
    Mac,
}

impl AlgorithmList {
    /// The directive of ssh_config.
    pub fn directive(self) -> &'static str {
        match self {
            Self::KeyExchange => "KexAlgorithms",
            Self::HostKey => "HostKeyAlgorithms",
            Self::Cipher => "Ciphers",
            Self::Mac => "MACs",
        }
    }
}

/// Why an unknown key was not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTrusted {
    /// The policy is strict, or accept-new and a certificate was due.
    #[error("the policy does not allow asking")]
    Policy,
    /// The question was not answered; `Unsupported`: nobody is there to ask.
    #[error("{0}")]
    NoAnswer(PromptFailure),
}
