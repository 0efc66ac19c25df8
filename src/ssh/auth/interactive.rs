//! Keyboard-interactive and password: answers that a person knows.

use std::time::Duration;

use russh::client::{KeyboardInteractiveAuthResponse as Response, Prompt as ServerPrompt};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::{Login, Progress};
use crate::ssh::error::{Cause, Place};
use crate::ssh::prompt::{Prompt, PromptFailure, PromptKind, PromptQuestion};
use crate::ssh::target::SecretSource;

/// How long a person may look for a code.
const ASK_LIMIT: Duration = Duration::from_secs(90);

/// How often a person may try again.
const ATTEMPTS: u32 = 3;

/// More questions in one dialogue are no login.
const MAX_ROUNDS: u32 = 16;
const MAX_PROMPTS: usize = 16;

/// PAM takes 2 to 4 s for a wrong password. A server that wants the password
/// changed gets no answer out of russh at all, and waits for ever; one that is
/// out of reach says nothing.
const PASSWORD_LIMIT: Duration = Duration::from_secs(12);

/// Words in questions to which a stored password is not the answer.
const NOT_A_PASSWORD: [&str; 13] = [
    "code",
    "passcode",
    "token",
    "otp",
    "totp",
    "pin",
    "factor",
    "duo",
    "verification",
    "challenge",
    "time",
    "login",
    "username",
];

