//! Real peers on loopback: OpenSSH's sshd and agent, dropbear, asyncssh, llama.cpp's
//! llama-server, LiteLLM's proxy, llama-cpp-python's server and GNOME's keyring.
//!
//! Each is a value: `start` returns when it answers, dropping it kills it with all
//! its children, and it dies with the test process however that ends. They share
//! nothing, so any number run at once. Starting blocks the thread for up to a second.
//! A peer that is installed but does not start is a failed test, with the peer's log.
//!
//! `./check` installs the peers. A test that needs one begins with
//!
//! ```ignore
//! if !peer::is_here("sshd", sshd::available()) { return; }
//! ```

pub(crate) mod account;
pub(crate) mod agent;
pub(crate) mod asyncssh;
pub(crate) mod dropbear;
pub(crate) mod keyring;
pub(crate) mod keys;
pub(crate) mod llama;
mod process;
pub(crate) mod python;
pub(crate) mod sshd;
mod tests;

use std::{
    collections::BTreeSet,
    env,
    io::{self, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::Duration,
};

/// How long a peer may take to answer after its start: a busy CI machine, not a hang.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Whether a test can use a peer: true if it is there, and otherwise false after a
/// line on stderr that says why the test is skipped. With `PUFFIN_REQUIRE_PEERS=1`,
/// as in CI, a missing peer fails the test instead.
pub(crate) fn is_here(name: &str, available: Result<(), String>) -> bool {
    let Err(reason) = available else { return true };
    assert!(
        env::var_os("PUFFIN_REQUIRE_PEERS").is_none_or(|value| value != "1"),
        "real peer {name} is required and missing: {reason}"
    );
    // Not `eprintln!`, which the test runner hides when a test passes.
    let line = format!("SKIPPED real peer {name}: {reason}\n");
    io::stderr().write_all(line.as_bytes()).expect("stderr");
    false
}

/// The folder that `tests/lab/install` fills.
fn lab() -> PathBuf {
    env::var_os("PUFFIN_TEST_LAB").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-lab"),
        PathBuf::from,
    )
}

/// Ok if these programs are on the machine.
pub(crate) fn installed(programs: &[&str]) -> Result<(), String> {
    match programs.iter().find(|program| find(program).is_none()) {
        Some(missing) => Err(format!("{missing} is not installed; ./check installs it")),
        None => Ok(()),
    }
}

/// Looks a program up as a shell does, also where only root's `PATH` leads.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Runs a short command to its end and returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A port on which nothing listens now, and that no other caller was given. A process
/// of someone else's may yet take it, so [`process::Process::start_on_free_port`] tries again.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        if GIVEN.lock().expect("no panic inside").insert(port) {
            return port;
        }
    }
}
