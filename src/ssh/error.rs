//! What can go wrong, with the data that a useful sentence needs.
//!
//! The messages here are for logs. The sentence for the user and the wire code
//! are made from the data by `daemon::failure`.

mod host_key;
mod login;
mod system;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use self::host_key::{
    AlgorithmList, HostCertificate, HostCertificateProblem, HostKeyInfo, KnownKey, NotTrusted,
};
pub use self::login::{
    AgentProblem, AuthAttempt, AuthOutcome, CertificateProblem, KeyProblem, SecretCommandProblem,
};
pub use self::system::SystemProblem;
use super::prompt::{HostKeyReason, KnownAs, PromptFailure, PromptKind};
use super::ssh_config::Problem as SshConfigProblem;
use super::target::{Destination, host_and_port};

/// Something went wrong, and where on the route. Cheap to clone: everybody
/// who waited for the same connect gets the same error.
#[derive(Debug, Clone)]
pub struct Error {
    pub place: Arc<Place>,
    pub cause: Cause,
}

impl Error {
    /// Whether trying again without anybody's help may succeed.
    pub fn is_transient(&self) -> bool {
        self.cause.is_transient()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.cause)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.cause)
    }
}

/// A hop on the route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Counted from 0.
    pub hop: usize,
    /// How many hops the route has.
    pub hops: usize,
    pub host: String,
    pub port: u16,
    pub username: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&host_and_port(&self.host, self.port))?;
        if self.hops > 1 {
            write!(f, " (hop {} of {})", self.hop + 1, self.hops)?;
        }
        Ok(())
    }
}

