//! Key pairs made by ssh-keygen: a server's and a client's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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
pub(super) fn public(private: &Path) -> String {
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
