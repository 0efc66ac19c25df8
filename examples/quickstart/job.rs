//! The main job, step by step, each with what it took as measured here.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Arguments;
use crate::client::{Client, Failure};
use crate::embedded::Machine;
use crate::host::{Host, Prompt};
use crate::{binary, terminal};

const CONFIG: &str = "quickstart";

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let file = file_to_read()?;
    let machine = match arguments.ssh {
        Some(_) => None,
        None => Some(
            Machine::start(&file)
                .await
                .map_err(|error| format!("loopback: {error}"))?,
        ),
    };
    introduce(machine.as_ref());
    let binary = binary::find()?;

    // Project, data and (for the embedded machine) home; deleted at the end, also of a failure.
    let folder = TempDir::with_prefix("puffin-quickstart-").map_err(|error| error.to_string())?;
    std::fs::create_dir(folder.path().join("project")).map_err(|error| error.to_string())?;
    let home = machine.as_ref().map(|_| folder.path());
    let mut host = Host {
        file,
        expected_key: machine.as_ref().map(Machine::fingerprint),
        asked: Duration::ZERO,
        prompt: Prompt::default(),
    };

    let mut step = Step::begin(1, "start the daemon");
    let mut client = Client::start(&binary, home)?;
    let hello = client
        .call(&mut host, "initialize", hello(folder.path()))
        .await?;
    step.done(&format!(
        "{} {}, protocol {}",
        shown(&hello["server"]["name"]),
        shown(&hello["server"]["version"]),
        hello["protocolVersion"]
    ));

    step = Step::begin(2, "save the profile");
    let (ssh, endpoint) = target(&arguments, machine.as_ref())?;
    let to = format!("{} → {endpoint} as seen from there", shown_target(&ssh));
    let profile = json!({
        "configId": CONFIG, "name": "Quickstart", "ssh": ssh, "llm": {"apiEndpoint": endpoint},
    });
    let saved = client
        .call(&mut host, "remote-llm/configure", profile)
        .await?;
    step.done(&to);
    for warning in saved["warnings"].as_array().into_iter().flatten() {
        terminal::line(&format!(" warning │ {}", shown(warning)));
    }

    step = Step::begin(3, "test the connection");
    let config = json!({"configId": CONFIG});
    let tested = client
        .call(&mut host, "remote-llm/test-connection", config.clone())
        .await?;
    show_stages(&tested);
    if tested["success"] != true {
        return Err(Failure::of(&tested["error"]));
    }
    step.done_without(host.asked, "every stage passed");

    step = Step::begin(4, "list the models");
    let listed = client
        .call(&mut host, "remote-llm/list-models", config)
        .await?;
    step.done(&format!("server: {}", shown(&listed["server"]["kind"])));
    show_models(&listed);
    let model = match &arguments.model {
        Some(model) => model.clone(),
        None => listed["models"][0]["id"]
            .as_str()
            .ok_or("the server lists no model; name one with --model")?
            .to_owned(),
    };
    let chosen = json!({"configId": CONFIG, "modelId": model});
    client
        .call(&mut host, "remote-llm/select-model", chosen)
        .await?;

    step = Step::begin(5, "stream a prompt");
    terminal::line("");
    let result = stream(&mut client, &mut host, &step).await?;
    step.done(&format!("stop reason: {}", shown(&result["stopReason"])));
    check(&host, &result, machine.is_some())?;

    step = Step::begin(6, "shut down");
    client.call(&mut host, "shutdown", json!({})).await?;
    let status = client.end().await?;
    if !status.success() {
        return Err(format!("the daemon ended with {status}").into());
    }
    step.done("the daemon ended with code 0");
    if let Some(machine) = &machine {
        terminal::line(&format!("\nThe servers saw {}.", machine.seen()));
    }
    Ok(())
}

/// A step on its way; its time is wall-clock time of this process.
struct Step {
    number: u32,
    name: &'static str,
    begin: Instant,
}

impl Step {
    fn begin(number: u32, name: &'static str) -> Self {
        let begin = Instant::now();
        Self {
            number,
            name,
            begin,
        }
    }

    fn done(&self, detail: &str) {
        self.done_without(Duration::ZERO, detail);
    }

    /// `asked` is what persons took, which is told apart.
    fn done_without(&self, asked: Duration, detail: &str) {
        let took = self.begin.elapsed().saturating_sub(asked);
        let note = if asked.as_millis() > 0 {
            " (without the time of your answers)"
        } else {
            ""
        };
        terminal::line(&format!(
            "{}. {:<20} {:>9}  {detail}{note}",
            self.number,
            self.name,
            milliseconds(took),
        ));
    }
}

fn introduce(machine: Option<&Machine>) {
    terminal::line(match machine {
        Some(_) => {
            "puffin-remote-llm, the main job. The other machine is played by this process: an SSH\n\
             server and an OpenAI-compatible server on loopback, whose model is a script. The daemon\n\
             is the real one. Use --ssh and --endpoint for a real machine and a real model.\n"
        }
        None => "puffin-remote-llm, the main job on a real machine.\n",
    });
}

/// This repository's README, or its manifest.
fn file_to_read() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["README.md", "Cargo.toml"]
        .map(|name| root.join(name))
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| "neither README.md nor Cargo.toml is there to be read".to_owned())
}

fn hello(folder: &Path) -> Value {
    json!({
        "protocolVersion": 1,
        "client": {"name": "quickstart", "version": env!("CARGO_PKG_VERSION")},
        "projectDir": folder.join("project"),
        "dataDir": folder.join("data"),
        "capabilities": {"executeTool": true, "verifyHostKey": true, "answerPrompt": true},
    })
}