impl Login<'_> {
    /// One dialogue: the server asks, we or the person answer, until it is satisfied.
    pub(super) async fn keyboard_interactive(&mut self) -> Result<Progress, Cause> {
        const METHOD: &str = "keyboard-interactive";
        let stored_left = self.has_password() && !self.ledger.password_spent;
        if !stored_left && !self.prompter.can_answer() {
            self.skip(METHOD, None, "there is no way to ask");
            return Ok(Progress::Exhausted);
        }
        if self.ledger.rounds >= ATTEMPTS {
            return Ok(Progress::Exhausted);
        }
        self.ledger.rounds += 1;
        let attempt = self.ledger.rounds;
        let mut person_answered = false;
        let mut response = self
            .handle
            .authenticate_keyboard_interactive_start(self.hop.username.clone(), None)
            .await;
        for _ in 0..MAX_ROUNDS {
            match response {
                Ok(Response::Success) => {
                    self.pass(METHOD, None);
                    return Ok(Progress::Done);
                }
                Ok(Response::Failure {
                    remaining_methods,
                    partial_success,
                }) => {
                    let progress = self
                        .fail(METHOD, None, remaining_methods, partial_success)
                        .await?;
                    // The same without a person would only fail the same way.
                    return Ok(match progress {
                        Progress::Rejected if !person_answered && !stored_left => {
                            Progress::Exhausted
                        }
                        Progress::Rejected if !self.prompter.can_answer() => Progress::Exhausted,
                        progress => progress,
                    });
                }
                Ok(Response::InfoRequest {
                    name,
                    instructions,
                    prompts,
                }) => {
                    let answers = self
                        .answers(&name, &instructions, prompts, attempt, &mut person_answered)
                        .await?;
                    response = self
                        .handle
                        .authenticate_keyboard_interactive_respond(answers)
                        .await;
                }
                Err(_) => return Err(self.hung_up().await),
            }
        }
        Err(Cause::Unanswerable {
            kind: PromptKind::KeyboardInteractive,
            failure: PromptFailure::Unfit,
        })
    }

    /// Answers one round of questions. russh must be given some answer, or it
    /// stays in this dialogue for ever.
    async fn answers(
        &mut self,
        name: &str,
        instruction: &str,
        prompts: Vec<ServerPrompt>,
        attempt: u32,
        person_answered: &mut bool,
    ) -> Result<Vec<String>, Cause> {
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        let unanswerable = |failure| Cause::Unanswerable {
            kind: PromptKind::KeyboardInteractive,
            failure,
        };
        if prompts.len() > MAX_PROMPTS {
            return Err(unanswerable(PromptFailure::Unfit));
        }
        if self.is_for_password(&prompts)
            && let Some(password) = self.known_password().await?
        {
            self.ledger.password_spent = true;
            self.link.confided.add(&password);
            return Ok(vec![password.expose_secret().to_owned()]);
        }
        if !self.prompter.can_answer() {
            return Ok(vec![String::new(); prompts.len()]);
        }
        *person_answered = true;
        self.ledger.asked = true;
        let hidden: Vec<_> = prompts.iter().map(|prompt| !prompt.echo).collect();
        let confided = &self.link.confided;
        let question = PromptQuestion {
            place: Place::clone(&self.link.place),
            username: self.hop.username.clone(),
            kind: PromptKind::KeyboardInteractive,
            name: confided.clean(name),
            instruction: self.with_notes(confided.clean_lines(instruction)),
            prompts: prompts
                .into_iter()
                .map(|prompt| Prompt {
                    text: confided.clean_lines(&prompt.prompt),
                    echo: prompt.echo,
                })
                .collect(),
            attempt,
            may_keep: false,
            time_limit: self.clock.prompt_limit(ASK_LIMIT),
        };
        let answers = self
            .clock
            .ask(ASK_LIMIT, self.prompter.answer(question))
            .await;
        match answers {
            Ok(answers) if answers.len() == hidden.len() => {
                let secret = answers.iter().zip(hidden).filter(|(_, hidden)| *hidden);
                secret.for_each(|(answer, _)| confided.add(answer));
                Ok(answers
                    .iter()
                    .map(|answer| answer.expose_secret().to_owned())
                    .collect())
            }
            Ok(_) => Err(unanswerable(PromptFailure::Unfit)),
            Err(failure) => Err(unanswerable(failure)),
        }
    }

    /// Whoever is asked should know why no key did.
    fn with_notes(&self, instruction: String) -> String {
        let mut lines: Vec<_> = Some(instruction)
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect();
        lines.extend(self.ledger.notes.iter().cloned());
        lines.join("\n")
    }

    /// The stored password answers one hidden question that may well be for it, once.
    fn is_for_password(&self, prompts: &[ServerPrompt]) -> bool {
        let [prompt] = prompts else { return false };
        let text = prompt.prompt.to_lowercase();
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        !prompt.echo
            && !self.ledger.password_spent
            && !words.any(|word| NOT_A_PASSWORD.contains(&word))
    }

    /// The stored password once, and then what a person knows.
    pub(super) async fn password(&mut self) -> Result<Progress, Cause> {
        const METHOD: &str = "password";
        if !self.ledger.password_spent
            && let Some(password) = self.known_password().await?
        {
            self.ledger.password_spent = true;
            self.ledger.passwords += 1;
            return self.try_password(password).await;
        }
        if !self.prompter.can_answer() {
            if !self.has_password() {
                let reason = "no password is stored, and there is no way to ask";
                self.skip(METHOD, None, reason);
            }
            return Ok(Progress::Exhausted);
        }
        // A stored password that was refused in a dialogue counts, too.
        if self.ledger.passwords == 0 && self.ledger.password_spent && self.ledger.passed.is_empty()
        {
            self.ledger.passwords = 1;
        }
        if self.ledger.passwords >= ATTEMPTS {
            return Ok(Progress::Exhausted);
        }
        self.ledger.passwords += 1;
        self.ledger.asked = true;
        let password = self.ask_password(self.ledger.passwords).await?;
        self.try_password(password).await
    }

    async fn ask_password(&mut self, attempt: u32) -> Result<SecretString, Cause> {
        let unanswerable = |failure| Cause::Unanswerable {
            kind: PromptKind::Password,
            failure,
        };
        let question = PromptQuestion {
            place: Place::clone(&self.link.place),
            username: self.hop.username.clone(),
            kind: PromptKind::Password,
            name: String::new(),
            instruction: self.with_notes(String::new()),
            prompts: vec![Prompt {
                text: format!("Password of {}@{}", self.hop.username, self.link.place.host),
                echo: false,
            }],
            attempt,
            may_keep: self.hop.password_source == SecretSource::Saved,
            time_limit: self.clock.prompt_limit(ASK_LIMIT),
        };
        let prompter = self.prompter.clone();
        let answers = self
            .ask_while_alive(ASK_LIMIT, prompter.answer(question))
            .await?
            .map_err(unanswerable)?;
        let [password] = <[SecretString; 1]>::try_from(answers)
            .map_err(|_| unanswerable(PromptFailure::Unfit))?;
        Ok(password)
    }

    async fn try_password(&mut self, password: SecretString) -> Result<Progress, Cause> {
        self.link.confided.add(&password);
        // russh wants a String of its own, and wipes it.
        let attempt = self
            .handle
            .authenticate_password(self.hop.username.clone(), password.expose_secret());
        let heard = self.gate.received();
        match timeout(PASSWORD_LIMIT, attempt).await {
            Ok(result) => self.note("password", None, result).await,
            // Not a byte: nobody said anything about the password.
            Err(_) if self.gate.received() == heard => Err(Cause::AuthTimeout {
                after: PASSWORD_LIMIT,
            }),
            Err(_) => Err(Cause::PasswordExpired {
                username: self.hop.username.clone(),
                after: PASSWORD_LIMIT,
            }),
        }
    }
}
