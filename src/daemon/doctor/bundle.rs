//! The support bundle: what somebody else needs to see to help.
//!
//! It is one JSON file, so that whoever sends it can read all of it before. It has the daemon's
//! version and platform, which files and programs of SSH are there (not what is in them), the
//! saved profiles, the test's stages and the daemon's log lines of it. Passwords, passphrases and
//! API keys cannot be in it: nothing that the daemon answers has one. The values of headers and
//! proxy commands are left out, and machines, accounts, addresses and the home folder have other
//! names. Names of models and files, ports, base paths and fingerprints of host keys stay: they help,
//! and open nothing.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Case, Environment, Findings, is_there, redaction::Redaction, text};

/// Fields of a profile whose values may hold what is nobody's business.
const PRIVATE_FIELDS: [&str; 5] = ["command", "headers", "hostHeader", "proxyCommand", "name"];

pub(super) fn make(findings: &Findings, environment: &Environment) -> Value {
    let mut redaction = names(findings, environment);
    let profiles: Vec<_> = super::configs(&findings.profiles)
        .map(without_private)
        .collect();
    let drafts: Vec<_> = findings
        .cases
        .iter()
        .filter_map(|case| case.draft.as_ref())
        .map(without_private)
        .collect();
    let results: Vec<_> = findings.cases.iter().map(Case::json).collect();
    let mut bundle = json!({
        "about": "A support bundle of puffin-remote-llm. Read it before you send it: it should \
                  hold no secret and no name of yours.",
        "bundleVersion": 1,
        "made": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        "platform": {"os": std::env::consts::OS, "arch": std::env::consts::ARCH},
        "daemon": findings.daemon,
        "surroundings": surroundings(environment),
        "profiles": profiles,
        "problems": findings.profiles["problems"],
        "drafts": drafts,
        "results": results,
        "log": findings.log,
    });
    redaction.apply(&mut bundle);
    bundle
}

/// What is there of SSH on this machine.
fn surroundings(environment: &Environment) -> Value {
    let dot_ssh = environment.home.as_ref().map(|home| home.join(".ssh"));
    let has = |name: &str| is_there(dot_ssh.as_ref().map(|at| at.join(name)).as_deref());
    json!({
        "sshProgram": environment.ssh_program.is_some(),
        "sshAgent": environment.ssh_auth_sock.is_some(),
        "sshConfig": has("config"),
        "knownHosts": has("known_hosts"),
        "home": environment.home.is_some(),
        "shell": environment.shell.is_some(),
    })
}

/// Everything that names a person, a machine or a place.
fn names(findings: &Findings, environment: &Environment) -> Redaction {
    let mut redaction = Redaction::default();
    let home = environment.home.iter().chain(&environment.local_user.home);
    for home in home
        .filter_map(|home| home.to_str())
        .filter(|home| *home != "/")
    {
        redaction.call(home, "~");
    }
    redaction.hide("host", &environment.host_name);
    if let Some(user) = &environment.local_user.name {
        redaction.hide("user", user);
    }
    for config in super::configs(&findings.profiles) {
        hide_machines(&mut redaction, &config["ssh"]);
        hide_endpoint(&mut redaction, &config["llm"]);
    }
    for case in &findings.cases {
        if let Some(draft) = &case.draft {
            hide_machines(&mut redaction, &draft["ssh"]);
            hide_endpoint(&mut redaction, &draft["llm"]);
        }
        let (Ok(outcome) | Err(outcome)) = &case.outcome;
        hide_hosts(&mut redaction, outcome);
        // It is a name, or a whole `ssh …` command.
        redaction.hide("target", &case.target);
    }
    redaction
}

fn hide_machines(redaction: &mut Redaction, ssh: &Value) {
    redaction.hide("host", text(&ssh["host"]));
    redaction.hide("user", text(&ssh["username"]));
    for jump in ssh["jumpHosts"].as_array().into_iter().flatten() {
        hide_machines(redaction, jump);
    }
}

fn hide_endpoint(redaction: &mut Redaction, llm: &Value) {
    let endpoint = text(&llm["apiEndpoint"]);
    let after_scheme = endpoint.split_once("://").map_or("", |(_, rest)| rest);
    let authority = after_scheme.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(literal) => literal.split(']').next(),
        None => authority.split(':').next(),
    };
    redaction.hide("host", host.unwrap_or_default());
    if let Some(name) = llm["tls"]["serverName"].as_str() {
        redaction.hide("host", name);
    }
}

/// The hosts that errors name.
fn hide_hosts(redaction: &mut Redaction, value: &Value) {
    match value {
        Value::Object(fields) => {
            if let Some(host) = fields.get("host").and_then(Value::as_str) {
                let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
                redaction.hide("host", name);
            }
            fields
                .values()
                .for_each(|field| hide_hosts(redaction, field));
        }
        Value::Array(items) => items.iter().for_each(|item| hide_hosts(redaction, item)),
        _ => {}
    }
}

/// A profile or a draft without what only its owner needs to read.
fn without_private(profile: &Value) -> Value {
    match profile {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Value::Null => Value::Null,
                    Value::Object(headers) if name == "headers" => {
                        headers.keys().cloned().collect()
                    }
                    _ if PRIVATE_FIELDS.contains(&name.as_str()) => "[left out]".into(),
                    value => without_private(value),
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(without_private).collect(),
        other => other.clone(),
    }
}
