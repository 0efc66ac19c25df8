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
mod ledger;
mod methods;
mod order;
mod passphrase;
mod publickey;
mod signer;
mod source;

use std::sync::Arc;
use std::time::Duration;

use russh::MethodKind;
use russh::client::Handle;

#[cfg(test)]
pub(super) use self::candidates::DEFAULT_NAMES;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use self::key_file::{KeySeen, sniff};
pub(super) use self::keyring::Keyring;
pub(super) use self::ledger::Ledger;
use super::clock::Clock;
use super::egress::Gate;
use super::error::Cause;
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

/// A login that worked.
#[derive(Debug, Clone)]
pub(super) struct LoggedIn {
    /// `publickey (~/.ssh/id_ed25519)`; several factors are joined by ` + `.
    pub(super) method: String,
    /// Nobody had to be asked: can be repeated without anybody's help.
    pub(super) silent: bool,
    /// What was named and is of no use. Sentences.
    pub(super) notes: Vec<String>,
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
                        notes: self.ledger.notes,
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