/// What went wrong. Every variant says who can help.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Cause {
    /// The target has no hops: a bug of the caller.
    #[error("the route has no hops")]
    NoRoute,

    // --- ssh_config ---
    /// ssh_config can't be used: mend the line that it names.
    #[error("ssh_config: {problem}")]
    SshConfig { problem: SshConfigProblem },
    /// ProxyJump goes round in circles.
    #[error("the route has more than {hops} hops")]
    TooManyHops { hops: usize },
    /// Nobody said as whom to sign in, and this process's user has no name.
    #[error("there is no user name")]
    NoUsername,

    // --- reaching the machine ---
    /// The name has no address on this computer: check its spelling.
    #[error("no address found: {source}")]
    Resolve { source: Arc<io::Error> },
    /// The name server does not answer.
    #[error("no address found within {after:?}")]
    ResolveTimeout { after: Duration },
    /// The machine is up, and nothing listens on that port.
    #[error("connection refused")]
    Refused { source: Arc<io::Error> },
    /// Silence: off, firewalled, or not on this network.
    #[error("no answer within {after:?}")]
    Unanswered { after: Duration },
    /// This computer knows no way there.
    #[error("not reachable: {source}")]
    Unreachable { source: Arc<io::Error> },
    /// Any other failure of the TCP connect.
    #[error("connect failed: {source}")]
    Tcp { source: Arc<io::Error> },
    /// The shell that runs proxy commands can't be started.
    #[error("the proxy command cannot be started: {source}")]
    ProxyCommandNotStarted { source: Arc<io::Error> },
    /// The proxy command ended before there was a connection; `said` is the last
    /// line of its standard error.
    #[error("the proxy command ended ({}): {}", status.as_deref().unwrap_or("no status"), said.as_deref().unwrap_or("it said nothing"))]
    ProxyCommandEnded {
        status: Option<String>,
        said: Option<String>,
    },
    /// `transport: system`, and there is no `ssh` on the search path.
    #[error("there is no ssh program")]
    NoSystemSsh,
    /// The system's `ssh` can't be started.
    #[error("ssh cannot be started: {source}")]
    SystemNotStarted { source: Arc<io::Error> },
    /// The system's `ssh` failed; `said` are its own words.
    #[error("ssh said: {said}")]
    SystemSsh {
        problem: SystemProblem,
        said: String,
    },
    /// The proxy command runs, but what it leads to is no SSH server, or silent.
    #[error("through the proxy command: {cause}")]
    ThroughProxyCommand { cause: Box<Self> },
    /// The local address to connect from is not one of this computer's.
    #[error("cannot connect from {address}: {source}")]
    BindAddress {
        address: String,
        source: Arc<io::Error>,
    },
    /// The hop before this one found nobody there. (A hop that may not forward is at
    /// fault itself: that is [`Self::ForwardingDenied`] at its own place.)
    #[error("{via} could not reach it: {cause}")]
    NotReachedThrough { via: Place, cause: Box<Self> },
    /// `connect_timeout` was over before any single step was.
    #[error("not connected within {after:?}")]
    ConnectTimeout { after: Duration },

    // --- handshake ---
    /// Something else than an SSH server listens there; `said` are its first words.
    #[error("not an SSH server (it said: {said:?})")]
    NotSsh { said: String },
    /// Accepted and hung up before the key exchange was done, as an overloaded
    /// or banning server does; `said` is what it said before.
    #[error("the server closed the connection during the handshake (it said: {said:?})")]
    HandshakeClosed { said: Option<String> },
    /// Accepted and stayed silent.
    #[error("no SSH handshake within {after:?}")]
    HandshakeTimeout { after: Duration },
    /// An old server: it needs newer algorithms.
    #[error("no common {kind} algorithm (the server offers {})", theirs.join(", "))]
    NoCommonAlgorithm {
        /// `key exchange`, `host key`, `cipher`, `MAC` or `compression`.
        kind: &'static str,
        ours: Vec<String>,
        theirs: Vec<String>,
    },
    /// ssh_config asks for nothing that this program can do, or thinks safe.
    #[error("none of the {} can be used ({})", kind.directive(), names.join(", "))]
    NoUsableAlgorithm {
        kind: AlgorithmList,
        /// What was asked for.
        names: Vec<String>,
        /// What could be.
        usable: Vec<String>,
    },

    // --- host key ---
    /// Nobody vouches for the key; `why` says why it was not simply asked.
    #[error("unknown host key {}: {why}", key.fingerprint)]
    HostKeyUnknown {
        key: HostKeyInfo,
        reason: HostKeyReason,
        known_as: Vec<KnownAs>,
        why: NotTrusted,
    },
    /// Another key is recorded for this host: an interception, or a new installation.
    #[error("host key changed to {}", key.fingerprint)]
    HostKeyChanged {
        key: HostKeyInfo,
        /// Keys of the same type where there are any, else of other types; see
        /// [`KnownKey::is_like`].
        known: Vec<KnownKey>,
        /// The command that removes all recorded keys.
        remove_command: String,
    },
    /// The host's certificate is no good, and its key is not known otherwise.
    #[error("host certificate {} {}", certificate.id, certificate.problem)]
    HostCertificateInvalid { certificate: Box<HostCertificate> },
    /// Two connections at the same time were shown different keys for one host.
    #[error("host showed two different keys, {} and {}", key.fingerprint, other.fingerprint)]
    HostKeyConflict {
        key: HostKeyInfo,
        other: HostKeyInfo,
    },
    /// A file says that this key must never be trusted.
    #[error("host key {} is revoked by {}:{line}", key.fingerprint, file.display())]
    HostKeyRevoked {
        key: HostKeyInfo,
        /// Not the key itself is revoked, but this one, which signed its certificate.
        authority: Option<Box<HostKeyInfo>>,
        file: PathBuf,
        line: u64,
    },
    /// An RSA key that can be broken: the server needs a new one.
    #[error("host key {} has only {} bits", key.fingerprint, key.bits)]
    HostKeyTooShort { key: HostKeyInfo },
    /// The person said no.
    #[error("host key {} was rejected", key.fingerprint)]
    HostKeyRejected { key: HostKeyInfo },
    /// A known_hosts file exists and cannot be read, so nothing can be trusted.
    #[error("{} cannot be read: {source}", file.display())]
    KnownHostsUnreadable {
        file: PathBuf,
        source: Arc<io::Error>,
    },

    // --- authentication ---
    /// The server accepted none of what there was to try.
    #[error("user {username} was not accepted (allowed: {})", allowed.join(", "))]
    AuthFailed {
        username: String,
        tried: Vec<AuthAttempt>,
        /// The methods that the server allows.
        allowed: Vec<String>,
        /// What the server said before: policies, sometimes a link to follow.
        banner: Option<String>,
    },
    /// More keys than a server lets one try: choose one.
    #[error("none of the first {offered} keys was accepted, {untried} more were not tried")]
    TooManyKeys {
        username: String,
        offered: usize,
        untried: usize,
        tried: Vec<AuthAttempt>,
        allowed: Vec<String>,
    },
    /// PreferredAuthentications leaves no method that this program knows.
    #[error("no method is left (PreferredAuthentications: {})", preferred.join(","))]
    MethodsDisabled {
        preferred: Vec<String>,
        /// The methods that the server allows.
        allowed: Vec<String>,
    },
    /// The chosen key file cannot be used.
    #[error("{}: {problem}", path.display())]
    KeyUnusable { path: PathBuf, problem: KeyProblem },
    /// The agent was chosen, and there is none.
    #[error("no SSH agent: {problem}")]
    NoAgent { problem: AgentProblem },
    /// The server said something about the password that is neither yes nor no:
    /// it wants another one, which can only be chosen in a terminal.
    #[error("no clear answer to the password within {after:?}: it has probably expired")]
    PasswordExpired { username: String, after: Duration },
    /// The server thinks for too long.
    #[error("not authenticated within {after:?}")]
    AuthTimeout { after: Duration },
    /// The profile has a command for a secret, and there is none.
    #[error("{program} {problem}")]
    SecretCommand {
        /// What it was to write.
        kind: PromptKind,
        /// Without its arguments.
        program: String,
        problem: SecretCommandProblem,
    },
    /// A person had to answer, and did not.
    #[error("{failure}")]
    Unanswerable {
        kind: PromptKind,
        failure: PromptFailure,
    },

    /// The connection ended in the middle of the login: a time limit of the server's
    /// (LoginGraceTime), a restart, or the network.
    #[error("during the login: {cause}")]
    EndedDuringLogin { cause: Box<Self> },

    // --- channels ---
    /// Nothing listens at the destination (some servers say the same for a forbidden socket).
    #[error("{destination} refused the connection")]
    DestinationRefused {
        destination: Destination,
        /// The server's own words: `Connection refused`, `Name or service not known`, …
        said: Option<String>,
    },
    /// The server's policy forbids this forwarding.
    #[error("forwarding to {destination} is not allowed")]
    ForwardingDenied { destination: Destination },
    /// The server does not know this kind of forwarding (dropbear and Unix sockets).
    #[error("the server cannot forward to {destination}")]
    ForwardingUnsupported { destination: Destination },
    /// The system's `ssh` is only asked for TCP.
    #[error("the system's ssh is not asked to forward to {destination}")]
    SystemUnixSocket { destination: Destination },
    /// The server has no room for another channel now.
    #[error("the server has no room for a channel to {destination}")]
    ServerFull { destination: Destination },
    /// The destination, or the server, does not answer.
    #[error("{destination} did not answer within {after:?}")]
    ChannelTimeout {
        destination: Destination,
        after: Duration,
    },

    // --- any time ---
    /// The server ended the connection; `message` is its reason if it gave one.
    #[error("disconnected by the server ({})", message.as_deref().unwrap_or("no reason given"))]
    Disconnected { message: Option<String> },
    /// The server stopped answering.
    #[error("the server stopped answering")]
    KeepaliveTimeout,
    /// The connection broke.
    #[error("connection lost: {source}")]
    ConnectionLost {
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// This side ended the connection.
    #[error("the connection was closed")]
    Closed,
    /// The server broke the protocol, or we did.
    #[error("SSH protocol error: {source}")]
    Protocol {
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl Cause {
    /// Whether trying again without anybody's help may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Resolve { .. }
            | Self::ResolveTimeout { .. }
            | Self::Refused { .. }
            | Self::Unanswered { .. }
            | Self::Unreachable { .. }
            | Self::Tcp { .. }
            | Self::ProxyCommandEnded { .. }
            | Self::ConnectTimeout { .. }
            | Self::HandshakeClosed { .. }
            | Self::HandshakeTimeout { .. }
            | Self::DestinationRefused { .. }
            | Self::ServerFull { .. }
            | Self::ChannelTimeout { .. }
            | Self::Disconnected { .. }
            | Self::KeepaliveTimeout
            | Self::ConnectionLost { .. } => true,
            Self::NotReachedThrough { cause, .. }
            | Self::ThroughProxyCommand { cause }
            | Self::EndedDuringLogin { cause } => cause.is_transient(),
            Self::SystemSsh { problem, .. } => problem.is_transient(),
            Self::NoRoute
            | Self::SshConfig { .. }
            | Self::TooManyHops { .. }
            | Self::NoUsername
            | Self::ProxyCommandNotStarted { .. }
            | Self::NoSystemSsh
            | Self::SystemNotStarted { .. }
            | Self::BindAddress { .. }
            | Self::NotSsh { .. }
            | Self::NoCommonAlgorithm { .. }
            | Self::NoUsableAlgorithm { .. }
            | Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged { .. }
            | Self::HostCertificateInvalid { .. }
            | Self::HostKeyConflict { .. }
            | Self::HostKeyRevoked { .. }
            | Self::HostKeyTooShort { .. }
            | Self::HostKeyRejected { .. }
            | Self::KnownHostsUnreadable { .. }
            | Self::AuthFailed { .. }
            | Self::TooManyKeys { .. }
            | Self::MethodsDisabled { .. }
            | Self::KeyUnusable { .. }
            | Self::NoAgent { .. }
            | Self::PasswordExpired { .. }
            | Self::AuthTimeout { .. }
            | Self::SecretCommand { .. }
            | Self::Unanswerable { .. }
            | Self::ForwardingDenied { .. }
            | Self::ForwardingUnsupported { .. }
            | Self::SystemUnixSocket { .. }
            | Self::Closed
            | Self::Protocol { .. } => false,
        }
    }
}

