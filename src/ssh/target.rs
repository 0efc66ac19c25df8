//! Where to go and how: a route of hops, and the facts of this machine.
//!
//! Nothing here is read from the environment: `main` finds the facts, and the
//! daemon turns a profile into a [`Target`].

use std::collections::HashMap;
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
    pub transport: Transport,
    /// How many connections there may be at once, from 1: one more is made only while the others
    /// are saturated.
    pub max_connections: usize,
    /// A connection without streams is closed after this; `None`: never.
    pub idle: Option<Duration>,
}

/// What [`Target::idle`] is by default.
pub const IDLE: Duration = Duration::from_secs(600);

/// Who speaks SSH.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    /// This program itself.
    #[default]
    Library,
    /// The system's `ssh`, for what this program can't do. It reads ssh_config
    /// itself.
    System,
}

impl Target {
    /// A route that this program goes itself.
    pub fn new(hops: Vec<Hop>) -> Self {
        Self {
            hops,
            transport: Transport::Library,
            max_connections: 1,
            idle: Some(IDLE),
        }
    }
}

/// One SSH server on the way, with its own account and its own host key.
#[derive(Debug, Clone)]
pub struct Hop {
    /// A host name or an address (ssh_config's HostName). The first hop is looked
    /// up on this machine, every other one by the hop before it.
    pub host: String,
    /// What the user calls it, where that is something else: an alias of ssh_config.
    pub alias: Option<String>,
    /// Which [`Stop`](super::Stop) of the plan this is; `None`: ssh_config added it.
    pub planned: Option<usize>,
    pub port: u16,
    pub username: String,
    pub auth: AuthMethod,
    /// The profile's key file: tried before every other, and its problems are
    /// errors, not reasons to skip it. A leading `~/` stands for [`Environment::home`].
    pub private_key_path: Option<PathBuf>,
    /// ssh_config's IdentityFile, in order; `None`: the default names in `~/.ssh`.
    pub identity_files: Option<Vec<PathBuf>>,
    /// User certificates to offer (the profile's, then ssh_config's CertificateFile).
    /// Where there are none, `<key>-cert.pub` beside each key is tried.
    pub certificate_paths: Vec<PathBuf>,
    /// The agent's socket instead of [`Environment::ssh_auth_sock`]; `none` means no agent.
    pub identity_agent: Option<PathBuf>,
    /// Offer no key of the agent's but the named ones (OpenSSH's IdentitiesOnly).
    pub identities_only: bool,
    /// The methods to use, in order (PreferredAuthentications); `None`: OpenSSH's order.
    pub preferred_authentications: Option<Vec<String>>,
    /// Where the password comes from; only a saved one is in [`Self::password`].
    pub password_source: SecretSource,
    pub password: Option<SecretString>,
    pub passphrase_source: SecretSource,
    /// The passphrase of `private_key_path` (and of default key files that it fits).
    pub passphrase: Option<SecretString>,
    pub host_key_policy: HostKeyPolicy,
    pub known_hosts: KnownHostsFiles,
    pub algorithms: Algorithms,
    pub address_family: AddressFamily,
    /// The local address to connect from (BindAddress).
    pub bind_address: Option<String>,
    /// A command whose pipes lead to the server, instead of TCP; its tokens are
    /// expanded already. Only the first hop has one.
    pub proxy_command: Option<String>,
    /// Whether ssh_config has a say; asked by [`Transport::System`] only, because
    /// everything that ssh_config says is in this hop already.
    pub use_ssh_config: bool,
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
            alias: None,
            planned: None,
            auth: AuthMethod::Auto,
            private_key_path: None,
            identity_files: None,
            certificate_paths: Vec::new(),
            identity_agent: None,
            identities_only: false,
            preferred_authentications: None,
            password_source: SecretSource::Saved,
            password: None,
            passphrase_source: SecretSource::Saved,
            passphrase: None,
            host_key_policy: HostKeyPolicy::Ask,
            known_hosts: KnownHostsFiles::default(),
            algorithms: Algorithms::default(),
            address_family: AddressFamily::Any,
            bind_address: None,
            proxy_command: None,
            use_ssh_config: true,
            connect_timeout: Duration::from_secs(30),
            keepalive_interval: Some(Duration::from_secs(5)),
            keepalive_count_max: 3,
        }
    }
}

/// Which names and files vouch for a host's key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct KnownHostsFiles {
    /// The name to look up instead of host and port (HostKeyAlias).
    pub alias: Option<String>,
    /// Instead of [`Environment::user_known_hosts`] (UserKnownHostsFile); our own
    /// file is always asked, too.
    pub user: Option<Vec<PathBuf>>,
    /// Instead of [`Environment::global_known_hosts`] (GlobalKnownHostsFile).
    pub global: Option<Vec<PathBuf>>,
}

