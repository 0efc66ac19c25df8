//! Reaches a machine as OpenSSH would, and opens byte streams on it.
//!
//! The way of a connection: [`Plan`] → `ssh_config` → [`Target`] → `tcp` (or a
//! `proxy_command`, or a channel of the hop before) → `egress` → russh's handshake
//! → `host_key` → `auth` → [`Session`] → `channel_io` → [`Stream`]. [`Pool`] shares
//! sessions; [`connect`] makes one apart. What only a person can answer goes through
//! a [`Prompter`]. The `system`'s own `ssh` can take the place of all that comes
//! after the target.
//!
//! russh's types stop at the door of this room, and its traps are dealt with
//! here: it has no time limits, stops a whole connection for one unread channel,
//! calls a lost connection the end of the data, and leaks channels.
//!
//! What this room does not do: run anything on the other machine.

mod algorithms;
mod auth;
mod backlog;
mod channel_io;
mod child;
mod clock;
mod confided;
mod connect;
mod draft;
mod egress;
mod error;
mod flight;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handler;
mod host_key;
mod known_hosts;
mod link;
mod memory;
mod observe;
mod openings;
mod plan;
mod pool;
mod prompt;
mod proxy_command;
mod secret_command;
mod session;
mod ssh_config;
mod stages;
mod stream;
mod system;
mod target;
mod tcp;
#[cfg(test)]
mod tests;
mod text;

pub use self::connect::connect;
pub use self::draft::{Draft, DraftProblem, parse as parse_draft};
pub use self::error::{
    AgentProblem, AlgorithmList, AuthAttempt, AuthOutcome, Cause, CertificateProblem, Error,
    HostCertificate, HostCertificateProblem, HostKeyInfo, KeyProblem, KnownKey, Lost, NotTrusted,
    Place, SecretCommandProblem, SlowConsumer, SystemProblem,
};
pub use self::memory::Memory;
pub use self::observe::{NoObserver, Observer, Stage, StageOutcome, StageReport};
pub use self::plan::{Plan, Resolved, Stop};
pub use self::pool::{Pool, State, Step};
pub use self::prompt::{
    Answers, BoxFuture, HostKeyDecision, HostKeyQuestion, HostKeyReason, KnownAs, NoPrompter,
    Prompt, PromptFailure, PromptKind, PromptQuestion, Prompter,
};
pub use self::session::{Lifetime, Session};
pub use self::ssh_config::{Problem as SshConfigProblem, aliases};
pub use self::stream::Stream;
pub use self::system::ASKPASS;
#[cfg(unix)]
pub use self::system::ask_through;
pub use self::target::{
    AddressFamily, Algorithms, AuthMethod, Destination, Environment, Hop, HostKeyPolicy, IDLE,
    KnownHostsFiles, LocalUser, SecretSource, Target, Transport, Variables,
};
