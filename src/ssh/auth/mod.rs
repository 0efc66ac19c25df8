//! Logs in: `none`, keys, agent, keyboard-interactive, password, as far as the
//! server allows and the profile wants.
//!
//! Runs only after the host key was trusted. What cannot be tried is skipped
//! with a reason, and the reasons are part of the error in the end.

mod agent;
mod candidates;
mod certificate;
mod interactive;
mod key_file;
mod passphrase;
mod publickey;

use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::{Error as RusshError, MethodKind, MethodSet};

use self::candidates::Keys;
use super::clock::Clock;
use super::error::{AuthAttempt, AuthOutcome, Cause};
use super::handler::ClientHandler;
use super::link::Link;
use super::prompt::Prompter;
use super::target::{AuthMethod, Environment, Hop};

/// How many keys are offered. OpenSSH's server hangs up at the sixth failure
/// (MaxAuthTries), and a password should still have a chance.
const MAX_OFFERS: usize = 5;

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
    pub(super) ledger: Ledger,
}

/// What was tried so far.
#[derive(Default)]
pub(super) struct Ledger {
    tried: Vec<AuthAttempt>,
    allowed: Vec<MethodKind>,
    /// The factors that the server accepted.
    passed: Vec<String>,
    keys: Option<Keys>,
    offers: usize,
    /// The server was shown the stored password.
    password_spent: bool,
    /// A person had to answer something.
    asked: bool,
    /// Why the chosen key file is of no use.
    key_problem: Option<Cause>,
    rounds: u32,
    /// A person answered the server's own questions.
    questioned: bool,
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
        let mut exhausted: Vec<MethodKind> = Vec::new();
        loop {
            match progress {
                Progress::Done => {
                    return Ok(LoggedIn {
                        method: self.ledger.passed.join(" + "),
                        silent: !self.ledger.asked,
                    });
                }
                // Another factor: what was of no use before may be wanted now.
                Progress::Partial => exhausted.retain(|method| *method == MethodKind::PublicKey),
                Progress::Rejected | Progress::Exhausted => {}
            }
            let wanted = self.wanted();
            let next = wanted
                .iter()
                .copied()
                .find(|method| self.ledger.allowed.contains(method) && !exhausted.contains(method));
            let Some(method) = next else {
                return Err(self.failure(wanted));
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
                exhausted.push(method);
            }
        }
    }

    /// The methods that may be used now, in order.
    fn wanted(&self) -> &'static [MethodKind] {
        use MethodKind::{KeyboardInteractive, Password, PublicKey};
        // The first factor was the chosen one; what the server wants on top
        // is its own choice.
        let another_factor = !self.ledger.passed.is_empty();
        match self.hop.auth {
            AuthMethod::Auto => &[PublicKey, KeyboardInteractive, Password],
            AuthMethod::PrivateKey | AuthMethod::Agent if another_factor => {
                &[PublicKey, KeyboardInteractive, Password]
            }
            AuthMethod::PrivateKey | AuthMethod::Agent => &[PublicKey],
            // Many servers ask for the password in a keyboard-interactive dialogue only.
            AuthMethod::Password => &[Password, KeyboardInteractive],
            AuthMethod::KeyboardInteractive if another_factor => &[KeyboardInteractive, Password],
            AuthMethod::KeyboardInteractive => &[KeyboardInteractive],
            AuthMethod::None => &[],
        }
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
                let untried = self.ledger.keys.as_ref().map_or(0, Keys::left);
                if self.ledger.offers > 1 {
                    self.too_many_keys(untried)
                } else {
                    self.auth_failed()
                }
            }
            _ => cause,
        }
    }

    /// Nothing is left to try.
    fn failure(&mut self, wanted: &[MethodKind]) -> Cause {
        for method in wanted {
            let name: &'static str = method.into();
            if !self.ledger.allowed.contains(method)
                && self.ledger.tried.iter().all(|tried| tried.method != name)
            {
                self.skip(name, None, "the server does not allow it");
            }
        }
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
        let untried = self.ledger.keys.as_ref().map_or(0, Keys::left);
        if untried > 0 && self.ledger.offers >= MAX_OFFERS {
            return self.too_many_keys(untried);
        }
        self.auth_failed()
    }

    fn too_many_keys(&self, untried: usize) -> Cause {
        Cause::TooManyKeys {
            username: self.hop.username.clone(),
            offered: self.ledger.offers,
            untried,
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