/// The profile's `ssh`, and the endpoint.
fn target(arguments: &Arguments, machine: Option<&Machine>) -> Result<(Value, String), String> {
    if let Some(machine) = machine {
        return Ok((machine.ssh_params(), machine.endpoint()));
    }
    let text = arguments.ssh.as_deref().unwrap_or_default();
    let (user, address) = match text.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, text),
    };
    // `[::1]:22`, `host:22`, or a bare IPv6 address, which has more than one colon.
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            let port: u16 = port
                .parse()
                .map_err(|_| format!("{port} is not a port number"))?;
            (host, Some(port))
        }
        _ => (address, None),
    };
    let mut ssh = json!({"host": host.trim_matches(['[', ']'])});
    if let Some(user) = user {
        ssh["username"] = user.into();
    }
    if let Some(port) = port {
        ssh["port"] = port.into();
    }
    if let Some(key) = &arguments.key {
        ssh["privateKeyPath"] = json!(key);
    }
    Ok((ssh, arguments.endpoint.clone().unwrap_or_default()))
}

async fn stream(client: &mut Client, host: &mut Host, step: &Step) -> Result<Value, Failure> {
    let path = host.file.clone();
    let question = format!(
        "Read the file {} and tell me in one sentence what it is about.",
        path.display()
    );
    terminal::line(&format!("     you │ {question}"));
    let params = json!({
        "configId": CONFIG,
        "requestId": "quickstart",
        // Small models sometimes find no end.
        "maxOutputTokens": 400,
        "system": "You read files with the Read tool. Call it before you answer.",
        "messages": [{"role": "user", "content": question}],
        "tools": [{
            "name": "Read",
            "description": "Reads a file of the user's machine and returns its text.",
            "inputSchema": {
                "type": "object",
                "properties": {"path": {"type": "string", "enum": [path]}},
                "required": ["path"],
            },
            "readOnly": true,
        }],
        "toolChoice": "required",
        "temperature": 0,
        "maxOutputTokens": 1024,
    });
    let result = client
        .call(host, "remote-llm/stream-prompt", params)
        .await?;
    terminal::line("");
    let prompt = &host.prompt;
    if let (Some(first), Some(last)) = (prompt.first_text, prompt.last_text) {
        terminal::line(&format!(
            "   first text after {}, tool call included; {} pieces of text in {}",
            milliseconds(first - step.begin),
            prompt.pieces,
            milliseconds(last - first),
        ));
    }
    let (usage, timing) = (&result["usage"], &result["timing"]);
    terminal::line(&format!(
        "   by the daemon: connect {}, first token {}, total {}, {} tokens/s",
        unit(&timing["connectMs"], " ms"),
        unit(&timing["firstTokenMs"], " ms"),
        unit(&timing["totalMs"], " ms"),
        timing["tokensPerSecond"]
            .as_f64()
            .map_or("?".to_owned(), |rate| format!("{rate:.1}")),
    ));
    terminal::line(&format!(
        "   by the LLM server: {} tokens read, {} written; {} round(s), {} tool call(s)",
        unit(&usage["inputTokens"], ""),
        unit(&usage["outputTokens"], ""),
        result["rounds"],
        result["toolCalls"],
    ));
    if host.expected_key.is_some() {
        terminal::line("   (this LLM server is a script: it counts words, and paces them itself)");
    }
    Ok(result)
}

/// What must be true of any run, and of a scripted one besides.
fn check(host: &Host, result: &Value, scripted: bool) -> Result<(), Failure> {
    if host.prompt.terminal.as_deref() != Some("finished") {
        return Err("the stream did not end with `finished`".into());
    }
    let called = result["toolCalls"].as_u64().unwrap_or(0) > 0;
    if scripted && !(called && result["stopReason"] == "end_turn" && host.prompt.pieces > 1) {
        return Err("the scripted answer did not arrive as it was scripted".into());
    }
    if !called {
        terminal::line("   note: this model answered without calling the tool it was told to call");
    }
    Ok(())
}

fn show_stages(tested: &Value) {
    for stage in tested["stages"].as_array().into_iter().flatten() {
        let time = unit(&stage["durationMs"], " ms");
        terminal::line(&format!(
            "   {:<14} {:<8} {time:>8}  {}",
            shown(&stage["name"]),
            shown(&stage["status"]),
            shown(&stage["detail"]),
        ));
    }
}

fn show_models(listed: &Value) {
    const SHOWN: usize = 8;
    let models = listed["models"].as_array().map_or(&[][..], Vec::as_slice);
    for model in models.iter().take(SHOWN) {
        let window = &model["contextWindow"];
        terminal::line(&format!(
            "   {}: context {} of {} tokens, {}",
            shown(&model["id"]),
            unit(&window["effective"], ""),
            unit(&window["maximum"], ""),
            shown(&model["state"]),
        ));
    }
    if models.len() > SHOWN {
        terminal::line(&format!("   … and {} more", models.len() - SHOWN));
    }
}

fn shown_target(ssh: &Value) -> String {
    let user = ssh["username"].as_str().map(|user| format!("{user}@"));
    let port = ssh["port"].as_u64().map(|port| format!(":{port}"));
    format!(
        "{}{}{}",
        user.unwrap_or_default(),
        shown(&ssh["host"]),
        port.unwrap_or_default()
    )
}

/// A string of the daemon's, fit for a terminal.
fn shown(value: &Value) -> String {
    terminal::plain(value.as_str().unwrap_or("?"))
}

/// A number, or a question mark where it is unknown.
fn unit(value: &Value, unit: &str) -> String {
    if value.is_number() {
        format!("{value}{unit}")
    } else {
        "?".to_owned()
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
