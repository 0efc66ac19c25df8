//! OpenSSH's agent.

use std::{
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{find, installed, process::Process, run};

/// Ok if an agent can be started here.
pub(crate) fn available() -> Result<(), String> {
    installed(&["ssh-agent", "ssh-add", "setpriv"])
}

/// A running ssh-agent.
pub(crate) struct Agent {
    _process: Process,
    folder: TempDir,
}

impl Agent {
    /// Starts an agent that holds these keys, and the certificates beside them.
    pub(crate) fn start(keys: &[&Path]) -> Self {
        let folder = TempDir::with_prefix("puffin-agent-").expect("a folder");
        let socket = folder.path().join("socket");
        // It is there before the agent listens on it.
        let answers = || UnixStream::connect(&socket).is_ok();
        let agent = Self {
            _process: Process::start(&folder.path().join("log"), command(&socket), answers),
            folder,
        };
        for key in keys {
            let mut add = Command::new("ssh-add");
            run(add.arg("-q").arg(key).env("SSH_AUTH_SOCK", agent.socket()));
        }
        agent
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

fn command(socket: &Path) -> Command {
    let mut command = Command::new(find("ssh-agent").expect("ssh-agent"));
    command.arg("-D").arg("-a").arg(socket);
    command
}
