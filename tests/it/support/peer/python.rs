//! LLM servers in Python: LiteLLM's proxy and llama-cpp-python's server.

use std::{env, fs, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    find, installed, lab, llama,
    process::{self, Process},
};

/// The key that they want.
pub(crate) const KEY: &str = "sk-lab-1";
/// LiteLLM's model group.
pub(crate) const POOL: &str = "pool";
/// The tokens that fit into llama-cpp-python's.
pub(crate) const CONTEXT_WINDOW: u32 = 2048;

/// Ok if `tests/lab/install` has installed LiteLLM.
pub(crate) fn litellm_available() -> Result<(), String> {
    available("litellm")
}

/// Ok if `tests/lab/install` has built llama.cpp, and fetched the rest of llama-cpp-python and its
/// model.
pub(crate) fn llama_cpp_python_available() -> Result<(), String> {
    llama::built()?;
    llama::model_available()?;
    available("llama-cpp-python")
}

fn available(name: &str) -> Result<(), String> {
    installed(&["python3", "setpriv"])?;
    // The note that it is whole.
    let whole = lab().join(format!("{name}.from")).exists();
    whole
        .then_some(())
        .ok_or_else(|| format!("{name} is not in the test lab; ./check installs it"))
}

/// A running server.
pub(crate) struct Server {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Server {
    /// Starts LiteLLM's proxy in front of servers of [`llama::MODEL`] on these ports, which
    /// together are the model [`POOL`].
    pub(crate) fn litellm(backends: &[u16]) -> Self {
        let model = |port: &u16| {
            json!({
                "model_name": POOL,
                "litellm_params": {
                    "model": format!("openai/{}", llama::MODEL),
                    "api_base": format!("http://127.0.0.1:{port}/v1"),
                    "api_key": "none",
                },
            })
        };
        // YAML takes JSON.
        let config = json!({
            "model_list": backends.iter().map(model).collect::<Vec<Value>>(),
            "general_settings": {"master_key": KEY},
            "router_settings": {"num_retries": 0},
        });
        let command = |folder: &Path, port: u16| {
            let file = folder.join("config.yaml");
            fs::write(&file, config.to_string()).expect("a configuration");
            let mut command = python(&["litellm"]);
            command.args(["-c", "from litellm import run_server; run_server()"]);
            command.arg("--config").arg(&file);
            command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
            command.args(["--telemetry", "False"]);
            command
        };
        Self::start(command, "/health/liveliness")
    }

    /// Starts llama-cpp-python's server, with [`CONTEXT_WINDOW`] tokens of context and [`KEY`]; it
    /// has loaded its model.
    pub(crate) fn llama_cpp_python() -> Self {
        let command = |_: &Path, port: u16| {
            // The package with its libraries, and what it imports.
            let mut command = python(&["llama.cpp", "llama-cpp-python"]);
            command.args(["-m", "llama_cpp.server", "--model"]);
            command.arg(lab().join("smol.gguf"));
            command.args(["--model_alias", llama::MODEL, "--n_threads", "1"]);
            command.args(["--verbose", "False"]);
            command.args(["--n_ctx", &CONTEXT_WINDOW.to_string(), "--api_key", KEY]);
            command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
            command
        };
        // It listens only once the model is there; this is the one place that wants no key.
        Self::start(command, "/openapi.json")
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until the log fits; returns it.
    pub(crate) async fn wait_log(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        self.process.wait_log(what, fits).await
    }

    /// Starts a server; it is there when it answers 200 under `path`.
    fn start(command: impl Fn(&Path, u16) -> Command, path: &str) -> Self {
        let folder = TempDir::with_prefix("puffin-python-").expect("a folder");
        let log = folder.path().join("log");
        let (process, port) = Process::start_on_free_port(
            &log,
            |port| command(folder.path(), port),
            |address| process::answers_ok(address, path),
        );
        Self {
            process,
            port,
            _folder: folder,
        }
    }
}

/// Python with the packages of folders of the lab, and no way to the internet to look for.
fn python(packages: &[&str]) -> Command {
    let folders = packages.iter().map(|packages| lab().join(packages));
    let path = env::join_paths(folders).expect("no colon in the lab's path");
    let mut command = Command::new("env");
    command.arg(format!("PYTHONPATH={}", path.display()));
    command.args(["LITELLM_LOCAL_MODEL_COST_MAP=True", "DO_NOT_TRACK=1"]);
    // What it prints is in the log at once.
    command.arg("PYTHONUNBUFFERED=1");
    command.arg(find("python3").expect("python3"));
    command
}
