//! Dropbear, the SSH server of small machines.

use std::{path::PathBuf, process::Command};

use tempfile::TempDir;

use super::{
    account::{self, Account},
    find, installed,
    keys::{self, ClientKeys},
    process::{self, Process},
    run,
};

/// Ok if dropbear can be started here. It reads its keys from the account's home
/// only, so it needs an account of its own, and that needs root.
pub(crate) fn available() -> Result<(), String> {
    installed(&["dropbear", "dropbearkey", "ssh-keygen", "setpriv"])?;
    account::available()
}

/// A running dropbear.
pub(crate) struct Dropbear {
    process: Process,
    port: u16,
    account: Account,
    /// Keys that it lets in.
    pub(crate) keys: ClientKeys,
    host_key: PathBuf,
    _folder: TempDir,
}

impl Dropbear {
    /// Starts a dropbear that lets its account in by any of [`Self::keys`] and by
    /// its password. `options` are added to its command line: `-s` for no passwords,
    /// `-j` for no forwarding.
    pub(crate) fn start(options: &[&str]) -> Self {
        let folder = TempDir::with_prefix("puffin-dropbear-").expect("a folder");
        let path = folder.path();
        let account = Account::create(path);
        let keys = ClientKeys::generate(path);
        account.authorise(&keys.public());
        let host_key = path.join("host_ed25519");
        run(Command::new("dropbearkey")
            .args(["-t", "ed25519", "-f"])
            .arg(&host_key));

        let dropbear = find("dropbear").expect("dropbear");
        let command = |port| {
            let mut command = account.command(&dropbear);
            // In the foreground, log on stderr, no root, host keys only from here.
            command.args(["-F", "-E", "-w", "-p", &format!("127.0.0.1:{port}")]);
            command.arg("-P").arg(path.join("pid"));
            command.arg("-r").arg(&host_key).args(options);
            command
        };
        let log = path.join("log");
        let (process, port) = Process::start_on_free_port(&log, command, process::greets_as_ssh);
        Self {
            process,
            port,
            account,
            keys,
            host_key,
            _folder: folder,
        }
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The one account that it lets in.
    pub(crate) fn username(&self) -> &str {
        &self.account.username
    }

    /// The account's password.
    pub(crate) fn password(&self) -> &'static str {
        account::PASSWORD
    }

    /// The known_hosts line of its only key, an ed25519 one.
    pub(crate) fn host_key_line(&self) -> String {
        let printed = run(Command::new("dropbearkey")
            .arg("-y")
            .arg("-f")
            .arg(&self.host_key));
        let public = printed.lines().find(|line| line.starts_with("ssh-"));
        keys::known_hosts_line(self.port, public.expect("a public key")) + "\n"
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}
