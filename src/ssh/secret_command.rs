//! A program of this computer that writes a password or a passphrase: a password manager's, as a
//! rule.
//!
//! It runs without a shell, without input, in the user's home and in a process group of its own,
//! which ends with it. What it writes to standard output, but for one line break at the end, is the
//! secret; what it writes to standard error explains a failure, and is not logged.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use tokio::process::Command;

use super::child::{self, Output, RunError};
use super::error::SecretCommandProblem as Problem;
use super::target::Environment;
use super::text::{sanitize, sanitize_bytes};

/// How long it may run: it may have to ask the person something, too.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// More is no password.
const BYTES: usize = 16 * 1024;

/// Runs it, for at most `limit`. Dropping the future ends it.
pub(super) async fn run(
    words: &[String],
    environment: &Environment,
    limit: Duration,
) -> Result<SecretString, Problem> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Problem::Empty);
    };
    let mut command = Command::new(environment.expand(Path::new(program)));
    command.args(arguments);
    if let Some(home) = &environment.home {
        command.current_dir(home);
    }
    let output = child::run(command, limit, BYTES).await.map_err(problem)?;
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let stdout = Zeroizing::new(stdout);
    let secret = std::str::from_utf8(&stdout).ok().map(without_line_break);
    if !status.success() {
        return Err(Problem::Failed {
            status: status.to_string(),
            said: last_line(&stderr, secret),
        });
    }
    match secret {
        None => Err(Problem::NotText),
        Some("") => Err(Problem::Empty),
        // No secret of a sign-in has these; a server would refuse it, and may count that.
        Some(secret) if secret.contains(['\n', '\r', '\0']) => Err(Problem::NotOneLine),
        Some(secret) => Ok(secret.into()),
    }
}

/// As people know it, for sentences; its arguments may be nobody's business.
pub(super) fn name(words: &[String]) -> String {
    sanitize(words.first().map_or("", String::as_str))
}

fn problem(error: RunError) -> Problem {
    match error {
        RunError::Start(source) | RunError::Read(source) => Problem::NotStarted(Arc::new(source)),
        RunError::TooLong(limit) => Problem::TooLong(limit),
        RunError::TooMuch(bytes) => Problem::TooMuch(bytes),
    }
}

fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// The last words of a program that failed, unless the secret is among them.
fn last_line(stderr: &[u8], secret: Option<&str>) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    let tells = secret.is_none_or(|secret| {
        let mut parts = secret.lines().filter(|part| !part.trim().is_empty());
        parts.any(|part| line.contains(part.trim()))
    });
    (!tells).then(|| sanitize_bytes(line.as_bytes()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Instant;

    use secrecy::ExposeSecret as _;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    async fn shell(script: &str, limit: Duration) -> Result<String, Problem> {
        let words = ["sh", "-c", script].map(str::to_owned);
        let secret = run(&words, &Environment::default(), limit).await?;
        Ok(secret.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn one_line_break_is_cut_and_nothing_else() {
        for (script, secret) in [
            ("echo ' two  words '", " two  words "),
            ("printf 'plain'", "plain"),
            ("printf 'dos\\r\\n'", "dos"),
            ("echo out; echo noise >&2", "out"),
        ] {
            assert_eq!(shell(script, SOON).await.unwrap(), secret, "{script}");
        }
    }

    #[tokio::test]
    async fn what_gives_no_secret_says_why() {
        let failed = |script| shell(script, SOON);
        assert!(matches!(failed("").await, Err(Problem::Empty)));
        assert!(matches!(failed("echo").await, Err(Problem::Empty)));
        let binary = failed("printf '\\377\\376'").await;
        assert!(matches!(binary, Err(Problem::NotText)));
        for script in [
            "printf 'more\\n\\n'",
            "printf 'a\\nuser: b\\n'",
            "printf 'a\\0b'",
        ] {
            let lines = failed(script).await;
            assert!(matches!(lines, Err(Problem::NotOneLine)), "{lines:?}");
        }
        let flood = failed("yes").await;
        assert!(matches!(flood, Err(Problem::TooMuch(BYTES))), "{flood:?}");
        let locked = failed("echo first >&2; echo 'it is locked' >&2; exit 3").await;
        let Err(Problem::Failed { status, said }) = locked else {
            panic!("{locked:?}");
        };
        assert!(status.contains('3'), "{status}");
        assert_eq!(said.as_deref(), Some("it is locked"));
        let words = ["puffin-no-such-program".to_owned()];
        let absent = run(&words, &Environment::default(), SOON).await;
        assert!(matches!(absent, Err(Problem::NotStarted(_))), "{absent:?}");
    }

    #[tokio::test]
    async fn the_words_of_a_failure_are_kept_back_if_the_secret_is_among_them() {
        let failed = shell("echo canary; echo 'got canary' >&2; exit 1", SOON).await;
        let shown = format!("{failed:?}");
        assert!(matches!(failed, Err(Problem::Failed { said: None, .. })));
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let noted = folder.path().join("pid");
        // Hanging up is not enough.
        let child = "trap '' HUP; echo $$ > pid.new; mv pid.new pid; while :; do sleep 1; done";
        let script = format!(
            "cd '{}'; sh -c \"{child}\" & sleep 60",
            folder.path().display()
        );
        let script = script.replace("$$", "\\$\\$");
        let begun = Instant::now();
        let hung = shell(&script, Duration::from_secs(2)).await;
        assert!(matches!(hung, Err(Problem::TooLong(_))), "{hung:?}");
        let pid = std::fs::read_to_string(noted)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let pid = nix::unistd::Pid::from_raw(pid);
        // It is killed a moment after it was hung up on.
        while nix::sys::signal::kill(pid, None).is_ok() {
            assert!(begun.elapsed() < SOON, "its child lives on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
