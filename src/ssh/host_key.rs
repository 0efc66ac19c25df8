//! Is this the machine it claims to be? Judged before any credential leaves.
//!
//! The files' verdict and the policy decide; what they leave open is asked, once
//! however many connections wait for the answer.

mod decision;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use russh::keys::{Certificate, PublicKey, PublicKeyOrCertificate};
use tokio_util::sync::CancellationToken;

use self::decision::{Decision, decide};
use super::clock::Clock;
use super::error::{Cause, HostKeyInfo, NotTrusted, Place};
use super::flight::{Flight, Waiter};
use super::known_hosts::{
    self, Appended, CertificateVerdict, HostName, Recorded, Records, Verdict,
};
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

/// What a server shows to prove who it is.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// The key that it holds.
    key: PublicKey,
    /// Somebody else's word for that key.
    certificate: Option<Certificate>,
}

impl Shown {
    pub(super) fn new(shown: &PublicKeyOrCertificate) -> Self {
        Self {
            key: PublicKey::new(shown.public_key().key_data().clone(), ""),
            certificate: shown.certificate().cloned(),
        }
    }
}

/// What the files say about it.
#[derive(Debug)]
struct Found {
    certificate: Option<CertificateVerdict>,
    key: Verdict,
}

impl Verifier {
    /// Says why the key can be trusted, or why not.
    pub(super) async fn verify(&self, shown: &Shown) -> Result<&'static str, Cause> {
        let name = HostName::of(&self.place.host, self.place.port, &self.files);
        let info = known_hosts::describe(&shown.key);
        match self.decision(&name, shown, &info).await? {
            Decision::Accept => Ok("known"),
            Decision::AcceptCertificate => Ok("certified"),
            Decision::Refuse(cause) => Err(cause),
            Decision::Learn => {
                self.learn(&name, shown, &info).await?;
                Ok("new, recorded now")
            }
            Decision::Ask { reason, known_as } => {
                let once = (name.full.clone(), info.fingerprint.clone());
                if self.environment.memory.host_keys().accepted.contains(&once) {
                    return Ok("accepted until the end of this session");
                }
                match self.ask(&name, &info, reason, known_as).await? {
                    HostKeyDecision::Accept => {
                        self.learn(&name, shown, &info).await?;
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
        shown: &Shown,
        info: &HostKeyInfo,
    ) -> Result<Decision, Cause> {
        let (files, host, shown) = (
            self.environment.known_hosts(&self.files),
            name.clone(),
            shown.clone(),
        );
        let found = blocking(&self.environment, move || {
            let records = Records::read(&files, &host, Some(&shown.key))?;
            let certificate = shown
                .certificate
                .map(|certificate| records.judge_certificate(&certificate, &host, now()));
            let key = records.judge(&shown.key);
            Ok(Found { certificate, key })
        })
        .await?;
        Ok(decide(self.policy, found, info, name))
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
    async fn learn(&self, name: &HostName, shown: &Shown, info: &HostKeyInfo) -> Result<(), Cause> {
        let file = self.environment.own_known_hosts.clone();
        let (host, new) = (name.clone(), shown.key.clone());
        let stored =
            tokio::task::spawn_blocking(move || known_hosts::append(&file, &host, &new)).await;
        match stored {
            Ok(Ok(Appended::Recorded)) => {}
            Ok(Ok(Appended::Contradicted)) => {
                if let Decision::Refuse(cause) = self.decision(name, shown, info).await? {
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

/// What is recorded for a hop.
pub(super) async fn recorded(
    place: &Place,
    files: &KnownHostsFiles,
    environment: &Arc<Environment>,
) -> Result<Recorded, Cause> {
    let name = HostName::of(&place.host, place.port, files);
    let files = environment.known_hosts(files);
    blocking(environment, move || {
        Ok(Records::read(&files, &name, None)?.preference())
    })
    .await
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
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

#[cfg(test)]
mod tests;