/// What to offer in the handshake, the best first; `None` is our own list. Names
/// that we do not know, or that are too weak, are left out of what is offered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Algorithms {
    /// KexAlgorithms.
    pub key_exchanges: Option<Vec<String>>,
    /// Ciphers.
    pub ciphers: Option<Vec<String>>,
    /// MACs.
    pub macs: Option<Vec<String>>,
    /// HostKeyAlgorithms.
    pub host_keys: Option<Vec<String>>,
    /// HostKeyAlgorithms is a list of the person's own (or `^`), whose order counts; under
    /// any other, what is recorded for a host comes first.
    pub keeps_host_key_order: bool,
    /// PubkeyAcceptedAlgorithms: the signatures that we may log in with.
    pub public_keys: Option<Vec<String>>,
}

/// AddressFamily: which addresses of the first hop may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    #[default]
    Any,
    Inet,
    Inet6,
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

/// Where a password or a passphrase comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SecretSource {
    /// It is saved, or asked for.
    #[default]
    Saved,
    /// It is asked for each time.
    Ask,
    /// A program of this computer writes it: the program, then its arguments.
    Command(Vec<String>),
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
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub home: Option<PathBuf>,
    pub ssh_auth_sock: Option<PathBuf>,
    /// `~/.ssh/known_hosts` and the like: read, never written.
    pub user_known_hosts: Vec<PathBuf>,
    /// `/etc/ssh/ssh_known_hosts` and the like: read, never written.
    pub global_known_hosts: Vec<PathBuf>,
    /// Our own file: read and appended to.
    pub own_known_hosts: PathBuf,
    /// `~/.ssh/config`.
    pub user_config: Option<PathBuf>,
    /// `/etc/ssh/ssh_config`.
    pub system_config: Option<PathBuf>,
    /// OpenSSH's client, where there is one.
    pub ssh_program: Option<PathBuf>,
    /// This program itself, as which `ssh` has its questions passed on.
    pub own_program: Option<PathBuf>,
    /// The user's shell, which runs proxy commands; `None`: `/bin/sh`.
    pub shell: Option<PathBuf>,
    pub local_user: LocalUser,
    /// This machine's own name (`%l`).
    pub local_host_name: String,
    /// Where short-lived files may be put.
    pub temporary: PathBuf,
    /// For `${NAME}` in ssh_config.
    pub variables: Variables,
    /// The software version of our identification string, without `SSH-2.0-`.
    pub client_version: String,
    /// What this process remembers across connections; start with the default.
    pub memory: Memory,
}

/// Who runs this process, as the account database knows it. OpenSSH believes
/// that, not the environment.
#[derive(Debug, Clone, Default)]
pub struct LocalUser {
    pub name: Option<String>,
    /// The numeric user id, as text.
    pub id: Option<String>,
    /// The account's home directory, which may be another than `$HOME`.
    pub home: Option<PathBuf>,
}

/// The process's environment variables. They may hold secrets: `Debug` shows none.
#[derive(Clone, Default)]
pub struct Variables(HashMap<String, String>);

impl Variables {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them, for a child process.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variables({})", self.0.len())
    }
}

impl Environment {
    /// Whether OpenSSH, which goes by the account's home directory, finds the user's
    /// files where we do.
    pub(super) fn is_at_account_home(&self) -> bool {
        self.local_user.home.is_none() || self.local_user.home == self.home
    }

    /// Replaces a leading `~/` by the home directory.
    #[must_use]
    pub fn expand(&self, path: &Path) -> PathBuf {
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

    /// Every known_hosts file for a hop, in the order in which `ssh` would ask them.
    pub(super) fn known_hosts(&self, files: &KnownHostsFiles) -> Vec<PathBuf> {
        files
            .user
            .as_ref()
            .unwrap_or(&self.user_known_hosts)
            .iter()
            .chain(std::iter::once(&self.own_known_hosts))
            .chain(files.global.as_ref().unwrap_or(&self.global_known_hosts))
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
        let text = format!("{:?}", Target::new(vec![hop]));
        assert!(text.contains("gpu1"));
        assert!(!text.contains("canary"), "{text}");
    }

    #[test]
    fn an_address_of_ip_version_6_is_written_in_brackets() {
        assert_eq!(host_and_port("gpu1", 22), "gpu1:22");
        assert_eq!(host_and_port("::1", 2222), "[::1]:2222");
    }
}
