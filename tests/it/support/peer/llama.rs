//! llama.cpp's server with SmolLM2-135M-Instruct: small, and real.

use std::{net::SocketAddr, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    installed, lab,
    process::{self, Process},
};

/// The model's id.
pub(crate) const MODEL: &str = "smol";
/// The tokens that its one slot holds.
pub(crate) const CONTEXT_WINDOW: u32 = 4096;

/// Ok if `tests/lab/install` has built the server and fetched the model.
pub(crate) fn available() -> Result<(), String> {
    installed(&["setpriv"])?;
    built()?;
    model_available()
}

/// Ok if `tests/lab/install` has built llama.cpp: its server, and its libraries for Python.
pub(super) fn built() -> Result<(), String> {
    is_whole("llama.cpp")
}

/// Ok if `tests/lab/install` has fetched the model.
pub(super) fn model_available() -> Result<(), String> {
    is_whole("smol.gguf")
}

/// Looks for the note that it is.
fn is_whole(name: &str) -> Result<(), String> {
    if lab().join(format!("{name}.from")).exists() {
        Ok(())
    } else {
        Err(format!("{name} is not in the test lab; ./check builds it"))
    }
}

/// A running llama-server.
pub(crate) struct Llama {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Llama {
    /// Starts a llama-server that has loaded its model. `options` are added to its
    /// command line: `--api-key KEY`, `--metrics`.
    pub(crate) fn start(options: &[&str]) -> Self {
        // 503 while it loads the model.
        Self::start_until(|address| process::answers_ok(address, "/health"), options)
    }

    /// Starts a llama-server that listens, and loads its model yet.
    pub(crate) fn start_loading(options: &[&str]) -> Self {
        Self::start_until(|address| process::connect(address).is_some(), options)
    }

    fn start_until(there: impl Fn(SocketAddr) -> bool, options: &[&str]) -> Self {
        let folder = TempDir::with_prefix("puffin-llama-").expect("a folder");
        let data = data();
        let command = |port: u16| {
            let mut command = Command::new(lab().join("llama.cpp/llama-server"));
            command.arg("-m").arg(lab().join("smol.gguf"));
            command.args(["--alias", MODEL, "--host", "127.0.0.1"]);
            command.args(["--port", &port.to_string()]);
            command.args(["-c", &CONTEXT_WINDOW.to_string()]);
            // One thread: two servers with two each on two busy cores mostly wait for each other.
            command.args(["-np", "1", "-t", "1", "-b", "128", "--jinja", "--no-ui"]);
            command.arg("--chat-template-file");
            command.arg(data.join("hermes.jinja")).args(options);
            command
        };
        let log = folder.path().join("log");
        let (process, port) = Process::start_on_free_port(&log, command, there);
        Self {
            process,
            port,
            _folder: folder,
        }
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

/// A prompt that makes the model call the tool `Read {path}` with this very path, and
/// then answer with the file's text: `system`, `messages`, `tools` and `temperature`
/// as prompt parameters. Send it with `toolChoice` `required`; the result's round
/// must be `auto`.
///
/// Three worked examples show a model of this size what a call is, and the schema
/// allows no other path, for it copies unusual ones badly.
pub(crate) fn read_tool_prompt(path: &str) -> Value {
    let file = data().join("read-tool.json");
    let text = std::fs::read_to_string(file).expect("read-tool.json");
    let mut prompt: Value = serde_json::from_str(&text).expect("JSON");
    prompt["tools"][0]["inputSchema"]["properties"]["path"]["enum"] = json!([path]);
    let question = json!({ "role": "user", "content": format!("Read the file {path}.") });
    let messages = prompt["messages"].as_array_mut().expect("messages");
    messages.push(question);
    prompt
}

fn data() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/llama")
}
