//! `puffin-remote-llm doctor`: the staged test of a connection, for a person at a terminal.
//!
//! The doctor is a host like any other. It speaks the protocol with a daemon in its own process,
//! so what it finds is what Puffin would find; it saves nothing and leaves no trail.

mod bundle;
mod host;
mod redaction;
mod table;

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde_json::{Value, json};

use crate::protocol;

use super::{Ending, Environment, LogTap, serve};
use host::Host;

/// What to examine.
#[derive(Clone, Debug, Default)]
pub struct Examination {
    /// A saved profile's id, or whatever `parse-target` reads: an alias, an `ssh …` command, a
    /// URL. `None`: every saved profile.
    pub target: Option<String>,
    /// The LLM server as seen from the target; without one its SSH stages are tested only.
    pub endpoint: Option<String>,
    /// Whose saved profiles count.
    pub project: Option<PathBuf>,
    /// Where the daemon's own files are, if not in the usual place.
    pub data_dir: Option<PathBuf>,
}

/// Whoever can be asked for passwords, codes, and about host keys.
pub trait Person: Send + 'static {
    /// Whether anybody is there. Nobody is asked otherwise.
    fn is_there(&self) -> bool;
    /// One line of answer, typed unseen unless `echo`; `None`: they do not want to.
    fn ask(&mut self, question: &str, echo: bool) -> Option<SecretString>;
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The daemon's answer to `initialize`.
    daemon: Value,
    /// `list-configs`.
    profiles: Value,
    cases: Vec<Case>,
    log: Vec<Value>,
}

/// One target's test.
#[derive(Clone, Debug)]
struct Case {
    /// As the person named it.
    target: String,
    /// The saved profile's name.
    name: Option<String>,
    /// What `parse-target` made of it, and what else the person said.
    draft: Option<Value>,
    /// Result or error of `test-connection`.
    outcome: Result<Value, Value>,
}

/// Why nothing could be examined. A sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unexaminable(String);

/// Examines one target or all profiles, asking `person` what has to be asked.
///
/// The daemon's own clocks bound it. Dropping the future does not end what runs.
///
/// # Errors
/// If there is nothing to examine.
pub async fn examine(
    wanted: Examination,
    environment: Environment,
    log: LogTap,
    person: impl Person,
) -> Result<Findings, Unexaminable> {
    let ours = |error: std::io::Error| Unexaminable(format!("The doctor can't start: {error}."));
    let (their_input, our_output) = std::io::pipe().map_err(ours)?;
    let (our_input, their_output) = std::io::pipe().map_err(ours)?;
    let daemon = tokio::spawn(serve(
        their_input,
        their_output,
        environment,
        log,
        Ending::default(),
    ));
    let work = move || visit(Host::new(our_input, our_output, person), &wanted);
    let findings = tokio::task::spawn_blocking(work).await;
    // Its input has ended with the host, so it ends within its own bounds.
    let _ = daemon.await;
    findings.unwrap_or_else(|_| Err(Unexaminable("The doctor broke down.".to_owned())))
}

fn visit<P: Person>(mut host: Host<P>, wanted: &Examination) -> Result<Findings, Unexaminable> {
    let refused = |error: Value| Unexaminable(sentence(&error).to_owned());
    let mut daemon = host
        .call("initialize", &hello(wanted, host.has_person()))
        .map_err(refused)?;
    host.unlock(&mut daemon["vault"]);
    let profiles = host
        .call("remote-llm/list-configs", &json!({}))
        .map_err(refused)?;
    let cases = match &wanted.target {
        Some(target) => vec![case(&mut host, target, wanted, &profiles)?],
        None => every_profile(&mut host, &profiles)?,
    };
    // What it answers changes nothing any more.
    let _ = host.call("shutdown", &json!({}));
    Ok(Findings {
        daemon,
        profiles,
        cases,
        log: host.into_log(),
    })
}

fn hello(wanted: &Examination, has_person: bool) -> Value {
    json!({
        "protocolVersion": protocol::VERSION,
        "client": {"name": "doctor", "version": env!("CARGO_PKG_VERSION")},
        "projectDir": wanted.project,
        "dataDir": wanted.data_dir,
        "capabilities": {"verifyHostKey": has_person, "answerPrompt": has_person},
        "log": {"level": "debug"},
        "history": {"enabled": false},
        "audit": {"enabled": false},
    })
}

