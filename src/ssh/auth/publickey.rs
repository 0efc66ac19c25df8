//! Offers keys. A locked file is offered by its public half, and the person is
//! asked for the passphrase only when the server would take the key.

use std::path::Path;
use std::sync::Arc;

use russh::MethodKind;
use russh::client::AuthResult;
use russh::keys::agent::AgentIdentity;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};

use super::agent::{Agent, SignError, label};
use super::candidates::{Candidate, Keys};
use super::key_file::{KeyFile, Lock};
use super::passphrase::{Passphrase, UnlockError, unlock};
use super::{Login, MAX_OFFERS, Progress};
use crate::ssh::error::{Cause, KeyProblem, Place};
use crate::ssh::prompt::{PromptFailure, PromptKind};
use crate::ssh::target::AuthMethod;

impl Login<'_> {
    /// Offers keys until one is accepted, all are used up, or too many were offered.
    pub(super) async fn publickey(&mut self) -> Result<Progress, Cause> {
        let mut keys = match self.ledger.keys.take() {
            Some(keys) => keys,
            None => self.gather().await?,
        };
        let mut progress = Progress::Exhausted;
        while self.ledger.allowed.contains(&MethodKind::PublicKey)
            && self.ledger.offers < MAX_OFFERS
        {
            let Some(candidate) = keys.candidates.pop_front() else {
                break;
            };
            let tried = match candidate {
                Candidate::File {
                    file,
                    certificate,
                    chosen,
                } => self.offer_file(file, certificate, chosen).await,
                Candidate::Agent(identity) => match &mut keys.agent {
                    Some(agent) => self.offer_agent(agent, identity).await,
                    None => Ok(Progress::Rejected),
                },
            };
            match tried {
                Ok(done @ (Progress::Done | Progress::Partial)) => {
                    progress = done;
                    break;
                }
                Ok(Progress::Rejected | Progress::Exhausted) => {}
                Err(cause) => {
                    self.ledger.keys = Some(keys);
                    return Err(match cause {
                        // Counted again, now that the rest is known.
                        Cause::TooManyKeys { .. } => {
                            let untried = self.ledger.keys.as_ref().map_or(0, Keys::left);
                            self.too_many_keys(untried)
                        }
                        cause => cause,
                    });
                }
            }
        }
        self.ledger.keys = Some(keys);
        Ok(progress)
    }

    async fn offer_file(
        &mut self,
        file: KeyFile,
        certificate: Option<Certificate>,
        chosen: bool,
    ) -> Result<Progress, Cause> {
        let name = self.environment.shorten(&file.path);
        let file = match self.open_with_stored(file, chosen).await? {
            Ok(file) => file,
            Err(problem) if chosen => return self.chosen_key_problem(problem),
            Err(problem) => {
                self.skip("publickey", Some(name), problem);
                return Ok(Progress::Rejected);
            }
        };
        match &file.lock {
            Lock::Open(key) => {
                let key = key.clone();
                if let Some(certificate) = certificate {
                    let progress = self.offer_certificate(&key, certificate, &name).await?;
                    if progress != Progress::Rejected {
                        return Ok(progress);
                    }
                }
                self.offer_open(key, &name, chosen).await
            }
            Lock::Locked { public, .. } => {
                let public = public.clone();
                self.offer_locked(file, public, &name, chosen).await
            }
        }
    }

    /// Opens a locked file if its passphrase is at hand, and says what is wrong
    /// if it can't be opened by anybody.
    async fn open_with_stored(
        &mut self,
        file: KeyFile,
        chosen: bool,
    ) -> Result<Result<KeyFile, KeyProblem>, Cause> {
        if matches!(file.lock, Lock::Open(_)) {
            return Ok(Ok(file));
        }
        if let Some(passphrase) = self.hop.passphrase.clone() {
            match unlock(&file, passphrase).await? {
                Ok(key) => {
                    let lock = Lock::Open(key);
                    return Ok(Ok(KeyFile { lock, ..file }));
                }
                Err(problem) if chosen => return Ok(Err(problem)),
                // The stored passphrase is that of another key.
                Err(_) => {}
            }
        }
        if !self.prompter.can_answer() {
            return Ok(Err(KeyProblem::PassphraseNeeded));
        }
        Ok(Ok(file))
    }

    async fn offer_certificate(
        &mut self,
        key: &Arc<PrivateKey>,
        certificate: Certificate,
        name: &str,
    ) -> Result<Progress, Cause> {
        self.ledger.offers += 1;
        let result = self
            .handle
            .authenticate_openssh_cert(self.hop.username.clone(), key.clone(), certificate)
            .await;
        let detail = format!("{name}, certificate");
        self.note("publickey", Some(detail), result).await
    }

    async fn offer_open(
        &mut self,
        key: Arc<PrivateKey>,
        name: &str,
        chosen: bool,
    ) -> Result<Progress, Cause> {
        let Some(hashes) = self.hashes(key.public_key()).await? else {
            return self.only_sha1(name, chosen);
        };
        let mut progress = Progress::Rejected;
        for hash in hashes {
            self.ledger.offers += 1;
            let key = PrivateKeyWithHashAlg::new(key.clone(), hash);
            let result = self
                .handle
                .authenticate_publickey(self.hop.username.clone(), key)
                .await;
            progress = self
                .note("publickey", Some(name.to_owned()), result)
                .await?;
            if progress != Progress::Rejected {
                break;
            }
        }
        Ok(progress)
    }

    /// Asks the server about the public half, and the person only if it says yes.
    async fn offer_locked(
        &mut self,
        file: KeyFile,
        public: Option<PublicKey>,
        name: &str,
        chosen: bool,
    ) -> Result<Progress, Cause> {
        let mut signer = Passphrase {
            prompter: self.prompter.clone(),
            clock: self.clock.clone(),
            place: Place::clone(&self.link.place),
            file,
        };
        let Some(public) = public else {
            if !chosen {
                self.skip(
                    "publickey",
                    Some(name.to_owned()),
                    KeyProblem::PassphraseNeeded,
                );
                return Ok(Progress::Rejected);
            }
            self.ledger.asked = true;
            return match signer.unlock().await {
                Ok(key) => self.offer_open(key, name, chosen).await,
                Err(error) => self.passphrase_problem(error, name, chosen, &signer.file.path),
            };
        };
        let Some(hashes) = self.hashes(&public).await? else {
            return self.only_sha1(name, chosen);
        };
        let mut progress = Progress::Rejected;
        for hash in hashes {
            self.ledger.offers += 1;
            let result = self
                .handle
                .authenticate_publickey_with(
                    self.hop.username.clone(),
                    public.clone(),
                    hash,
                    &mut signer,
                )
                .await;
            progress = match result {
                Ok(result) => {
                    if result == AuthResult::Success {
                        self.ledger.asked = true;
                    }
                    self.note("publickey", Some(name.to_owned()), Ok(result))
                        .await?
                }
                Err(UnlockError::Gone) => return Err(self.hung_up().await),
                Err(error) => {
                    return self.passphrase_problem(error, name, chosen, &signer.file.path);
                }
            };
            if progress != Progress::Rejected {
                break;
            }
        }
        Ok(progress)
    }

    async fn offer_agent(
        &mut self,
        agent: &mut Agent,
        identity: AgentIdentity,
    ) -> Result<Progress, Cause> {
        let name = label(&identity);
        let Some(hashes) = self.hashes(&identity.public_key()).await? else {
            return self.only_sha1(&name, false);
        };
        let mut progress = Progress::Rejected;
        for hash in hashes {
            self.ledger.offers += 1;
            let username = self.hop.username.clone();
            let result = match &identity {
                AgentIdentity::PublicKey { key, .. } => {
                    self.handle
                        .authenticate_publickey_with(username, key.clone(), hash, agent)
                        .await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    self.handle
                        .authenticate_certificate_with(username, certificate.clone(), hash, agent)
                        .await
                }
            };
            progress = match result {
                Ok(result) => {
                    self.note("publickey", Some(name.clone()), Ok(result))
                        .await?
                }
                Err(SignError::Gone) => return Err(self.hung_up().await),
                Err(SignError::Agent(reason)) => {
                    self.skip(
                        "publickey",
                        Some(name),
                        format!("the agent did not sign: {reason}"),
                    );
                    return Ok(Progress::Rejected);
                }
            };
            if progress != Progress::Rejected {
                break;
            }
        }
        Ok(progress)
    }

    /// The hash algorithms to sign with: one for most keys, SHA-2 for RSA;
    /// `None` if the server only takes SHA-1.
    async fn hashes(&mut self, key: &PublicKey) -> Result<Option<Vec<Option<HashAlg>>>, Cause> {
        if !key.algorithm().is_rsa() {
            return Ok(Some(vec![None]));
        }
        match self.handle.best_supported_rsa_hash().await {
            Ok(Some(Some(hash))) => Ok(Some(vec![Some(hash)])),
            Ok(Some(None)) => Ok(None),
            // The server did not say.
            Ok(None) => Ok(Some(vec![Some(HashAlg::Sha512), Some(HashAlg::Sha256)])),
            Err(_) => Err(self.hung_up().await),
        }
    }

    fn only_sha1(&mut self, name: &str, chosen: bool) -> Result<Progress, Cause> {
        if chosen {
            return self.chosen_key_problem(KeyProblem::OnlySha1);
        }
        self.skip("publickey", Some(name.to_owned()), KeyProblem::OnlySha1);
        Ok(Progress::Rejected)
    }

    fn passphrase_problem(
        &mut self,
        error: UnlockError,
        name: &str,
        chosen: bool,
        path: &Path,
    ) -> Result<Progress, Cause> {
        match error {
            // Nobody there after all: as if nobody could have been asked.
            UnlockError::NoAnswer(PromptFailure::Unsupported) if chosen => {
                self.chosen_key_problem(KeyProblem::PassphraseNeeded)
            }
            UnlockError::NoAnswer(PromptFailure::Unsupported) => {
                self.skip(
                    "publickey",
                    Some(name.to_owned()),
                    KeyProblem::PassphraseNeeded,
                );
                Ok(Progress::Rejected)
            }
            UnlockError::NoAnswer(failure) => Err(Cause::Unanswerable {
                kind: PromptKind::Passphrase {
                    path: path.to_owned(),
                },
                failure,
            }),
            UnlockError::Problem(problem) if chosen => self.chosen_key_problem(problem),
            UnlockError::Problem(problem) => {
                self.skip("publickey", Some(name.to_owned()), problem);
                Ok(Progress::Rejected)
            }
            UnlockError::Gone => Err(self.link.cause()),
        }
    }

    /// The chosen file is of no use: an error if nothing else may be tried.
    pub(super) fn chosen_key_problem(&mut self, problem: KeyProblem) -> Result<Progress, Cause> {
        let path = self.hop.private_key_path.clone().unwrap_or_default();
        let name = self.environment.shorten(&self.environment.expand(&path));
        self.skip("publickey", Some(name), &problem);
        let cause = Cause::KeyUnusable {
            path: self.environment.expand(&path),
            problem,
        };
        if self.hop.auth == AuthMethod::PrivateKey {
            return Err(cause);
        }
        self.ledger.key_problem = Some(cause);
        Ok(Progress::Rejected)
    }
}
