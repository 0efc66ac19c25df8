//! A test's own little world: a home, a project, an SSH server and an LLM server.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::daemon::{Daemon, Launch};
use super::llm_server::LlmServer;
use super::peer::{find, installed, is_here};
use super::ssh_server::{Login, SshServer};

/// The profile that most tests use.
pub(crate) const CONFIG: &str = "lab";
pub(crate) const USER: &str = "ai";
pub(crate) const PASSWORD: &str = "open sesame";

/// Tests with a time limit of the contract's run alone, the others beside each other.
static TURNS: RwLock<()> = RwLock::const_new(());

#[derive(Debug)]
#[expect(dead_code, reason = "held, not looked at")]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// Everything is deleted and stopped when it is dropped. A test makes one, or it may wait for
/// itself.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) ssh: SshServer,
    pub(crate) llm: LlmServer,
    directory: TempDir,
    _turn: Turn,
}

impl Bed {
    /// A world whose SSH server takes a password and whose host key is known.
    pub(crate) async fn start() -> Self {
        Self::with_login(Login::password(USER, PASSWORD)).await
    }

    pub(crate) async fn with_login(login: Login) -> Self {
        let turn = Turn::Shared(TURNS.read().await);
        Self::make(login, turn).await
    }

    /// The same for a test that measures: no other test of this binary runs beside it.
    pub(crate) async fn alone() -> Self {
        let turn = Turn::Alone(TURNS.write().await);
        Self::make(Login::password(USER, PASSWORD), turn).await
    }

    async fn make(login: Login, turn: Turn) -> Self {
        let bed = Self {
            ssh: SshServer::start(login).await.expect("loopback has ports"),
            llm: LlmServer::start().await.expect("loopback has ports"),
            directory: TempDir::with_prefix("puffin-it-").expect("a temporary directory"),
            _turn: turn,
        };
        for part in ["home/.ssh", "project", "data"] {
            std::fs::create_dir_all(bed.path(part)).expect("the directory is new");
        }
        bed.write_known_hosts(&bed.ssh.known_hosts_line());
        bed
    }

    pub(crate) fn path(&self, part: &str) -> PathBuf {
        self.directory.path().join(part)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.path("project")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.path("home/.ssh/known_hosts")
    }

    /// Replaces the user's known_hosts.
    pub(crate) fn write_known_hosts(&self, text: &str) {
        std::fs::write(self.known_hosts(), text).expect("the home is ours");
    }

    /// Writes a file that only its owner may read; returns its path.
    pub(crate) fn write_private(&self, part: &str, text: &str) -> PathBuf {
        let path = self.path(part);
        std::fs::write(&path, text).expect("the directory is ours");
        set_mode(&path, 0o600);
        path
    }

    /// Replaces the user's ssh_config.
    pub(crate) fn write_ssh_config(&self, text: &str) -> PathBuf {
        self.write_private("home/.ssh/config", text)
    }

    pub(crate) fn launch(&self) -> Launch {
        Launch::at(&self.home())
    }

    /// A daemon that finds the programs of `names` and no other.
    fn launch_with_only(&self, names: &[&str]) -> Launch {
        let folder = self.path("bin");
        std::fs::create_dir_all(&folder).expect("the directory is ours");
        for name in names {
            let link = folder.join(name);
            if !link.exists() {
                let program = find(name).expect("the program is installed");
                std::os::unix::fs::symlink(program, link).expect("the directory is ours");
            }
        }
        self.launch().path(&folder)
    }

    /// With the machine's `ssh` to ask about ssh_config, and with none.
    pub(crate) fn both_ways(&self) -> Vec<Launch> {
        let mut ways = vec![self.launch_with_nothing()];
        if is_here("ssh", installed(&["ssh"])) {
            ways.insert(0, self.launch_with_only(&["ssh"]));
        }
        ways
    }

    /// A daemon that finds no program at all.
    pub(crate) fn launch_with_nothing(&self) -> Launch {
        let folder = self.path("empty");
        std::fs::create_dir_all(&folder).expect("the directory is ours");
        self.launch().path(&folder)
    }

    /// A daemon on whose search path a script of ours is called `ssh`.
    pub(crate) fn launch_with_ssh(&self, script: &str) -> Launch {
        let folder = self.path("fake");
        std::fs::create_dir_all(&folder).expect("the directory is ours");
        let program = self.write_private("fake/ssh", &format!("#!/bin/sh\n{script}\n"));
        set_mode(&program, 0o755);
        self.launch().path(&folder)
    }

    /// An initialised daemon that runs so.
    pub(crate) async fn launched(&self, launch: &Launch) -> Daemon {
        let daemon = Daemon::spawn(launch);
        daemon.ok("initialize", self.hello()).await;
        daemon
    }

