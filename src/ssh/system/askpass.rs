//! Takes the questions of `ssh` to the person who can answer them.
//!
//! `ssh` has a program for that (SSH_ASKPASS): it is this very program again, which
//! passes the question on through a socket in a directory that only this user can
//! enter, and the answer back. Saved passwords and passphrases answer first, once.
//! Host keys are no such question: `ssh` runs with strict checking.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ASKPASS;
use super::desk::Desk;
use crate::ssh::error::{Cause, SecretCommandProblem};
use crate::ssh::prompt::{Prompt, PromptFailure, PromptKind, PromptQuestion};
use crate::ssh::secret_command;
use crate::ssh::target::{Hop, SecretSource};
use crate::ssh::text::sanitize_lines;

/// How long a person may look for an answer.
const ASK_LIMIT: Duration = Duration::from_secs(90);

/// How long the program at the other end may take to say what it wants, and to
/// wait for the answer.
const READ_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(150);

/// A longer question is none.
const MAX_QUESTION: u64 = 8 * 1024;

/// Has `ssh` ask through a socket in `directory`; until the guard is dropped.
pub(super) fn attend(ssh: &mut Command, directory: &Path, desk: Desk) -> io::Result<DropGuard> {
    let socket = directory.join("q");
    let listener = UnixListener::bind(&socket)?;
    let program = desk.environment.own_program.clone().unwrap_or_default();
    ssh.env("SSH_ASKPASS", program)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env(ASKPASS, &socket);
    let closed = CancellationToken::new();
    let guard = closed.clone().drop_guard();
    tokio::spawn(async move {
        let mut asked_before = HashMap::new();
        // One question after the other, as ssh has them.
        let serve = async {
            while let Ok((stream, _)) = listener.accept().await {
                desk.serve(stream, &mut asked_before).await;
            }
        };
        tokio::select! {
            () = closed.cancelled() => {}
            () = serve => {}
        }
    });
    Ok(guard)
}

impl Desk {
    async fn serve(&self, mut stream: UnixStream, asked_before: &mut HashMap<String, u32>) {
        let mut text = String::new();
        let mut limited = (&mut stream).take(MAX_QUESTION);
        let read = timeout(READ_LIMIT, limited.read_to_string(&mut text)).await;
        if !matches!(read, Ok(Ok(_))) {
            return;
        }
        let attempt = asked_before.entry(text.clone()).or_insert(0);
        *attempt += 1;
        // Without an answer the stream just ends, and ssh goes on without.
        if let Some(answer) = self.answer(&text, *attempt).await {
            // ssh repeats what the server says.
            self.link.confided.add(&answer);
            let _ = stream.write_all(answer.expose_secret().as_bytes()).await;
        }
    }

    async fn answer(&self, text: &str, attempt: u32) -> Option<SecretString> {
        let kind = kind(text)?;
        let hop = self.hop_of(&kind, text);
        if attempt == 1
            && let Some(hop) = hop
        {
            match self.known(hop, &kind).await {
                Ok(None) => {}
                Ok(known) => return known,
                Err(cause) => {
                    self.outcome.fail(cause);
                    return None;
                }
            }
        }
        self.outcome.ask();
        let question = PromptQuestion {
            place: self.place.clone(),
            username: self.place.username.clone(),
            kind: kind.clone(),
            name: String::new(),
            instruction: String::new(),
            prompts: vec![Prompt {
                text: sanitize_lines(text),
                echo: false,
            }],
            attempt,
            may_keep: hop.is_none_or(|hop| *source(hop, &kind) == SecretSource::Saved),
            time_limit: self.clock.prompt_limit(ASK_LIMIT),
        };
        let answers = self
            .clock
            .ask(ASK_LIMIT, self.prompter.answer(question))
            .await;
        let failure = match answers {
            Ok(answers) => match <[SecretString; 1]>::try_from(answers) {
                Ok([answer]) => return Some(answer),
                Err(_) => PromptFailure::Unfit,
            },
            Err(failure) => failure,
        };
        self.outcome.fail(Cause::Unanswerable { kind, failure });
        None
    }

