//! Where to go and how: a route of hops, and the facts of this machine.
//!
//! Nothing here is read from the environment: `main` finds the facts, and the
//! daemon turns a profile into a [`Target`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use super::memory::Memory;

/// A route: the hops in order, the last one is the machine itself.
///
/// Two targets that differ only in secrets and time-outs share a connection.
#[derive(Debug, Clone)]
pub struct Target {
    pub hops: Vec<Hop>,
}

/// One SSH server on the way, with its own account and its own host key.
#[derive(Debug, Clone)]
pub struct Hop {
    /// A host name or an address. The first hop is looked up on this machine,
    /// every other one by the hop before it.
    pub host: String,
    pub port: u16,
    pub username: String,
    pub auth: AuthMethod,
    /// Tried before every other key. A leading `~/` stands for [`Environment::home`].
    pub private_key_path: Option<PathBuf>,
    /// The user certificate of `private_key_path`; without one, `<key>-cert.pub` is tried.
    pub certificate_path: Option<PathBuf>,
    /// The agent's socket instead of [`Environment::ssh_auth_sock`]; `none` means no agent.
    pub identity_agent: Option<PathBuf>,
    /// Offer no key but `private_key_path` (OpenSSH's IdentitiesOnly).
    pub identities_only: bool,
    pub password: Option<SecretString>,
    /// The passphrase of `private_key_path` (and of default key files that it fits).
    pub passphrase: Option<SecretString>,
    pub host_key_policy: HostKeyPolicy,
    /// Everything up to the end of authentication, without the time that people take to answer.
    pub connect_timeout: Duration,
    /// How often to ask whether the server is there; `None` never asks
    /// (some bastions drop connections that do).
    pub keepalive_interval: Option<Duration>,
    /// The connection is dead after this many unanswered questions and one more interval.
    pub keepalive_count_max: u32,
}

impl Hop {
    /// A hop with the defaults: automatic authentication, ask for unknown host
    /// keys, 30 s to connect, a keepalive each 5 s.
    pub fn new(host: impl Into<String>, port: u16, username: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            username: username.into(),
            auth: AuthMethod::Auto,
            private_key_path: None,
            certificate_path: None,
            identity_agent: None,
            identities_only: false,
            password: None,
            passphrase: None,
            host_key_policy: HostKeyPolicy::Ask,
            connect_timeout: Duration::from_secs(30),
            keepalive_interval: Some(Duration::from_secs(5)),
            keepalive_count_max: 3,
        }
    }
}

/// What to try. Whatever is chosen, `none` is asked first: it yields the
/// server's list of methods, and some servers need no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// none, keys, agent, keyboard-interactive, password: whatever the server allows.
    Auto,
    Password,
    PrivateKey,
    Agent,
    KeyboardInteractive,
    None,
}

/// What to do with a host key that no file knows. A changed or revoked key is
/// refused under every policy; there is no "off".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostKeyPolicy {
    Ask,
    AcceptNew,
    Strict,
}

/// Facts of this machine and user, handed in by `main`.
#[derive(Debug, Clone)]
pub struct Environment {
    pub home: Option<PathBuf>,
    pub ssh_auth_sock: Option<PathBuf>,
    /// `~/.ssh/known_hosts` and the like: read, never written.
    pub user_known_hosts: Vec<PathBuf>,
    /// `/etc/ssh/ssh_known_hosts` and the like: read, never written.
    pub global_known_hosts: Vec<PathBuf>,
    /// Our own file: read and appended to.
    pub own_known_hosts: PathBuf,
    /// The software version of our identification string, without `SSH-2.0-`.
    pub client_version: String,
    /// What this process remembers across connections; start with the default.
    pub memory: Memory,
}

impl Environment {
    /// Replaces a leading `~/` by the home directory.
    pub(super) fn expand(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), &self.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path.to_owned(),
        }
    }

    /// Writes a path as people know it: with `~` for the home directory.
    pub(super) fn shorten(&self, path: &Path) -> String {
        if let Some(home) = &self.home
            && let Ok(rest) = path.strip_prefix(home)
        {
            return format!("~/{}", rest.display());
        }
        path.display().to_string()
    }

    /// Every known_hosts file, in the order in which `ssh` would ask them.
    pub(super) fn known_hosts(&self) -> Vec<PathBuf> {
        self.user_known_hosts
            .iter()
            .chain(std::iter::once(&self.own_known_hosts))
            .chain(&self.global_known_hosts)
            .cloned()
            .collect()
    }
}

/// What a channel leads to, seen from the last hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Tcp { host: String, port: u16 },
    Unix { path: String },
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => f.write_str(&host_and_port(host, *port)),
            Self::Unix { path } => f.write_str(path),
        }
    }
}

/// `host:port`, with the brackets that an IPv6 address needs.
pub(super) fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_of_a_hop_shows_no_secret() {
        let hop = Hop {
            password: Some("canary-password".into()),
            passphrase: Some("canary-passphrase".into()),
            ..Hop::new("gpu1", 22, "ai")
        };
        let text = format!("{:?}", Target { hops: vec![hop] });
        assert!(text.contains("gpu1"));
        assert!(!text.contains("canary"), "{text}");
    }

    #[test]
    fn an_address_of_ip_version_6_is_written_in_brackets() {
        assert_eq!(host_and_port("gpu1", 22), "gpu1:22");
        assert_eq!(host_and_port("::1", 2222), "[::1]:2222");
    }
}
