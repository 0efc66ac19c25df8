//! OpenSSH's server, with a configuration and host keys of its own.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Instant,
};

use socket2::Socket;
use tempfile::TempDir;

use super::{
    START_LIMIT,
    account::{self, Account},
    find, free_port, installed,
    keys::{self, ClientKeys},
    process::{self, Process},
};
use crate::support::{port, processes::signal};

/// Ok if sshd can be started here.
pub(crate) fn available() -> Result<(), String> {
    installed(&["sshd", "ssh-keygen", "setpriv"])
}

/// Ok if sshd can ask questions (keyboard-interactive), which takes PAM and an account.
pub(crate) fn pam_available() -> Result<(), String> {
    available()?;
    account::available()
}

/// The lines of sshd_config that make it ask for the password through PAM.
pub(crate) const PAM: &[&str] = &["UsePAM yes", "KbdInteractiveAuthentication yes"];

/// A running sshd.
pub(crate) struct Sshd {
    process: Process,
    port: u16,
    /// Keeps the port while it does not listen.
    reserved: Mutex<Option<Socket>>,
    account: Account,
    /// Keys that it lets in.
    pub(crate) keys: ClientKeys,
    folder: TempDir,
}

impl Sshd {
    /// Starts an sshd that lets its account in by any of [`Self::keys`] and, as root,
    /// by its password. `config` are lines of sshd_config, stronger than the defaults.
    pub(crate) fn start(config: &[&str]) -> Self {
        Self::start_for("puffin-test", config)
    }

