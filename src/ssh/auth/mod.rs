//! Logs in: `none`, keys, agent, keyboard-interactive, password, as far as the
//! server allows and the profile wants.
//!
//! Runs only after the host key was trusted. What cannot be tried is skipped
//! with a reason, and the reasons are part of the error in the end.

mod agent;
mod algorithm;
mod candidates;
mod certificate;
mod interactive;
mod key_file;
mod keyring;
mod methods;
mod order;
mod passphrase;
mod publickey;
mod signer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::PrivateKey;
use russh::{Error as RusshError, MethodKind, MethodSet};

#[cfg(test)]
pub(super) use self::candidates::DEFAULT_NAMES;
use self::candidates::Keys;
pub(super) use self::keyring::Keyring;
use super::clock::Clock;
use super::egress::Gate;
use super::error::{AuthAttempt, AuthOutcome, Cause};
use super::handler::ClientHandler;
use super::link::Link;
use super::prompt::{PromptFailure, Prompter};
use super::target::{Environment, Hop};

/// How many refusals keys may cost while a password or a dialogue could still
/// help: OpenSSH's server hangs up at the sixth (MaxAuthTries). Where nothing
/// else is left, the other keys are offered, too: a server that lets us is one
/// with a higher limit, and one that hangs up has cost us nothing.
const KEYS_BEFORE_ANSWERS: usize = 5;

/// No more keys than this are ever offered on one connection.
const MAX_OFFERS: usize = 20;

/// More factors than this are no login.
const MAX_FACTORS: usize = 8;

/// How long russh may take to notice that the server hung up.
const HANG_UP_LIMIT: Duration = Duration::from_secs(1);

/// One login on one connection.
pub(super) struct Login<'a> {
    pub(super) handle: &'a mut Handle<ClientHandler>,
    pub(super) hop: &'a Hop,
    pub(super) link: &'a Arc<Link>,
    pub(super) environment: &'a Arc<Environment>,
    pub(super) prompter: &'a Arc<dyn Prompter>,
    pub(super) clock: &'a Clock,
    pub(super) gate: &'a Gate,
    pub(super) keyring: Arc<Keyring>,
    pub(super) ledger: Ledger,
}

/// What was tried so far.
#[derive(Default)]
pub(super) struct Ledger {
    tried: Vec<AuthAttempt>,
    allowed: Vec<MethodKind>,
    /// The factors that the server accepted.
    passed: Vec<String>,
    /// The methods of which nothing is left to try.
    exhausted: Vec<MethodKind>,
    keys: Option<Keys>,
    /// Keys that the server was shown.
    offers: usize,
    /// Keys that it was not shown yet.
    untried: usize,
    /// What the server has refused, as it counts them.
    failures: usize,
    /// Keys that the stored passphrase opened.
    opened: Vec<(PathBuf, Arc<PrivateKey>)>,
    /// Files that the stored passphrase does not open.
    passphrase_refused: Vec<PathBuf>,
    /// The server was shown the stored password.
    password_spent: bool,
    /// A person had to answer something.
    asked: bool,
    /// Why the chosen key file is of no use.
    key_problem: Option<Cause>,
    /// Keyboard-interactive dialogues since the last factor.
    rounds: u32,
    /// Passwords since the last factor.
    passwords: u32,
}

/// A login that worked.
#[derive(Debug, Clone)]
pub(super) struct LoggedIn {
    /// `publickey (~/.ssh/id_ed25519)`; several factors are joined by ` + `.
    pub(super) method: String,
    /// Nobody had to be asked: can be repeated without anybody's help.
    pub(super) silent: bool,
}

/// What came of trying a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Done,
    /// Accepted, and the server wants more.
    Partial,
    Rejected,
    /// Nothing of this method is left to try.
    Exhausted,
}

