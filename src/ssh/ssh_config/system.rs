//! Asking `ssh -G`, which knows best.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::Command;

use super::Query;
use super::broken::Subject;
use super::dump::{self, Dump};
use super::problem::Problem;
use super::value::Values;
use crate::ssh::{Environment, child};

const LIMIT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 1024 * 1024;

/// Which files `ssh` reads.
#[derive(Debug)]
pub(super) enum Sources<'a> {
    /// Its own choice.
    Usual,
    File(&'a Path),
    Nothing,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Answer {
    Resolved(Dump),
    /// The files are wrong.
    Refused(Problem),
    /// There is no answer, for this reason.
    Unusable(String),
}

/// Runs `ssh -G`. Dropping the future ends the process.
pub(super) async fn ask(
    program: &Path,
    query: &Query,
    sources: Sources<'_>,
    environment: &Environment,
) -> Answer {
    let mut command = Command::new(program);
    // No session: -N spares ssh the question what to run.
    command.args(["-G", "-N"]);
    match sources {
        Sources::Usual => {}
        Sources::File(file) => {
            command.arg("-F").arg(file);
        }
        Sources::Nothing => {
            command.args(["-F", "none"]);
        }
    }
    if let Some(port) = query.port {
        command.args(["-p", &port.to_string()]);
    }
    if let Some(user) = &query.user {
        command.args(["-l", user]);
    }
    command.args(["--", &query.host]);
    surroundings(&mut command, environment);
    let output = match child::run(command, LIMIT, MAX_BYTES).await {
        Ok(output) => output,
        Err(error) => return Answer::Unusable(error.to_string()),
    };
    if !output.status.success() {
        return refusal(output.status.code(), &output.stderr);
    }
    match dump::read(&output.stdout) {
        Some(dump) => Answer::Resolved(dump),
        None => Answer::Unusable("its output is not that of ssh -G".to_owned()),
    }
}

/// The variables that ssh_config may name are those that we would use.
fn surroundings(command: &mut Command, environment: &Environment) {
    command.env_clear().envs(environment.variables.iter());
    if let Some(home) = &environment.home {
        command.env("HOME", home);
    }
}

/// Tells a refusal from an `ssh` that does not work.
fn refusal(status: Option<i32>, stderr: &[u8]) -> Answer {
    const FATAL: i32 = 255;
    let text = String::from_utf8_lossy(stderr);
    let is_broken = [
        "usage:",
        "unknown option",
        "illegal option",
        "No user exists",
        "don't exist",
    ]
    .iter()
    .any(|words| text.contains(words));
    if status == Some(FATAL) && !is_broken && !text.trim().is_empty() {
        Answer::Refused(Problem::refused(stderr))
    } else {
        let status = status.map_or_else(|| "a signal".to_owned(), |code| format!("status {code}"));
        Answer::Unusable(format!("it ended with {status}"))
    }
}

/// What this `ssh` does without any file. Asked once for a program.
pub(super) async fn defaults(
    program: &Path,
    environment: &Environment,
) -> Result<Arc<Values>, String> {
    if let Some(known) = environment.memory.ssh_defaults().get(program) {
        return Ok(known.clone());
    }
    let subject = Subject::program(program);
    let known = environment
        .memory
        .broken_ssh()
        .reason(&subject, Instant::now());
    if let Some(reason) = known {
        return Err(reason);
    }
    let query = Query {
        host: "host".to_owned(),
        port: None,
        user: None,
    };
    let reason = match ask(program, &query, Sources::Nothing, environment).await {
        Answer::Resolved(dump) => {
            let values = Arc::new(dump.values);
            environment
                .memory
                .ssh_defaults()
                .insert(program.to_owned(), values.clone());
            return Ok(values);
        }
        Answer::Refused(problem) => problem.to_string(),
        Answer::Unusable(reason) => reason,
    };
    environment
        .memory
        .broken_ssh()
        .remember(subject, &reason, Instant::now());
    Err(reason)
}

/// OpenSSH finds the user's file through the account database, not through `$HOME`, which
/// is what our users mean by home. Where the two differ, `ssh` is given a file that
/// includes those it should read (`Include` itself goes by `$HOME`, as glob(3) does).
pub(super) fn stand_in(environment: &Environment) -> Result<Option<String>, String> {
    let usual = environment
        .home
        .as_ref()
        .map(|home| home.join(".ssh/config"));
    let is_usual_system = environment
        .system_config
        .as_deref()
        .is_none_or(|file| file == Path::new("/etc/ssh/ssh_config"));
    if environment.is_at_account_home() && usual == environment.user_config && is_usual_system {
        return Ok(None);
    }
    let files = [&environment.user_config, &environment.system_config];
    let mut text = String::new();
    for file in files.into_iter().flatten().filter(|file| file.exists()) {
        text.push_str(&include_line(file)?);
    }
    Ok(Some(text))
}

fn include_line(file: &Path) -> Result<String, String> {
    let path = file.to_str().filter(|path| {
        path.starts_with('/') && !path.contains(['"', '\'', '\\', '*', '?', '[', '\n', '\r', '\0'])
    });
    match path {
        Some(path) => Ok(format!("Include \"{path}\"\n")),
        None => Err(format!("ssh cannot be told to read {}", file.display())),
    }
}