impl From<SshConfigProblem> for Cause {
    fn from(problem: SshConfigProblem) -> Self {
        Self::SshConfig { problem }
    }
}

impl Cause {
    /// Whether nothing on the other side answered as an SSH server.
    pub(super) fn is_no_handshake(&self) -> bool {
        matches!(
            self,
            Self::NotSsh { .. } | Self::HandshakeTimeout { .. } | Self::ConnectTimeout { .. }
        )
    }

    /// What it means that a login failed for this reason.
    pub(super) fn of_login(self) -> Self {
        match self {
            cause @ (Self::Disconnected { .. }
            | Self::ConnectionLost { .. }
            | Self::KeepaliveTimeout) => Self::EndedDuringLogin {
                cause: Box::new(cause),
            },
            cause => cause,
        }
    }

    /// The loss of the connection that carried this one, if that is what it comes from.
    pub(super) fn loss_below(&self) -> Option<&Error> {
        match self {
            Self::ConnectionLost { source } => {
                let io: &io::Error = source.downcast_ref()?;
                io.get_ref()?.downcast_ref().map(|lost: &Lost| &lost.0)
            }
            Self::EndedDuringLogin { cause } => cause.loss_below(),
            _ => None,
        }
    }

    /// Whether the server answered and hung up, or fell silent, before we were signed in. It may
    /// count such visitors (MaxStartups, PerSourcePenalties).
    pub(super) fn is_before_login(&self) -> bool {
        match self {
            Self::HandshakeClosed { .. }
            | Self::HandshakeTimeout { .. }
            | Self::Disconnected { message: Some(_) } => true,
            Self::EndedDuringLogin { cause } => matches!(**cause, Self::Disconnected { .. }),
            Self::ThroughProxyCommand { cause } => cause.is_before_login(),
            _ => false,
        }
    }

