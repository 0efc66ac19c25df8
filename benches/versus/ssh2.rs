//! The npm package ssh2, installed into `target/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Pinned, so that figures can be compared.
const VERSION: &str = "1.17.0";

/// Where it is.
#[derive(Clone, Debug)]
pub(crate) struct Ssh2 {
    /// A file beside its folder, to be required from.
    pub(crate) anchor: PathBuf,
    /// Its ciphers in C++ could be built; otherwise it has JavaScript's and Node's.
    pub(crate) is_native: bool,
}

/// Installs it if it is not there; the error says why it can't be.
pub(crate) fn install() -> Result<Ssh2, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("versus");
    let package = folder.join("node_modules/ssh2");
    if !package.join("package.json").exists() {
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let output = Command::new("npm")
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
                "--prefix",
            ])
            .arg(&folder)
            .arg(format!("ssh2@{VERSION}"))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("npm does not start: {error}"))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            let why = why.lines().next().unwrap_or_default();
            return Err(format!("npm could not install it: {why}"));
        }
    }
    Ok(Ssh2 {
        anchor: folder.join("anchor.js"),
        is_native: package
            .join("lib/protocol/crypto/build/Release/sshcrypto.node")
            .exists(),
    })
}
