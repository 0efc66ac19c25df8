//! The user whom the SSH servers let in.
//!
//! As root: `puffin-test`, an account that exists only in the servers' own view of
//! the machine. Each runs in a mount namespace of its own, whose passwd, group, shadow
//! and PAM files are ours, so the machine's are never touched, and in a process
//! namespace, so its sessions cannot outlive it. Otherwise: whoever runs the tests,
//! without a password, which only sshd can do.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use super::run;

/// The password of `puffin-test`.
pub(crate) const PASSWORD: &str = "puffins nest in burrows";
/// Its SHA-512 crypt, as `openssl passwd -6` makes it.
const PASSWORD_HASH: &str = "$6$puffin$mkhya1Am3ynSKDY97vA6OCc8dOPZIS3jbD3AgBnSurDYOMpl4jzs4ZPgDtF9pm6MRDMY50kV5up7OrZ/0h/UD/";
const ID: u32 = 61_000;
/// What sshd's PAM service does: it asks for the password, and for nothing else of this machine.
const PAM_SERVICE: &str = "\
auth required pam_unix.so nodelay
account required pam_unix.so
session required pam_permit.so
";

/// Ok if the servers can have an account of their own, with a password.
pub(crate) fn available() -> Result<(), String> {
    static ISOLATION: LazyLock<Result<(), String>> = LazyLock::new(|| {
        if !is_root() {
            return Err("an account with a password needs root".into());
        }
        let attempt = isolated()
            .arg("true")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("unshare: {error}"))?;
        attempt.status.success().then_some(()).ok_or_else(|| {
            let problem = String::from_utf8_lossy(&attempt.stderr);
            format!("no mount namespaces here: {}", problem.trim())
        })
    });
    ISOLATION.clone()
}

/// The account of one server, made in that server's own folder.
pub(super) struct Account {
    pub(super) username: String,
    pub(super) home: PathBuf,
    /// The folder of its passwd, group, shadow and pam.d; `None`: the account of whoever runs the tests.
    etc: Option<PathBuf>,
}

impl Account {
    pub(super) fn create(folder: &Path) -> Self {
        Self::named(folder, "puffin-test")
    }

    /// One with a name of its own, where there can be accounts at all.
    pub(super) fn named(folder: &Path, username: &str) -> Self {
        let home = folder.join("home");
        fs::create_dir(&home).expect("a home");
        if available().is_err() {
            let username = run(Command::new("id").arg("-un")).trim().to_owned();
            return Self {
                username,
                home,
                etc: None,
            };
        }

        let username = username.to_owned();
        let etc = folder.join("etc");
        fs::create_dir_all(etc.join("pam.d")).expect("a folder");
        let passwd = format!(
            "root:x:0:0:root:/root:/bin/sh\n\
             sshd:x:61001:61001::/run/sshd:/usr/sbin/nologin\n\
             {username}:x:{ID}:{ID}::{}:/bin/sh\n",
            home.display()
        );
        let group = format!("root:x:0:\ntty:x:5:\nsshd:x:61001:\n{username}:x:{ID}:\n");
        let shadow = format!("root:*:20000::::::\n{username}:{PASSWORD_HASH}:20000:0:99999:7:::\n");
        for (name, text) in [
            ("passwd", passwd.as_str()),
            ("group", &group),
            ("shadow", &shadow),
            ("pam.d/sshd", PAM_SERVICE),
        ] {
            fs::write(etc.join(name), text).expect("an account file");
        }
        // The servers turn into the account's user before they read its home.
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("permissions");
        let account = Self {
            username,
            home,
            etc: Some(etc),
        };
        account.give(&account.home, 0o700);
        account
    }

    /// The account's password, if it has one.
    pub(super) fn password(&self) -> Option<&'static str> {
        self.etc.as_ref().map(|_| PASSWORD)
    }

    /// Lets a client in that holds one of these public keys (lines of authorized_keys).
    pub(super) fn authorise(&self, public_keys: &str) -> PathBuf {
        let folder = self.home.join(".ssh");
        fs::create_dir(&folder).expect("a folder");
        self.give(&folder, 0o700);
        let file = folder.join("authorized_keys");
        fs::write(&file, public_keys).expect("authorized_keys");
        self.give(&file, 0o600);
        file
    }

    /// The command that runs a program where this account exists.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        let Some(etc) = &self.etc else {
            return Command::new(program.as_ref());
        };
        let script = r#"
            for file in passwd group shadow; do mount --bind "$1/$file" "/etc/$file"; done
            [ ! -d /etc/pam.d ] || mount --bind "$1/pam.d" /etc/pam.d
            shift
            exec "$@""#;
        let mut command = isolated();
        command.args(["sh", "-euc", script, "sh"]);
        command.arg(etc).arg(program.as_ref());
        command
    }

    fn give(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
        if self.etc.is_some() {
            chown(path, Some(ID), Some(ID)).expect("an owner");
        }
    }
}

/// The start of a command line that runs the rest in namespaces of its own.
fn isolated() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child=KILL", "--"]);
    command
}

pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