    /// Whether the other side ended the connection before the key exchange was done.
    pub(super) fn is_end_of_handshake(&self) -> bool {
        matches!(
            self,
            Self::HandshakeClosed { .. } | Self::Disconnected { message: None }
        )
    }
}

/// The connection under a stream is gone: this is not the end of the stream's data.
///
/// Found as the source of the [`io::Error`] that [`Stream`](super::Stream) returns.
#[derive(Debug, Clone, thiserror::Error)]
#[error("SSH connection lost: {0}")]
pub struct Lost(pub Error);

/// The stream's reader was too slow, and the stream was given up to protect the others.
///
/// Found as the source of the [`io::Error`] that [`Stream`](super::Stream) returns.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("stream given up: {buffered} bytes were waiting to be read")]
pub struct SlowConsumer {
    pub buffered: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_its_hop_only_on_a_longer_route() {
        let mut place = Place {
            hop: 1,
            hops: 3,
            host: "gpu1".into(),
            port: 22,
            username: "ai".into(),
        };
        assert_eq!(place.to_string(), "gpu1:22 (hop 2 of 3)");
        place.hops = 1;
        assert_eq!(place.to_string(), "gpu1:22");
    }

    #[test]
    fn what_a_jump_host_could_not_reach_is_as_transient_as_its_reason() {
        let via = Place {
            hop: 0,
            hops: 2,
            host: "bastion".into(),
            port: 22,
            username: "ai".into(),
        };
        let destination = Destination::Tcp {
            host: "gpu1".into(),
            port: 22,
        };
        let because = |cause| Cause::NotReachedThrough {
            via: via.clone(),
            cause: Box::new(cause),
        };
        let refused = Cause::DestinationRefused {
            said: None,
            destination: destination.clone(),
        };
        assert!(because(refused).is_transient());
        assert!(!because(Cause::ForwardingDenied { destination }).is_transient());
    }
}
