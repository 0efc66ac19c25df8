//! Is this the machine it claims to be? Judged before any credential leaves.
//!
//! The files' verdict and the policy decide; what they leave open is asked, once
//! however many connections wait for the answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::keys::PublicKey;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::error::{Cause, HostKeyInfo, NotTrusted, Place};
use super::flight::{Flight, Waiter};
use super::known_hosts::{self, Appended, HostName, Records, Verdict};
use super::memory::{OpenQuestion, QuestionEnd};
use super::prompt::{
    HostKeyDecision, HostKeyQuestion, HostKeyReason, KnownAs, PromptFailure, Prompter,
};
use super::target::{Environment, HostKeyPolicy, KnownHostsFiles};

/// How long a person may compare fingerprints; servers hang up after 120 s.
const ASK_LIMIT: Duration = Duration::from_secs(90);

/// How long the disk may take for the known_hosts files (a home may be on a network).
const READ_LIMIT: Duration = Duration::from_secs(5);

/// Judges the host key of one hop.
pub(super) struct Verifier {
    pub(super) place: Place,
    pub(super) policy: HostKeyPolicy,
    pub(super) files: KnownHostsFiles,
    pub(super) environment: Arc<Environment>,
    pub(super) prompter: Arc<dyn Prompter>,
    pub(super) clock: Clock,
}

/// What policy makes of a verdict.
#[derive(Debug)]
enum Decision {
    Accept,
    /// Accept and remember.
    Learn,
    Ask {
        reason: HostKeyReason,
        known_as: Vec<KnownAs>,
    },
    Refuse(Cause),
}

impl Verifier {
    /// Says why the key can be trusted, or why not.
    pub(super) async fn verify(&self, key: &PublicKey) -> Result<&'static str, Cause> {
        let name = HostName::new(&self.place.host, self.place.port);
        let info = known_hosts::describe(key);
        match self.decision(&name, key, &info).await? {
            Decision::Accept => Ok("known"),
            Decision::Refuse(cause) => Err(cause),
            Decision::Learn => {
                self.learn(&name, key, &info).await?;
                Ok("new, recorded now")
            }
            Decision::Ask { reason, known_as } => {
                let once = (name.full.clone(), info.fingerprint.clone());
                if self.environment.memory.host_keys().accepted.contains(&once) {
                    return Ok("accepted until the end of this session");
                }
                match self.ask(&name, &info, reason, known_as).await? {
                    HostKeyDecision::Accept => {
                        self.learn(&name, key, &info).await?;
                        Ok("new, accepted and recorded")
                    }
                    HostKeyDecision::AcceptOnce => Ok("new, accepted for this session"),
                    HostKeyDecision::Reject => Err(Cause::HostKeyRejected { key: info }),
                }
            }
        }
    }

    /// What the files and the policy say.
    async fn decision(
        &self,
        name: &HostName,
        key: &PublicKey,
        info: &HostKeyInfo,
    ) -> Result<Decision, Cause> {
        let (files, host, key) = (
            self.environment.known_hosts(&self.files),
            name.clone(),
            key.clone(),
        );
        let verdict = blocking(&self.environment, move || {
            Ok(Records::read(&files, &host, Some(&key))?.judge(&key))
        })
        .await?;
        Ok(decide(self.policy, verdict, info, name))
    }

    /// Asks the person, or waits for the answer to the same question.
    async fn ask(
        &self,
        name: &HostName,
        key: &HostKeyInfo,
        reason: HostKeyReason,
        known_as: Vec<KnownAs>,
    ) -> Result<HostKeyDecision, Cause> {
        let unknown = |why, known_as| Cause::HostKeyUnknown {
            key: key.clone(),
            reason,
            known_as,
            why,
        };
        let conflict = |other: HostKeyInfo| Cause::HostKeyConflict {
            key: key.clone(),
            other,
        };
        let question = HostKeyQuestion {
            place: self.place.clone(),
            key: key.clone(),
            reason,
            known_as: known_as.clone(),
            time_limit: self.clock.prompt_limit(ASK_LIMIT),
        };
        let waiter = self.join_or_start(name, question).map_err(conflict)?;
        let end = self
            .clock
            .ask(ASK_LIMIT, async { Ok(waiter.wait().await) })
            .await
            .unwrap_or(Some(QuestionEnd::Answered(Err(PromptFailure::TimedOut))));
        match end {
            Some(QuestionEnd::Answered(Ok(decision))) => Ok(decision),
            Some(QuestionEnd::Answered(Err(failure))) => {
                Err(unknown(NotTrusted::NoAnswer(failure), known_as))
            }
            Some(QuestionEnd::Conflict(other)) => Err(conflict(other)),
            None => {
                let why = NotTrusted::NoAnswer(PromptFailure::HostGone);
                Err(unknown(why, known_as))
            }
        }
    }

    /// One question per host and key. Another key for the same host while the
    /// question is open ends both: `Err` holds the other key.
    fn join_or_start(
        &self,
        name: &HostName,
        question: HostKeyQuestion,
    ) -> Result<Waiter<QuestionEnd>, HostKeyInfo> {
        let mut host_keys = self.environment.memory.host_keys();
        if let Some(open) = host_keys.open.get(&name.full)
            && let Some(waiter) = open.flight.join()
        {
            if open.key == question.key {
                return Ok(waiter);
            }
            *open.conflict.lock().unwrap_or_else(PoisonError::into_inner) = Some(question.key);
            open.conflicted.cancel();
            return Err(open.key.clone());
        }
        let key = question.key.clone();
        let conflict = Arc::new(Mutex::new(None));
        let conflicted = CancellationToken::new();
        let work = {
            let prompter = self.prompter.clone();
            let (conflict, conflicted) = (conflict.clone(), conflicted.clone());
            let closing = Closing {
                environment: self.environment.clone(),
                name: name.full.clone(),
                key: key.clone(),
            };
            async move {
                let end = tokio::select! {
                    biased;
                    () = conflicted.cancelled() => {
                        let other = conflict.lock().unwrap_or_else(PoisonError::into_inner).take();
                        other.map_or(
                            QuestionEnd::Answered(Ok(HostKeyDecision::Reject)),
                            QuestionEnd::Conflict,
                        )
                    }
                    answer = prompter.verify_host_key(question) => QuestionEnd::Answered(answer),
                };
                // Accepted for now at once, so that nobody asks again before
                // the file has been written.
                closing.close(&end);
                end
            }
        };
        let (flight, waiter) = Flight::start(work);
        host_keys.open.insert(
            name.full.clone(),
            OpenQuestion {
                key,
                flight,
                conflict,
                conflicted,
            },
        );
        Ok(waiter)
    }

    /// Records the key in our own file. A full disk does not undo the decision,
    /// it only means to be asked again some day; but another key that was
    /// recorded meanwhile does.
    async fn learn(
        &self,
        name: &HostName,
        key: &PublicKey,
        info: &HostKeyInfo,
    ) -> Result<(), Cause> {
        let file = self.environment.own_known_hosts.clone();
        let (host, new) = (name.clone(), key.clone());
        let stored =
            tokio::task::spawn_blocking(move || known_hosts::append(&file, &host, &new)).await;
        match stored {
            Ok(Ok(Appended::Recorded)) => {}
            Ok(Ok(Appended::Contradicted)) => {
                if let Decision::Refuse(cause) = self.decision(name, key, info).await? {
                    return Err(cause);
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "the host key could not be recorded"),
            Err(error) => tracing::warn!(%error, "the host key could not be recorded"),
        }
        Ok(())
    }
}

