//! Key pairs made by ssh-keygen: a server's and a client's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tempfile::TempDir;

use super::run;

/// What unlocks [`ClientKeys::ed25519_locked`].
pub(crate) const PASSPHRASE: &str = "guillemots do not";

/// Private key files that a server lets in; each public key lies beside it as `.pub`.
pub(crate) struct ClientKeys {
    pub(crate) ed25519: PathBuf,
    /// Needs [`PASSPHRASE`].
    pub(crate) ed25519_locked: PathBuf,
    pub(crate) ecdsa: PathBuf,
    pub(crate) rsa: PathBuf,
}

impl ClientKeys {
    pub(super) fn generate(folder: &Path) -> Self {
        Self {
            ed25519: generate(folder, "id_ed25519", "ed25519", ""),
            ed25519_locked: generate(folder, "id_ed25519_locked", "ed25519", PASSPHRASE),
            ecdsa: generate(folder, "id_ecdsa", "ecdsa", ""),
            rsa: generate(folder, "id_rsa", "rsa", ""),
        }
    }

    /// Their public halves, as lines of authorized_keys.
    pub(super) fn public(&self) -> String {
        [&self.ed25519, &self.ed25519_locked, &self.ecdsa, &self.rsa]
            .map(|key| public(key))
            .concat()
    }
}

/// Vouches for users: a server that trusts it lets in whoever holds one of its certificates.
pub(crate) struct Authority {
    key: PathBuf,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn generate() -> Self {
        let folder = TempDir::with_prefix("puffin-ca-").expect("a folder");
        let key = generate(folder.path(), "ca", "ed25519", "");
        Self { key, folder }
    }

    /// The file with its public half.
    pub(crate) fn public_file(&self) -> PathBuf {
        self.key.with_extension("pub")
    }

    pub(crate) fn public(&self) -> String {
        public(&self.key)
    }

    /// A new key that nobody knows, with its certificate `NAME-cert.pub` beside it; `kind` is
    /// ssh-keygen's `-t`, `validity` its `-V`.
    pub(crate) fn certify(
        &self,
        name: &str,
        kind: &str,
        principal: &str,
        validity: &str,
    ) -> PathBuf {
        let key = generate(self.folder.path(), name, kind, "");
        let mut command = Command::new("ssh-keygen");
        command.arg("-q").arg("-s").arg(&self.key);
        command.args(["-I", name, "-n", principal, "-V", validity]);
        run(command.arg(key.with_extension("pub")));
        key
    }
}

impl Authority {
    /// A server's key and its certificate for a name.
    pub(crate) fn certify_host(&self, name: &str, principal: &str) -> (PathBuf, PathBuf) {
        let key = generate(self.folder.path(), name, "ed25519", "");
        let mut command = Command::new("ssh-keygen");
        command.arg("-q").arg("-s").arg(&self.key).arg("-h");
        command.args(["-I", name, "-n", principal, "-V", "-5m:+1h"]);
        run(command.arg(key.with_extension("pub")));
        let certificate = self.folder.path().join(format!("{name}-cert.pub"));
        (key, certificate)
    }
}

/// An ECDSA key whose secret number has a leading zero byte, which ssh-keygen leaves out: one in
/// 512 of its keys is such a key.
pub(crate) fn short_ecdsa(folder: &Path) -> PathBuf {
    loop {
        let file = generate(folder, "id_short", "ecdsa", "");
        if secret_length(&file) < 32 {
            return file;
        }
        for half in [&file, &file.with_extension("pub")] {
            fs::remove_file(half).expect("the file is ours");
        }
    }
}

/// How many bytes the secret number of an ECDSA key without a passphrase has.
fn secret_length(private: &Path) -> usize {
    let decode = |text: &str| STANDARD.decode(text).expect("base64");
    let text = fs::read_to_string(private).expect("a private key");
    let whole: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let whole = decode(&whole);
    let public = decode(public(private).split(' ').nth(1).expect("a public key"));
    // The point stands among the public parts, and again before the secret's length.
    let (_, point) = public.split_at(public.len() - 65);
    let parts: Vec<_> = whole.windows(65).enumerate().collect();
    let last = parts.iter().rfind(|(_, part)| *part == point);
    let (at, _) = last.expect("its own public half");
    let length = whole.iter().skip(at + 65).take(4);
    length.fold(0, |sum, byte| sum * 256 + usize::from(*byte))
}

/// Makes a key pair; `kind` is ssh-keygen's `-t`.
pub(super) fn generate(folder: &Path, name: &str, kind: &str, passphrase: &str) -> PathBuf {
    let file = folder.join(name);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", kind, "-N", passphrase, "-C", name, "-f"]);
    if kind == "rsa" {
        command.arg(&file).args(["-b", "2048"]);
    } else {
        command.arg(&file);
    }
    run(&mut command);
    file
}

/// The public half of a key: one line, `type base64 comment`.
pub(crate) fn public(private: &Path) -> String {
    fs::read_to_string(private.with_extension("pub")).expect("a public key")
}

/// `SHA256:…`, as `ssh-keygen -l` prints it.
pub(super) fn fingerprint(private: &Path) -> String {
    let printed = run(Command::new("ssh-keygen").arg("-lf").arg(private));
    let fingerprint = printed.split(' ').nth(1);
    fingerprint.expect("bits, fingerprint, comment").to_owned()
}

/// The line of known_hosts for a server's key.
pub(super) fn known_hosts_line(port: u16, public: &str) -> String {
    format!("[127.0.0.1]:{port} {public}")
}
