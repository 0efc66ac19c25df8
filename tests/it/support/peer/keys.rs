//! Key pairs made by ssh-keygen: a server's and a client's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::run;

/// What unlocks [`ClientKeys::ed25519_locked`].
pub(crate) const PASSPHRASE: &str = "guillemots do not";

/// Private key files that a server lets in; each public key lies beside it as `.pub`.
pub(crate) struct ClientKeys {
    pub(crate) ed25519: PathBuf,
    /// Needs [`PASSPHRASE`].
    pub(crate) ed25519_locked: PathBuf,
    pub(crate) rsa: PathBuf,
}

impl ClientKeys {
    pub(super) fn generate(folder: &Path) -> Self {
        Self {
            ed25519: generate(folder, "id_ed25519", "ed25519", ""),
            ed25519_locked: generate(folder, "id_ed25519_locked", "ed25519", PASSPHRASE),
            rsa: generate(folder, "id_rsa", "rsa", ""),
        }
    }

    /// Their public halves, as lines of authorized_keys.
    pub(super) fn public(&self) -> String {
        [&self.ed25519, &self.ed25519_locked, &self.rsa]
            .map(|key| public(key))
            .concat()
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

/// The line of known_hosts for a server's key.
pub(super) fn known_hosts_line(port: u16, public: &str) -> String {
    format!("[127.0.0.1]:{port} {public}")
}