/// Removes an answered question from the open ones.
struct Closing {
    environment: Arc<Environment>,
    name: String,
    key: HostKeyInfo,
}

impl Closing {
    fn close(&self, end: &QuestionEnd) {
        let mut host_keys = self.environment.memory.host_keys();
        if host_keys
            .open
            .get(&self.name)
            .is_some_and(|open| open.key == self.key)
        {
            host_keys.open.remove(&self.name);
        }
        if let QuestionEnd::Answered(Ok(HostKeyDecision::Accept | HostKeyDecision::AcceptOnce)) =
            end
        {
            let once = (self.name.clone(), self.key.fingerprint.clone());
            host_keys.accepted.insert(once);
        }
    }
}

/// The types of the keys that are recorded for a hop.
pub(super) async fn recorded_types(
    place: &Place,
    files: &KnownHostsFiles,
    environment: &Arc<Environment>,
) -> Result<Vec<russh::keys::Algorithm>, Cause> {
    let name = HostName::new(&place.host, place.port);
    let files = environment.known_hosts(files);
    blocking(environment, move || {
        Ok(Records::read(&files, &name, None)?.key_types())
    })
    .await
}

/// Reads known_hosts files on a thread that may block; silence counts as unreadable.
async fn blocking<T: Send + 'static>(
    environment: &Environment,
    work: impl FnOnce() -> Result<T, Cause> + Send + 'static,
) -> Result<T, Cause> {
    let unreadable = |source| Cause::KnownHostsUnreadable {
        file: environment.own_known_hosts.clone(),
        source: Arc::new(source),
    };
    match tokio::time::timeout(READ_LIMIT, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(unreadable(std::io::Error::other(error))),
        Err(_) => Err(unreadable(std::io::ErrorKind::TimedOut.into())),
    }
}

/// The table of policies. Changed and revoked keys are refused under each of them.
fn decide(policy: HostKeyPolicy, verdict: Verdict, key: &HostKeyInfo, name: &HostName) -> Decision {
    let key = key.clone();
    match verdict {
        Verdict::Revoked { file, line } => {
            Decision::Refuse(Cause::HostKeyRevoked { key, file, line })
        }
        Verdict::Known => Decision::Accept,
        Verdict::Changed(known) => {
            let file = known
                .first()
                .map(|known| format!(" -f {}", shell_quote(&known.file.display().to_string())))
                .unwrap_or_default();
            Decision::Refuse(Cause::HostKeyChanged {
                key,
                known,
                remove_command: format!("ssh-keygen{file} -R {}", shell_quote(&name.full)),
            })
        }
        Verdict::Unknown {
            authority_expected,
            on_port_22,
            known_as,
        } => {
            let reason = if authority_expected {
                HostKeyReason::AuthorityExpected
            } else if on_port_22 {
                HostKeyReason::KnownOnPort22
            } else {
                HostKeyReason::NeverSeen
            };
            match (policy, reason) {
                (HostKeyPolicy::Ask, _) => Decision::Ask { reason, known_as },
                (
                    HostKeyPolicy::AcceptNew,
                    HostKeyReason::NeverSeen | HostKeyReason::KnownOnPort22,
                ) => Decision::Learn,
                (HostKeyPolicy::AcceptNew, HostKeyReason::AuthorityExpected)
                | (HostKeyPolicy::Strict, _) => Decision::Refuse(Cause::HostKeyUnknown {
                    key,
                    reason,
                    known_as,
                    why: NotTrusted::Policy,
                }),
            }
        }
    }
}

/// Quotes a word for a POSIX shell, for commands that people copy.
fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~:@%+=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