    /// The same with an account of another name, where there can be accounts at all.
    pub(crate) fn start_for(username: &str, config: &[&str]) -> Self {
        let folder = TempDir::with_prefix("puffin-sshd-").expect("a folder");
        let path = folder.path();
        let account = Account::named(path, username);
        let keys = ClientKeys::generate(path);
        let authorized_keys = account.authorise(&keys.public());
        let host_keys = ["ed25519", "ecdsa", "rsa"]
            .map(|kind| keys::generate(path, &format!("host_{kind}"), kind, ""));
        if account::is_root() {
            fs::create_dir_all("/run/sshd").expect("sshd's empty folder");
        }

        let file = path.join("sshd_config");
        let sshd = find("sshd").expect("an absolute path, which sshd insists on");
        let command = |port| {
            let text = configuration(port, config, &account, &authorized_keys, &host_keys);
            fs::write(&file, text).expect("a configuration");
            let mut command = account.command(&sshd);
            command.args(["-D", "-e", "-f"]).arg(&file);
            command
        };
        let log = path.join("log");
        let (process, port) = Process::start_on_free_port(&log, command, process::greets_as_ssh);
        Self {
            process,
            port,
            reserved: Mutex::default(),
            account,
            keys,
            folder,
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

    /// The account's password; `None` unless the tests run as root.
    pub(crate) fn password(&self) -> Option<&'static str> {
        self.account.password()
    }

    /// The known_hosts line of its ed25519 key; it has an ecdsa and an rsa key, too.
    pub(crate) fn host_key_line(&self) -> String {
        self.host_key_line_of("127.0.0.1", "ed25519")
    }

    /// The same for a client that reaches it at another port.
    pub(crate) fn known_hosts_at(&self, port: u16) -> String {
        let key = self.folder.path().join("host_ed25519");
        keys::known_hosts_line(port, &keys::public(&key))
    }

    /// The same of its `ed25519`, `ecdsa` or `rsa` key, for a client that calls it `name`.
    pub(crate) fn host_key_line_of(&self, name: &str, kind: &str) -> String {
        let key = self.folder.path().join(format!("host_{kind}"));
        format!("[{name}]:{} {}", self.port, keys::public(&key))
    }

    /// How ssh_config says the way in, under a name of its own; more lines may follow.
    pub(crate) fn block(&self, alias: &str) -> String {
        format!(
            "Host {alias}\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n",
            self.port,
            self.account.username,
            self.keys.ed25519.display()
        )
    }

    /// How many logins by a key it has seen.
    pub(crate) fn logins(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    /// `SHA256:…` of its ed25519 key, as `ssh-keygen -l` prints it.
    pub(crate) fn fingerprint(&self) -> String {
        keys::fingerprint(&self.folder.path().join("host_ed25519"))
    }

    /// Nothing listens on its port any more, as while it restarts; its sessions live on. It has
    /// gone to a port that nobody knows.
    pub(crate) async fn stop_listening(&self) {
        self.move_to(free_port()).await;
        let reserve = || port::reserve(self.port).ok();
        let reserved = wait("its port is free", reserve).await;
        *self.reserved.lock().expect("no panic inside") = Some(reserved);
    }

    /// The same, and its sessions end at once.
    pub(crate) async fn stop(&self) {
        self.stop_listening().await;
        self.kill_sessions();
    }

    /// Ends a stop: returns when it listens on its port.
    pub(crate) async fn start_again(&self) {
        self.move_to(self.port).await;
    }

    /// Makes the listener read its configuration anew, with another port in it.
    async fn move_to(&self, port: u16) {
        let file = self.folder.path().join("sshd_config");
        let text = fs::read_to_string(&file).expect("its configuration");
        let line = |line: &str| match line.strip_prefix("Port ") {
            Some(_) => format!("Port {port}\n"),
            None => format!("{line}\n"),
        };
        let text: String = text.lines().map(line).collect();
        fs::write(&file, text).expect("its configuration");
        signal("HUP", &[self.listener()]);
        let greets = || process::greets_as_ssh((Ipv4Addr::LOCALHOST, port).into());
        wait("it listens again", || greets().then_some(())).await;
    }

    /// Ends every live session at once, as a crash or a cut does; the listener lives on.
    pub(crate) fn kill_sessions(&self) {
        signal("KILL", &self.sessions());
    }

    /// Its sessions do nothing any more, while their TCP connections stay: a suspended machine.
    pub(crate) fn freeze(&self) {
        signal("STOP", &self.sessions());
    }

    pub(crate) fn thaw(&self) {
        signal("CONT", &self.sessions());
    }

    /// The ids of the processes that serve its connections: one or two for each.
    pub(crate) fn sessions(&self) -> Vec<u32> {
        let mut family = self.process.family();
        family.drain(..=self.generations_above());
        family
    }

    fn listener(&self) -> u32 {
        let family = self.process.family();
        *family.get(self.generations_above()).expect("it is running")
    }

    /// In namespaces of its own, the listener is a child of `unshare`.
    fn generations_above(&self) -> usize {
        usize::from(self.account.password().is_some())
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until its log fits; returns it.
    pub(crate) async fn wait_log(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        self.process.wait_log(what, fits).await
    }
}

/// For something that the process does not tell.
async fn wait<R>(what: &str, find: impl Fn() -> Option<R>) -> R {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(process::LOOK_AGAIN).await;
    }
}

fn configuration(
    port: u16,
    stronger: &[&str],
    account: &Account,
    authorized_keys: &Path,
    host_keys: &[PathBuf],
) -> String {
    // sshd takes the first value that it reads.
    let mut lines: Vec<String> = stronger.iter().map(|line| (*line).to_owned()).collect();
    lines.extend(
        host_keys
            .iter()
            .map(|key| format!("HostKey {}", key.display())),
    );
    let passwords = if account.password().is_some() {
        "yes"
    } else {
        "no"
    };
    lines.extend([
        format!("Port {port}"),
        "ListenAddress 127.0.0.1".to_owned(),
        format!("AllowUsers {}", account.username),
        format!("AuthorizedKeysFile {}", authorized_keys.display()),
        "StrictModes no".to_owned(), // the folder lies in a shared one
        format!("PasswordAuthentication {passwords}"),
        "KbdInteractiveAuthentication no".to_owned(),
        "UsePAM no".to_owned(),
        "PidFile none".to_owned(),
        "LogLevel VERBOSE".to_owned(),
        "UseDNS no".to_owned(),
    ]);
    // Of this one it takes the last.
    if !stronger.iter().any(|line| line.starts_with("MaxStartups")) {
        lines.push("MaxStartups 100:30:200".to_owned());
    }
    lines.join("\n") + "\n"
}
