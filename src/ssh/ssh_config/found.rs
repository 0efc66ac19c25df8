//! What the files say about a host, in the same form whoever read them.

use std::path::PathBuf;

use super::value::Values;

/// A host before its values are expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The name that was asked for.
    pub(super) original: String,
    /// HostName, expanded and in its usual form.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: Option<String>,
    /// What differs from OpenSSH's defaults.
    pub(super) values: Values,
    /// UserKnownHostsFile and IdentityAgent are expanded already: by `ssh -G`.
    pub(super) is_expanded: bool,
    /// ServerAliveInterval 0 is written somewhere, though it is the default.
    pub(super) is_keepalive_off: bool,
    /// HostKeyAlgorithms is written without `+` or `-`.
    pub(super) keeps_host_key_order: bool,
    /// CanonicalizeHostname was obeyed.
    pub(super) is_canonicalized: bool,
    /// Where a `Match exec` would have decided.
    pub(super) commands: Vec<(PathBuf, usize)>,
    /// What people should know about the reading itself.
    pub(super) notes: Vec<String>,
}