impl Login<'_> {
    pub(super) async fn run(mut self) -> Result<LoggedIn, Cause> {
        // Yields the list of methods; some servers want nothing else.
        let result = self
            .handle
            .authenticate_none(self.hop.username.clone())
            .await;
        let mut progress = self.note("none", None, result).await?;
        if progress == Progress::Rejected
            && let Some(cause) = self.methods_disabled()
        {
            return Err(cause);
        }
        loop {
            match progress {
                Progress::Done => {
                    return Ok(LoggedIn {
                        method: self.ledger.passed.join(" + "),
                        silent: !self.ledger.asked,
                    });
                }
                // Another factor: what was of no use before may be wanted now.
                Progress::Partial => self.start_over()?,
                Progress::Rejected | Progress::Exhausted => {}
            }
            let wanted = self.wanted();
            let Some(method) = self.next(&wanted) else {
                return Err(self.failure(&wanted));
            };
            progress = match method {
                MethodKind::PublicKey => self.publickey().await?,
                MethodKind::KeyboardInteractive => self.keyboard_interactive().await?,
                MethodKind::Password => self.password().await?,
                MethodKind::None | MethodKind::HostBased | MethodKind::GssapiWithMic => {
                    Progress::Exhausted
                }
            };
            if progress == Progress::Exhausted {
                self.ledger.exhausted.push(method);
            }
        }
    }

    /// The method to try next; keys that were held back come last.
    fn next(&self, wanted: &[MethodKind]) -> Option<MethodKind> {
        let allowed = |method: &MethodKind| self.ledger.allowed.contains(method);
        let fresh = |method: &&MethodKind| !self.ledger.exhausted.contains(method);
        let mut usable = wanted.iter().filter(|method| allowed(method));
        usable.clone().find(fresh).copied().or_else(|| {
            let held_back = self.ledger.untried > 0 && self.ledger.offers < MAX_OFFERS;
            usable
                .find(|method| held_back && **method == MethodKind::PublicKey)
                .copied()
        })
    }

    fn start_over(&mut self) -> Result<(), Cause> {
        if self.ledger.passed.len() > MAX_FACTORS {
            return Err(self.auth_failed());
        }
        self.ledger.exhausted.clear();
        self.ledger.rounds = 0;
        self.ledger.passwords = 0;
        if let Some(keys) = &mut self.ledger.keys {
            keys.start_over();
        }
        Ok(())
    }

    /// Enters an answer of the server into the books.
    async fn note(
        &mut self,
        method: &'static str,
        detail: Option<String>,
        result: Result<AuthResult, RusshError>,
    ) -> Result<Progress, Cause> {
        match result {
            Ok(AuthResult::Success) => {
                self.pass(method, detail.as_deref());
                Ok(Progress::Done)
            }
            Ok(AuthResult::Failure {
                remaining_methods,
                partial_success,
            }) => {
                self.fail(method, detail, remaining_methods, partial_success)
                    .await
            }
            Err(_) => Err(self.hung_up().await),
        }
    }

    /// The server said no, or not yet.
    async fn fail(
        &mut self,
        method: &'static str,
        detail: Option<String>,
        remaining: MethodSet,
        partial: bool,
    ) -> Result<Progress, Cause> {
        let (outcome, progress) = if partial {
            self.pass(method, detail.as_deref());
            (AuthOutcome::Partial, Progress::Partial)
        } else {
            self.ledger.failures += usize::from(method != "none");
            (AuthOutcome::Rejected, Progress::Rejected)
        };
        // Every server refuses "none"; that is how one asks for the list.
        if method != "none" || partial {
            self.ledger.tried.push(AuthAttempt {
                method,
                detail,
                outcome,
            });
        }
        if remaining.is_empty() {
            // russh says the same when the server hung up, and ends the
            // connection when the server really has nothing left to offer.
            return Err(self.hung_up().await);
        }
        self.ledger.allowed = remaining.to_vec();
        Ok(progress)
    }

    fn pass(&mut self, method: &str, detail: Option<&str>) {
        self.ledger.passed.push(match detail {
            Some(detail) => format!("{method} ({detail})"),
            None => method.to_owned(),
        });
    }

    fn skip(&mut self, method: &'static str, detail: Option<String>, reason: impl ToString) {
        self.ledger.tried.push(AuthAttempt {
            method,
            detail,
            outcome: AuthOutcome::Skipped(reason.to_string()),
        });
    }

    /// Waits for a person as long as there is a connection to answer on.
    async fn ask_while_alive<T>(
        &mut self,
        limit: Duration,
        question: impl Future<Output = Result<T, PromptFailure>>,
    ) -> Result<Result<T, PromptFailure>, Cause> {
        let (dead, clock) = (self.link.dead.clone(), self.clock.clone());
        tokio::select! {
            biased;
            answer = clock.ask(limit, question) => Ok(answer),
            () = dead.cancelled() => Err(self.hung_up().await),
        }
    }

    /// The connection ended during the login: the reason is the server's, not ours.
    async fn hung_up(&mut self) -> Cause {
        let _ = tokio::time::timeout(HANG_UP_LIMIT, self.link.dead.cancelled()).await;
        let cause = self.link.cause();
        match &cause {
            Cause::Protocol { source } => {
                // The server's last list was empty; the one before says more.
                if let Some(RusshError::NoAuthMethod) = source.downcast_ref() {
                    return self.auth_failed();
                }
                cause
            }
            Cause::Disconnected {
                message: Some(message),
            } if message.to_ascii_lowercase().contains("too many auth") => {
                self.hung_up_on_failures()
            }
            _ => cause,
        }
    }

    /// The server hung up because of too many failures (MaxAuthTries). It is the
    /// keys' fault if something else never had its turn.
    fn hung_up_on_failures(&mut self) -> Cause {
        let last = self.ledger.tried.last();
        let keys = last.is_some_and(|attempt| attempt.method == "publickey");
        if keys && (self.ledger.untried > 0 || self.answers_may_help()) {
            return self.too_many_keys();
        }
        if self.ledger.untried > 0 {
            let reason = format!("{} more keys; the server hung up", self.ledger.untried);
            self.skip("publickey", None, reason);
        }
        self.auth_failed()
    }

    /// Nothing is left to try.
    fn failure(&mut self, wanted: &[MethodKind]) -> Cause {
        self.note_untried(wanted);
        let rejected = self
            .ledger
            .tried
            .iter()
            .any(|tried| matches!(tried.outcome, AuthOutcome::Rejected | AuthOutcome::Partial));
        if !rejected
            && self.ledger.allowed.contains(&MethodKind::PublicKey)
            && let Some(problem) = self.ledger.key_problem.take()
        {
            return problem;
        }
        if self.ledger.untried > 0 && self.ledger.offers >= MAX_OFFERS {
            return self.too_many_keys();
        }
        self.auth_failed()
    }

    fn too_many_keys(&self) -> Cause {
        Cause::TooManyKeys {
            username: self.hop.username.clone(),
            offered: self.ledger.offers,
            untried: self.ledger.untried,
            tried: self.ledger.tried.clone(),
            allowed: self.allowed_names(),
        }
    }

    fn auth_failed(&self) -> Cause {
        Cause::AuthFailed {
            username: self.hop.username.clone(),
            tried: self.ledger.tried.clone(),
            allowed: self.allowed_names(),
            banner: self.link.banner(),
        }
    }

    fn allowed_names(&self) -> Vec<String> {
        self.ledger.allowed.iter().map(String::from).collect()
    }
}

/// Work for the disk or for the processor.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Cause> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Cause::Protocol {
            source: Arc::new(error),
        })
}