fn case<P: Person>(
    host: &mut Host<P>,
    target: &str,
    wanted: &Examination,
    profiles: &Value,
) -> Result<Case, Unexaminable> {
    if let Some(saved) = configs(profiles).find(|config| config["configId"] == target) {
        return Ok(saved_case(host, saved, wanted.endpoint.as_deref()));
    }
    let mut draft = host
        .call("remote-llm/parse-target", &json!({"text": target}))
        .map_err(|error| Unexaminable(sentence(&error).to_owned()))?;
    if draft["ssh"].is_null() {
        return Err(Unexaminable(format!(
            "{target} names no machine. Name a saved profile, or what you would write after `ssh`."
        )));
    }
    if let Some(endpoint) = &wanted.endpoint {
        draft["llm"] = json!({"apiEndpoint": endpoint});
    }
    let params = json!({"ssh": draft["ssh"], "llm": draft["llm"]});
    Ok(Case {
        target: target.to_owned(),
        name: None,
        outcome: host.call("remote-llm/test-connection", &params),
        draft: Some(draft),
    })
}

fn every_profile<P: Person>(
    host: &mut Host<P>,
    profiles: &Value,
) -> Result<Vec<Case>, Unexaminable> {
    let mut cases: Vec<_> = configs(profiles)
        .map(|saved| saved_case(host, saved, None))
        .collect();
    for problem in profiles["problems"].as_array().into_iter().flatten() {
        cases.push(Case {
            target: text(&problem["configId"]).to_owned(),
            name: None,
            draft: None,
            outcome: Err(json!({
                "message": problem["problem"], "data": {"code": "CONFIG_INVALID"},
            })),
        });
    }
    if cases.is_empty() {
        return Err(Unexaminable(
            "There is no saved profile here. Name what you would write after `ssh`, or go to the \
             project's folder (--project)."
                .to_owned(),
        ));
    }
    Ok(cases)
}

fn saved_case<P: Person>(host: &mut Host<P>, saved: &Value, endpoint: Option<&str>) -> Case {
    let mut params = json!({"configId": saved["configId"]});
    let draft = endpoint.map(|endpoint| json!({"llm": {"apiEndpoint": endpoint}}));
    if let Some(draft) = &draft {
        params["llm"] = draft["llm"].clone();
    }
    Case {
        target: text(&saved["configId"]).to_owned(),
        name: Some(text(&saved["name"]).to_owned()),
        draft,
        outcome: host.call("remote-llm/test-connection", &params),
    }
}

// === impl Findings ===

impl Findings {
    /// Whether every target passed every stage.
    #[must_use]
    pub fn success(&self) -> bool {
        self.cases.iter().all(Case::success)
    }

    /// For a person.
    #[must_use]
    pub fn table(&self) -> String {
        table::render(self)
    }

    /// For a program: `{success, daemon, results: [{target, success, …}]}`.
    #[must_use]
    pub fn json(&self) -> Value {
        let results: Vec<_> = self.cases.iter().map(Case::json).collect();
        json!({
            "success": self.success(),
            "daemon": self.daemon["server"],
            "vault": self.daemon["vault"]["state"],
            "results": results,
        })
    }

    /// What may be shown to strangers: without secrets, and with other names for machines,
    /// accounts and addresses.
    #[must_use]
    pub fn bundle(&self, environment: &Environment) -> Value {
        bundle::make(self, environment)
    }
}

impl Case {
    fn success(&self) -> bool {
        matches!(&self.outcome, Ok(result) if result["success"] == true)
    }

    fn json(&self) -> Value {
        let mut told = json!({"target": self.target});
        match &self.outcome {
            Ok(result) => told["result"] = result.clone(),
            Err(error) => told["error"] = error.clone(),
        }
        told
    }
}

fn configs(profiles: &Value) -> impl Iterator<Item = &Value> {
    profiles["configs"].as_array().into_iter().flatten()
}

fn sentence(error: &Value) -> &str {
    text(&error["message"])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a file is there, without looking into it.
fn is_there(path: Option<&Path>) -> bool {
    path.is_some_and(Path::exists)
}
