//! asyncssh, an SSH server in Python that does what its plan says (`tests/lab/asyncssh_server.py`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    find, installed,
    keys::{self, ClientKeys},
    lab,
    process::Process,
};

pub(crate) const USER: &str = "puffin-test";
pub(crate) const PASSWORD: &str = "razorbills nest on ledges";

/// Ok if `tests/lab/install` has installed it.
pub(crate) fn available() -> Result<(), String> {
    installed(&["python3", "ssh-keygen", "setpriv"])?;
    // The note that it is whole.
    let whole = lab().join("asyncssh.from").exists();
    whole
        .then_some(())
        .ok_or_else(|| "asyncssh is not in the test lab; ./check installs it".to_owned())
}

/// A running server.
pub(crate) struct AsyncSsh {
    process: Process,
    port: u16,
    /// Keys that it lets in, unless its plan has others.
    pub(crate) keys: ClientKeys,
    host_key: PathBuf,
    _folder: TempDir,
}

impl AsyncSsh {
    /// Starts a server that lets [`USER`] in by any of [`Self::keys`]; the fields of `plan` (the
    /// script explains them) are put over that.
    pub(crate) fn start(plan: &Value) -> Self {
        let folder = TempDir::with_prefix("puffin-asyncssh-").expect("a folder");
        let path = folder.path();
        let keys = ClientKeys::generate(path);
        let host_key = keys::generate(path, "host_ed25519", "ed25519", "");
        let public = keys.public();
        let mut whole = json!({
            "username": USER, "hostKey": host_key, "authorizedKeys": Vec::from_iter(public.lines()),
        });
        let fields = whole.as_object_mut().expect("an object");
        fields.extend(plan.as_object().expect("an object").clone());
        let file = path.join("plan.json");
        fs::write(&file, whole.to_string()).expect("a plan");

        let command = |port: u16| {
            let mut command = Command::new("env");
            command.arg(format!("PYTHONPATH={}", lab().join("asyncssh").display()));
            command.arg(find("python3").expect("python3")).arg(script());
            command.arg(port.to_string()).arg(&file);
            command
        };
        let log = path.join("log");
        let listens = |_| !events(&fs::read_to_string(&log).unwrap_or_default()).is_empty();
        let (process, port) = Process::start_on_free_port(&log, command, listens);
        Self {
            process,
            port,
            keys,
            host_key,
            _folder: folder,
        }
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The known_hosts line of its only key, an ed25519 one.
    pub(crate) fn host_key_line(&self) -> String {
        keys::known_hosts_line(self.port, &keys::public(&self.host_key))
    }

    /// How often it told of this event so far.
    pub(crate) fn count(&self, event: &str) -> usize {
        count(&self.process.log(), event)
    }

    /// Waits until it told of this event so often.
    pub(crate) async fn wait_count(&self, event: &str, times: usize) {
        let enough = |log: &str| count(log, event) >= times;
        self.process.wait_log(event, enough).await;
    }

    /// Everything it told so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        events(&self.process.log())
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/asyncssh_server.py")
}

/// The events among what it printed; Python's own words are no JSON.
fn events(log: &str) -> Vec<Value> {
    log.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn count(log: &str, name: &str) -> usize {
    let all = events(log);
    all.iter().filter(|event| event["event"] == name).count()
}
