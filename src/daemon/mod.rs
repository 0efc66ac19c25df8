//! The composition root: the only room that knows every other.
//!
//! [`serve`] runs the daemon on two byte pipes. A request goes through `table` to a
//! `handler`, which translates (`wire`), asks the domain rooms, and turns what they say back
//! into the wire's words; errors only in `failure`.

mod admission;
mod audit;
pub mod doctor;
mod ending;
mod failure;
mod handler;
mod host;
mod link;
mod log;
mod route;
mod running;
mod state;
mod status;
mod stream;
mod table;
mod tools;
mod watch;
mod wire;
mod workspace;

use std::{io::Read, path::PathBuf, sync::Arc};

use crate::{protocol, rpc};

pub use crate::conversation::verify as verify_audit;
#[cfg(unix)]
pub use crate::ssh::ask_through;
pub use crate::ssh::{ASKPASS, LocalUser, Variables};
pub use ending::Ending;
pub use log::LogTap;

/// What the daemon's surroundings say; read once, in `main.rs`.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The user's home directory: `~/.ssh` is below it.
    pub home: Option<PathBuf>,
    /// Where the daemon keeps its own files when `initialize` names no place.
    pub data_dir: Option<PathBuf>,
    /// The user running the daemon.
    pub local_user: LocalUser,
    /// This machine's own name.
    pub host_name: String,
    /// The user's shell.
    pub shell: Option<PathBuf>,
    /// OpenSSH's client.
    pub ssh_program: Option<PathBuf>,
    /// This program; started with [`ASKPASS`] set, it passes a question of `ssh` on.
    pub own_program: Option<PathBuf>,
    /// The SSH agent's socket.
    pub ssh_auth_sock: Option<PathBuf>,
    /// Where short-lived files may be put.
    pub temporary: PathBuf,
    /// For `${NAME}` in ssh_config.
    pub variables: Variables,
}

/// Why [`serve`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The host closed our input, can't be written to, or is dead.
    HostGone,
    /// It was asked to.
    Stopped,
    /// The pipes could not be served at all.
    NotStarted,
}

/// Serves a host until its end of input, until it is asked to stop, or until the host's death;
/// then cancels what runs, closes every connection, and returns: within 2 s, or within 300 ms
/// where no host is left to be answered.
pub async fn serve(
    input: impl Read + Send + 'static,
    output: impl Into<rpc::HostPipe>,
    environment: Environment,
    log: LogTap,
    ending: Ending,
) -> End {
    let limits = rpc::Limits {
        message_bytes: protocol::MAX_MESSAGE_BYTES,
        // Where a host does not read, a prompt's events wait and merge; see `stream`.
        queue_bytes: 2 * 1024 * 1024,
        // When no more prompts may run, there is still room to look at them and to cancel them.
        in_flight: 2 * admission::MAX_PROMPTS,
        ..rpc::Limits::default()
    };
    let output: rpc::HostPipe = output.into();
    let (outbound, mut incoming) = match rpc::Peer::start(input, output, limits) {
        Ok(started) => started,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return End::NotStarted;
        }
    };
    let daemon = Arc::new(state::Daemon::new(
        outbound.clone(),
        environment,
        log,
        limits,
    ));
    let router = table::router(&daemon);
    let work = async {
        let end = incoming.serve(&router, &ending.stop).await;
        tracing::debug!(?end, "leaving");
        ending::leave(incoming, &outbound, &daemon).await;
        end
    };
    let end = ending.attend(&outbound, work).await;
    match end {
        rpc::End::Eof | rpc::End::HostGone => End::HostGone,
        rpc::End::Stopped => End::Stopped,
    }
}
