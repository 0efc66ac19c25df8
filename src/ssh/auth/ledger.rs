//! The books of a login: what was tried, what came of it, and what it means when
//! nothing is left or the server hangs up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::client::AuthResult;
use russh::keys::PrivateKey;
use russh::{Error as RusshError, MethodKind, MethodSet};
use secrecy::SecretString;

use super::candidates::Keys;
use super::{Login, MAX_OFFERS, Progress};
use crate::ssh::error::{AuthAttempt, AuthOutcome, Cause, KeyProblem};

/// How long russh may take to notice that the server hung up.
const HANG_UP_LIMIT: Duration = Duration::from_secs(1);

/// What was tried so far.
#[derive(Default)]
pub(in crate::ssh) struct Ledger {
    pub(super) tried: Vec<AuthAttempt>,
    pub(super) allowed: Vec<MethodKind>,
    /// The factors that the server accepted.
    pub(super) passed: Vec<String>,
    /// The methods of which nothing is left to try.
    pub(super) exhausted: Vec<MethodKind>,
    pub(super) keys: Option<Keys>,
    /// Keys that the server was shown.
    pub(super) offers: usize,
    /// Keys that it was not shown yet.
    pub(super) untried: usize,
    /// What the server has refused, as it counts them.
    pub(super) failures: usize,
    /// Keys that the stored passphrase opened.
    pub(super) opened: Vec<(PathBuf, Arc<PrivateKey>)>,
    /// Files that the stored passphrase does not open.
    pub(super) passphrase_refused: Vec<PathBuf>,
    /// What the profile's commands wrote.
    pub(super) password: Option<SecretString>,
    pub(super) passphrase: Option<SecretString>,
    /// The server was shown the stored password.
    pub(super) password_spent: bool,
    /// A person had to answer something.
    pub(super) asked: bool,
    /// Why the chosen key file is of no use.
    pub(super) key_problem: Option<Cause>,
    /// What was named and is of no use; the person should know, also when the login works.
    pub(super) notes: Vec<String>,
    /// Keyboard-interactive dialogues since the last factor.
    pub(super) rounds: u32,
    /// Passwords since the last factor.
    pub(super) passwords: u32,
}

impl Login<'_> {
    /// Enters an answer of the server into the books.
    pub(super) async fn note(
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
    pub(super) async fn fail(
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

    pub(super) fn pass(&mut self, method: &str, detail: Option<&str>) {
        self.ledger.passed.push(match detail {
            Some(detail) => format!("{method} ({detail})"),
            None => method.to_owned(),
        });
    }

    pub(super) fn skip(
        &mut self,
        method: &'static str,
        detail: Option<String>,
        reason: impl ToString,
    ) {
        self.ledger.tried.push(AuthAttempt {
            method,
            detail,
            outcome: AuthOutcome::Skipped(reason.to_string()),
        });
    }

    /// A key file that is not offered.
    pub(super) fn skip_key(&mut self, name: String, problem: &KeyProblem) {
        let reason = problem.to_string();
        self.ledger.tried.push(AuthAttempt {
            method: "publickey",
            detail: Some(name),
            outcome: if matches!(problem, KeyProblem::SecurityKey) {
                AuthOutcome::LeftToSystem(reason)
            } else {
                AuthOutcome::Skipped(reason)
            },
        });
    }

    /// The connection ended during the login: the reason is the server's, not ours.
    pub(super) async fn hung_up(&mut self) -> Cause {
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
    pub(super) fn failure(&mut self, wanted: &[MethodKind]) -> Cause {
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

    pub(super) fn auth_failed(&self) -> Cause {
        Cause::AuthFailed {
            username: self.hop.username.clone(),
            tried: self.ledger.tried.clone(),
            allowed: self.allowed_names(),
            banner: self.link.banner(),
        }
    }

    pub(super) fn allowed_names(&self) -> Vec<String> {
        self.ledger.allowed.iter().map(String::from).collect()
    }
}