    /// The machine whose secret this very question is for.
    fn hop_of(&self, kind: &PromptKind, text: &str) -> Option<&Hop> {
        match kind {
            PromptKind::Passphrase { path } => self.hops.iter().find(|hop| {
                let key = hop.private_key_path.as_ref();
                key.is_some_and(|key| self.environment.expand(key) == *path)
            }),
            PromptKind::Password => self.hops.iter().find(|hop| {
                [
                    Some(&hop.host),
                    hop.alias.as_ref(),
                    hop.known_hosts.alias.as_ref(),
                ]
                .into_iter()
                .flatten()
                .any(|name| text == format!("{}@{name}{PASSWORD}", hop.username))
            }),
            PromptKind::KeyboardInteractive => None,
        }
    }

    /// What the profile has for it, or its command does.
    async fn known(&self, hop: &Hop, kind: &PromptKind) -> Result<Option<SecretString>, Cause> {
        let words = match source(hop, kind) {
            SecretSource::Saved if *kind == PromptKind::Password => {
                return Ok(hop.password.clone());
            }
            SecretSource::Saved => return Ok(hop.passphrase.clone()),
            SecretSource::Ask => return Ok(None),
            SecretSource::Command(words) => words,
        };
        let limit = self.clock.prompt_limit(secret_command::LIMIT);
        let running = async { Ok(secret_command::run(words, &self.environment, limit).await) };
        let written = self.clock.ask(limit, running).await;
        let too_long = |_: PromptFailure| SecretCommandProblem::TooLong(limit);
        let written = written.map_err(too_long).flatten();
        written.map(Some).map_err(|problem| Cause::SecretCommand {
            kind: kind.clone(),
            program: secret_command::name(words),
            problem,
        })
    }
}

fn source<'a>(hop: &'a Hop, kind: &PromptKind) -> &'a SecretSource {
    match kind {
        PromptKind::Passphrase { .. } => &hop.passphrase_source,
        PromptKind::Password | PromptKind::KeyboardInteractive => &hop.password_source,
    }
}

const PASSWORD: &str = "'s password: ";

/// What ssh asks for; `None` for what is not answered here.
fn kind(text: &str) -> Option<PromptKind> {
    if text.contains("(yes/no") {
        return None;
    }
    if let Some(rest) = text.strip_prefix("Enter passphrase for key '") {
        let path = rest.rsplit_once('\'')?.0;
        return Some(PromptKind::Passphrase {
            path: PathBuf::from(path),
        });
    }
    // Names have no blanks; what a server asks may end with anything.
    let is_password = text
        .strip_suffix(PASSWORD)
        .is_some_and(|name| !name.contains(char::is_whitespace) && name.contains('@'));
    Some(if is_password {
        PromptKind::Password
    } else {
        PromptKind::KeyboardInteractive
    })
}

/// The program's part: passes a question on, and the answer back. Blocks.
pub fn ask_through(socket: &Path, question: &str) -> io::Result<Option<SecretString>> {
    let mut stream = BlockingStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(question.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.take(MAX_QUESTION).read_to_string(&mut answer)?;
    Ok(Some(answer)
        .filter(|answer| !answer.is_empty())
        .map(SecretString::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_apart() {
        let passphrase = |path: &str| PromptKind::Passphrase { path: path.into() };
        for (text, expected) in [
            (
                "Enter passphrase for key '/home/me/.ssh/it's': ",
                Some(passphrase("/home/me/.ssh/it's")),
            ),
            ("ai@gpu1's password: ", Some(PromptKind::Password)),
            (
                "(ai@gpu1) Password: ",
                Some(PromptKind::KeyboardInteractive),
            ),
            (
                "(ai@gpu1) Type root@gpu1's password: ",
                Some(PromptKind::KeyboardInteractive),
            ),
            (
                "Enter PIN for 'token': ",
                Some(PromptKind::KeyboardInteractive),
            ),
            (
                "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
                None,
            ),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