    /// Params of `initialize` of a host that can do everything.
    pub(crate) fn hello(&self) -> Value {
        self.hello_with(&json!({"executeTool": true, "verifyHostKey": true, "answerPrompt": true}))
    }

    pub(crate) fn hello_with(&self, capabilities: &Value) -> Value {
        json!({
            "protocolVersion": 1,
            "client": {"name": "it", "version": "0"},
            "projectDir": self.project(),
            "dataDir": self.path("data"),
            "capabilities": capabilities,
        })
    }

    /// An initialised daemon whose host can do everything.
    pub(crate) async fn daemon(&self) -> Daemon {
        self.daemon_with(self.hello()).await
    }

    pub(crate) async fn daemon_with(&self, hello: Value) -> Daemon {
        let daemon = Daemon::spawn(&self.launch());
        daemon.ok("initialize", hello).await;
        daemon
    }

    /// An initialised daemon with the profile [`CONFIG`] and the model `smol` selected.
    pub(crate) async fn configured(&self) -> Daemon {
        let daemon = self.daemon().await;
        self.configure(&daemon).await;
        daemon
    }

    /// The same, with these `llm` fields over the usual ones.
    pub(crate) async fn configured_with(&self, llm: &Value) -> Daemon {
        let daemon = self.daemon().await;
        let llm = with(self.llm_params(), llm);
        self.configure_with(&daemon, self.ssh_params(), llm).await;
        self.select(&daemon).await;
        daemon
    }

    /// An initialised daemon with a profile for the LLM server on this port, and these `llm` fields
    /// besides.
    pub(crate) async fn daemon_for(&self, port: u16, more: &Value) -> Daemon {
        let daemon = self.daemon().await;
        let endpoint = json!({"apiEndpoint": format!("http://127.0.0.1:{port}")});
        let llm = with(endpoint, more);
        self.configure_with(&daemon, self.ssh_params(), llm).await;
        daemon
    }

    pub(crate) async fn configure(&self, daemon: &Daemon) {
        self.configure_with(daemon, self.ssh_params(), self.llm_params())
            .await;
        self.select(daemon).await;
    }

    async fn select(&self, daemon: &Daemon) {
        let params = json!({"configId": CONFIG, "modelId": "smol"});
        daemon.ok("remote-llm/select-model", params).await;
    }

    pub(crate) async fn configure_with(&self, daemon: &Daemon, ssh: Value, llm: Value) -> Value {
        daemon
            .ok(
                "remote-llm/configure",
                json!({"configId": CONFIG, "name": "Lab", "ssh": ssh, "llm": llm}),
            )
            .await
    }

    /// The result of a test of an unsaved profile.
    pub(crate) async fn test(&self, daemon: &Daemon, ssh: Value) -> Value {
        let params = json!({"ssh": ssh, "llm": self.llm_params()});
        daemon.ok("remote-llm/test-connection", params).await
    }

    /// How to reach the SSH server; the password is the right one.
    pub(crate) fn ssh_params(&self) -> Value {
        json!({
            "host": "127.0.0.1",
            "port": self.ssh.port(),
            "username": self.ssh.login().user,
            "authMethod": "password",
            "password": PASSWORD,
            "useSshConfig": false,
        })
    }

    pub(crate) fn llm_params(&self) -> Value {
        json!({"apiEndpoint": self.llm.endpoint(), "apiType": "openai-compatible"})
    }
}

/// Params for a server on this machine, whatever the user's ssh_config says; the way to log in
/// is still missing.
pub(crate) fn ssh_to(user: &str, port: u16) -> Value {
    json!({"host": "127.0.0.1", "port": port, "username": user, "useSshConfig": false})
}

/// Params for a login by a key file.
pub(crate) fn by_key(user: &str, port: u16, key: &Path) -> Value {
    let key = json!({"authMethod": "privateKey", "privateKeyPath": key});
    with(ssh_to(user, port), &key)
}

/// `value` with the fields of `changes` put over it.
pub(crate) fn with(mut value: Value, changes: &Value) -> Value {
    if let (Some(fields), Some(changes)) = (value.as_object_mut(), changes.as_object()) {
        fields.extend(changes.clone());
    }
    value
}

/// Params of a prompt with one question.
pub(crate) fn prompt(request_id: &str, question: &str) -> Value {
    json!({
        "configId": CONFIG,
        "requestId": request_id,
        "messages": [{"role": "user", "content": question}],
    })
}

/// A tool that reads a file.
pub(crate) fn read_tool() -> Value {
    json!({
        "name": "Read",
        "description": "Reads a file of this machine.",
        "inputSchema": {
            "type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"],
        },
        "readOnly": true,
    })
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .expect("the file is ours");
}
