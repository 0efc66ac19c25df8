//! Where the daemon's binary is: an example can't count on it being built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The daemon's binary: `REMOTE_LLM_BIN`, or the one beside this example, which cargo brings up to
/// date first.
pub(crate) fn find() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("REMOTE_LLM_BIN") {
        return Ok(PathBuf::from(path));
    }
    let example = std::env::current_exe().map_err(|error| error.to_string())?;
    // target/<profile>/examples/quickstart
    let directory = example
        .ancestors()
        .nth(2)
        .ok_or("this example is not in a target directory; set REMOTE_LLM_BIN")?;
    let built = build(directory);
    let binary = directory.join(format!("puffin-remote-llm{}", std::env::consts::EXE_SUFFIX));
    if binary.is_file() {
        Ok(binary)
    } else {
        built?;
        Err(format!("{} is not there after all", binary.display()))
    }
}

/// Builds it with the profile of this example. Quick when nothing changed.
fn build(directory: &Path) -> Result<(), String> {
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(name) => name,
    };
    let target = directory.parent().ok_or("no target directory")?;
    let status = Command::new(env!("CARGO"))
        // With the example beside it, dependencies have the features they were just built with.
        .args([
            "build",
            "--bin",
            "puffin-remote-llm",
            "--example",
            "quickstart",
        ])
        .args(["--profile", profile])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err("the daemon did not build".to_owned())
    }
}
