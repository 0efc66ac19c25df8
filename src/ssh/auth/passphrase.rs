//! Opens locked keys: with the stored passphrase, with a key that a person has
//! opened before, or by asking.

use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, timeout};

use super::key_file::{KeyFile, Lock};
use super::keyring::{Found, Unlocked};
use super::{Login, blocking};
use crate::ssh::error::{Cause, KeyProblem, Place};
use crate::ssh::prompt::{Prompt, PromptFailure, PromptKind, PromptQuestion, Prompter};
use crate::ssh::target::SecretSource;

/// How long a person may look for a passphrase.
const ASK_LIMIT: Duration = Duration::from_secs(90);

/// How often a person may try, the stored passphrase included.
const ATTEMPTS: u32 = 3;

/// Asks a person for the passphrase of a file. May outlive the login that
/// started it, for others who wait for the same file.
pub(super) struct Asker {
    pub(super) prompter: Arc<dyn Prompter>,
    pub(super) place: Place,
    pub(super) file: Arc<KeyFile>,
    /// Above 1: the stored passphrase was wrong.
    pub(super) first_attempt: u32,
    /// What all attempts may take together.
    pub(super) budget: Duration,
    /// See [`PromptQuestion::may_keep`].
    pub(super) may_keep: bool,
}

#[derive(Debug, Clone)]
pub(super) enum UnlockError {
    NoAnswer(PromptFailure),
    Problem(KeyProblem),
}

impl Asker {
    pub(super) async fn run(self) -> Unlocked {
        let begun = Instant::now();
        let mut problem = KeyProblem::PassphraseNeeded;
        for attempt in self.first_attempt..=ATTEMPTS {
            let limit = ASK_LIMIT.min(self.budget.saturating_sub(begun.elapsed()));
            let question = self.question(attempt, limit);
            let answers = timeout(limit, self.prompter.answer(question))
                .await
                .unwrap_or(Err(PromptFailure::TimedOut))
                .map_err(UnlockError::NoAnswer)?;
            let [passphrase] = <[SecretString; 1]>::try_from(answers)
                .map_err(|_| UnlockError::NoAnswer(PromptFailure::Unfit))?;
            // As in ssh: no passphrase means to go on without this key.
            if passphrase.expose_secret().is_empty() {
                return Err(UnlockError::Problem(KeyProblem::PassphraseNeeded));
            }
            match unlock(&self.file, passphrase).await {
                Ok(Ok(key)) => return Ok(key),
                Ok(Err(wrong)) => problem = wrong,
                Err(_) => return Err(UnlockError::Problem(KeyProblem::Damaged)),
            }
        }
        Err(UnlockError::Problem(problem))
    }

    fn question(&self, attempt: u32, time_limit: Duration) -> PromptQuestion {
        PromptQuestion {
            place: self.place.clone(),
            username: self.place.username.clone(),
            kind: PromptKind::Passphrase {
                path: self.file.path.clone(),
            },
            name: String::new(),
            instruction: String::new(),
            prompts: vec![Prompt {
                text: format!("Passphrase of {}", self.file.path.display()),
                echo: false,
            }],
            attempt,
            may_keep: self.may_keep,
            time_limit,
        }
    }
}

impl Login<'_> {
    /// The private key of a file, opened by whatever means there are. `Ok(Err)`
    /// says why this key can't be used; `Err` ends the login.
    pub(super) async fn open(
        &mut self,
        file: &Arc<KeyFile>,
        chosen: bool,
    ) -> Result<Result<Arc<PrivateKey>, KeyProblem>, Cause> {
        if let Lock::Open(key) = &file.lock {
            return Ok(Ok(key.clone()));
        }
        let known = self
            .ledger
            .opened
            .iter()
            .find(|(path, _)| *path == file.path);
        if let Some((_, key)) = known {
            return Ok(Ok(key.clone()));
        }
        let mut first_attempt = 1;
        let mut problem = KeyProblem::PassphraseNeeded;
        let kind = PromptKind::Passphrase {
            path: file.path.clone(),
        };
        if !self.ledger.passphrase_refused.contains(&file.path)
            && let Some(passphrase) = self.known_passphrase(kind).await?
        {
            match unlock(file, passphrase).await? {
                Ok(key) => {
                    self.ledger.opened.push((file.path.clone(), key.clone()));
                    return Ok(Ok(key));
                }
                // Of any other file it may simply not be the passphrase.
                Err(wrong) if chosen => {
                    first_attempt = 2;
                    problem = wrong;
                }
                Err(_) => {}
            }
            self.ledger.passphrase_refused.push(file.path.clone());
        }
        if let Some(key) = self.keyring.opened(file) {
            self.ledger.asked = true;
            return Ok(Ok(key));
        }
        if !self.prompter.can_answer() {
            return Ok(Err(problem));
        }
        let asker = Asker {
            prompter: self.prompter.clone(),
            place: Place::clone(&self.link.place),
            file: file.clone(),
            first_attempt,
            budget: self.clock.prompt_limit(ASK_LIMIT * ATTEMPTS),
            may_keep: self.hop.passphrase_source == SecretSource::Saved,
        };
        self.ledger.asked = true;
        let unlocked = match self.keyring.open_or_ask(asker) {
            Found::Open(key) => Ok(key),
            Found::Wait(waiter) => {
                let answer = async {
                    // Stopped only with the process.
                    let stopped = Err(UnlockError::NoAnswer(PromptFailure::HostGone));
                    Ok(waiter.wait().await.unwrap_or(stopped))
                };
                self.ask_while_alive(ASK_LIMIT * ATTEMPTS, answer)
                    .await?
                    .unwrap_or_else(|failure| Err(UnlockError::NoAnswer(failure)))
            }
        };
        match unlocked {
            Ok(key) => Ok(Ok(key)),
            Err(UnlockError::Problem(problem)) => Ok(Err(problem)),
            // Nobody there after all: as if nobody could have been asked.
            Err(UnlockError::NoAnswer(PromptFailure::Unsupported)) => Ok(Err(problem)),
            Err(UnlockError::NoAnswer(failure)) => Err(Cause::Unanswerable {
                kind: PromptKind::Passphrase {
                    path: file.path.clone(),
                },
                failure,
            }),
        }
    }
}

/// Tries one passphrase. Takes its time on another thread.
async fn unlock(
    file: &KeyFile,
    passphrase: SecretString,
) -> Result<Result<Arc<PrivateKey>, KeyProblem>, Cause> {
    let file = file.clone();
    blocking(move || file.unlock(&passphrase)).await
}
