//! Offers keys. A locked file is offered by its public half, and the person is
//! asked for the passphrase only when the server would take the key.

use std::sync::Arc;

use russh::MethodKind;
use russh::client::AuthResult;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey};

use super::agent::Agent;
use super::candidates::Keys;
use super::key_file::{KeyFile, Lock};
use super::order::{Candidate, Offered, Source};
use super::signer::{Pen, SignError};
use super::{KEYS_BEFORE_ANSWERS, Login, MAX_OFFERS, Progress};
use crate::ssh::error::{Cause, KeyProblem};
use crate::ssh::target::AuthMethod;

const METHOD: &str = "publickey";

impl Login<'_> {
    /// Offers keys until one is accepted, all are used up, or enough were offered.
    pub(super) async fn publickey(&mut self) -> Result<Progress, Cause> {
        let mut keys = match self.ledger.keys.take() {
            Some(keys) => keys,
            None => self.gather().await?,
        };
        self.ledger.untried = keys.waiting.len();
        let result = self.offer_all(&mut keys).await;
        self.ledger.untried = keys.waiting.len();
        self.ledger.keys = Some(keys);
        result
    }

    async fn offer_all(&mut self, keys: &mut Keys) -> Result<Progress, Cause> {
        while self.ledger.allowed.contains(&MethodKind::PublicKey) && self.may_offer() {
            let Some(candidate) = keys.waiting.pop_front() else {
                break;
            };
            self.ledger.untried = keys.waiting.len();
            let progress = self.offer(&mut keys.agent, &candidate).await?;
            keys.offered.push_back(candidate);
            match progress {
                Progress::Done => return Ok(progress),
                Progress::Partial => {
                    keys.start_over();
                    return Ok(progress);
                }
                Progress::Rejected | Progress::Exhausted => {}
            }
        }
        Ok(Progress::Exhausted)
    }

    /// Whether the server is likely to stay if it does not know the next key, either.
    fn may_offer(&self) -> bool {
        if self.ledger.offers >= MAX_OFFERS {
            return false;
        }
        self.ledger.failures < KEYS_BEFORE_ANSWERS || !self.answers_may_help()
    }

    async fn offer(
        &mut self,
        agent: &mut Option<Agent>,
        candidate: &Candidate,
    ) -> Result<Progress, Cause> {
        match &candidate.source {
            Source::File(file) => self.offer_file(file, candidate).await,
            Source::Agent(identity) => {
                let Some(offered) = &candidate.offered else {
                    return Ok(Progress::Rejected);
                };
                let Some(connected) = agent else {
                    return self.no_use(candidate, "the agent is of no use any more");
                };
                // A security key has to be touched.
                let touched = is_security_key(&offered.algorithm());
                let pen = Pen::Agent(connected, identity);
                match self.offer_with(candidate, offered, pen).await? {
                    Ok(progress) => {
                        if progress != Progress::Rejected {
                            self.ledger.asked |= touched;
                        }
                        Ok(progress)
                    }
                    Err(SignError::Broken(reason)) => {
                        *agent = None;
                        self.no_use(candidate, format!("the agent did not sign: {reason}"))
                    }
                    Err(SignError::Refused(reason)) => {
                        self.no_use(candidate, format!("the agent did not sign: {reason}"))
                    }
                    Err(SignError::Gone | SignError::Wanted | SignError::Damaged) => {
                        Err(self.hung_up().await)
                    }
                }
            }
        }
    }

    async fn offer_file(
        &mut self,
        file: &Arc<KeyFile>,
        candidate: &Candidate,
    ) -> Result<Progress, Cause> {
        // What it does not show has to be opened first, as ssh does.
        let mut key = None;
        let offered = match &candidate.offered {
            Some(offered) => offered.clone(),
            None => match self.open(file, candidate.chosen).await? {
                Ok(opened) => {
                    let offered = Offered::Key(opened.public_key().clone());
                    key = Some(opened);
                    offered
                }
                Err(problem) => return self.key_problem(candidate, problem),
            },
        };
        if key.is_none() {
            key = match &file.lock {
                Lock::Open(key) => Some(key.clone()),
                Lock::Locked { .. } => {
                    match self.offer_with(candidate, &offered, Pen::Probe).await? {
                        Err(SignError::Wanted) => None,
                        Ok(progress) => return Ok(progress),
                        Err(_) => return Err(self.hung_up().await),
                    }
                }
            };
        }
        let key: Arc<PrivateKey> = match key {
            Some(key) => key,
            None => match self.open(file, candidate.chosen).await? {
                Ok(key) => key,
                Err(problem) => return self.key_problem(candidate, problem),
            },
        };
        match self.offer_with(candidate, &offered, Pen::Key(&key)).await? {
            Ok(progress) => Ok(progress),
            Err(SignError::Damaged) => self.key_problem(candidate, KeyProblem::Damaged),
            Err(_) => Err(self.hung_up().await),
        }
    }

    /// Offers a key with every hash that it may be used with. The inner error
    /// says why nobody signed.
    async fn offer_with(
        &mut self,
        candidate: &Candidate,
        offered: &Offered,
        mut pen: Pen<'_>,
    ) -> Result<Result<Progress, SignError>, Cause> {
        let hashes = match self.hashes(offered).await? {
            Ok(hashes) => hashes,
            Err(problem) => return self.key_problem(candidate, problem).map(Ok),
        };
        for hash in hashes {
            let result = match self.attempt(offered, hash, &mut pen).await {
                Ok(result) => result,
                Err(SignError::Gone) => return Err(self.hung_up().await),
                Err(error) => return Ok(Err(error)),
            };
            self.ledger.offers += 1;
            let name = match &candidate.doubt {
                Some(doubt) => format!("{} that {doubt}", candidate.name),
                None => candidate.name.clone(),
            };
            let progress = self.note(METHOD, Some(name), Ok(result)).await?;
            if progress != Progress::Rejected {
                return Ok(Ok(progress));
            }
        }
        Ok(Ok(Progress::Rejected))
    }

    async fn attempt(
        &mut self,
        offered: &Offered,
        hash: Option<HashAlg>,
        pen: &mut Pen<'_>,
    ) -> Result<AuthResult, SignError> {
        let username = self.hop.username.clone();
        match offered {
            Offered::Key(key) => {
                self.handle
                    .authenticate_publickey_with(username, key.clone(), hash, pen)
                    .await
            }
            Offered::Certificate(certificate) => {
                let certificate = Certificate::clone(certificate);
                self.handle
                    .authenticate_certificate_with(username, certificate, hash, pen)
                    .await
            }
        }
    }

    /// A key file that turned out to be of no use.
    fn key_problem(
        &mut self,
        candidate: &Candidate,
        problem: KeyProblem,
    ) -> Result<Progress, Cause> {
        if candidate.chosen {
            return self.chosen_key_problem(problem);
        }
        self.skip_key(candidate.name.clone(), &problem);
        Ok(Progress::Rejected)
    }

    fn no_use(&mut self, candidate: &Candidate, reason: impl ToString) -> Result<Progress, Cause> {
        self.skip(METHOD, Some(candidate.name.clone()), reason);
        Ok(Progress::Rejected)
    }

    /// The chosen file is of no use: an error if nothing else may be tried.
    pub(super) fn chosen_key_problem(&mut self, problem: KeyProblem) -> Result<Progress, Cause> {
        let path = self.hop.private_key_path.clone().unwrap_or_default();
        let path = self.environment.expand(&path);
        let name = self.environment.shorten(&path);
        self.ledger
            .notes
            .push(format!("The key {name} was not used: it {problem}."));
        self.skip_key(name, &problem);
        let cause = Cause::KeyUnusable { path, problem };
        if self.hop.auth == AuthMethod::PrivateKey && self.hop.identity_files.is_none() {
            return Err(cause);
        }
        self.ledger.key_problem = Some(cause);
        Ok(Progress::Rejected)
    }
}

fn is_security_key(algorithm: &Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256
    )
}
