//! Keys: which ones, in which order, and how each is offered.
//!
//! The chosen key file first, then the agent's keys (one that matches the chosen
//! file before all others), then the default files. A locked file is offered by
//! its public half, and the person is asked for the passphrase only when the
//! server would take the key.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::client::AuthResult;
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, SendError};
use secrecy::SecretString;

use super::agent::{Agent, SignError, label};
use super::key_file::{KeyFile, Lock, load_public, same};
use super::{Login, MAX_OFFERS, Progress, certificate};
use crate::ssh::clock::Clock;
use crate::ssh::error::{AgentProblem, Cause, KeyProblem, Place};
use crate::ssh::prompt::{Prompt, PromptFailure, PromptKind, PromptQuestion, Prompter};
use crate::ssh::target::AuthMethod;

const DEFAULT_NAMES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// How long a person may look for a passphrase.
const ASK_LIMIT: Duration = Duration::from_secs(90);

const PASSPHRASE_ATTEMPTS: u32 = 3;

/// The keys that are still to be offered.
pub(super) struct Keys {
    candidates: VecDeque<Candidate>,
    agent: Option<Agent>,
}

enum Candidate {
    File {
        file: KeyFile,
        certificate: Option<Certificate>,
        /// Named by the profile: its problems are errors, not reasons to skip.
        chosen: bool,
    },
    Agent(AgentIdentity),
}

impl Keys {
    pub(super) fn left(&self) -> usize {
        self.candidates.len()
    }
}

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

    /// Finds out which keys there are.
    async fn gather(&mut self) -> Result<Keys, Cause> {
        let mut candidates = VecDeque::new();
        let mut chosen_public = None;
        let wants_files = self.hop.auth != AuthMethod::Agent;
        let wants_agent = self.hop.auth != AuthMethod::PrivateKey;
        let mut chosen_problem = None;

        if let Some(path) = &self.hop.private_key_path {
            let path = self.environment.expand(path);
            let (loaded, public) = blocking(move || {
                let loaded = KeyFile::load(&path);
                let public = match &loaded {
                    Ok(file) => file.public().cloned(),
                    Err(_) => load_public(&path).or_else(|| {
                        let mut name = path.clone().into_os_string();
                        name.push(".pub");
                        load_public(Path::new(&name))
                    }),
                };
                (loaded, public)
            })
            .await?;
            chosen_public = public;
            match loaded {
                Ok(file) if wants_files => {
                    candidates.push_back(self.with_certificate(file, true).await?);
                }
                Ok(_) => {}
                Err(problem) => chosen_problem = Some(problem),
            }
        }

        let mut agent = None;
        if wants_agent {
            match self.ask_agent(chosen_public.as_ref()).await {
                Ok((connected, identities)) => {
                    agent = Some(connected);
                    let is_chosen = |identity: &AgentIdentity| {
                        chosen_public
                            .as_ref()
                            .is_some_and(|chosen| same(&identity.public_key(), chosen))
                    };
                    if identities.iter().any(is_chosen) {
                        // The agent needs no passphrase.
                        chosen_problem = None;
                        candidates.retain(|candidate| !candidate.is_locked());
                    }
                    for identity in identities {
                        if !candidates.iter().any(|known| known.is(&identity)) {
                            candidates.push_back(Candidate::Agent(identity));
                        }
                    }
                }
                Err(problem) if self.hop.auth == AuthMethod::Agent => {
                    return Err(Cause::NoAgent { problem });
                }
                Err(problem) => self.skip("publickey", Some("agent".into()), problem),
            }
        }
        if let Some(problem) = chosen_problem {
            self.chosen_key_problem(problem)?;
        }

        if wants_files && self.hop.private_key_path.is_none() && !self.hop.identities_only {
            for file in self.default_files().await? {
                let known = file
                    .public()
                    .is_some_and(|public| candidates.iter().any(|candidate| candidate.has(public)));
                if !known {
                    candidates.push_back(self.with_certificate(file, false).await?);
                }
            }
        }
        if candidates.is_empty() && self.ledger.key_problem.is_none() && wants_files {
            self.skip("publickey", None, "no key file found");
        }
        Ok(Keys { candidates, agent })
    }

    /// The agent's keys: those that match the chosen file first, and only those
    /// if nothing else may be offered.
    async fn ask_agent(
        &mut self,
        chosen: Option<&PublicKey>,
    ) -> Result<(Agent, Vec<AgentIdentity>), AgentProblem> {
        let binding = self.handle.agent_session_binding();
        let mut agent =
            Agent::connect(self.hop, self.environment, binding, self.clock.clone()).await?;
        let identities = agent.identities().await?;
        let (mut first, others): (Vec<_>, Vec<_>) = identities
            .into_iter()
            .partition(|identity| chosen.is_some_and(|key| same(&identity.public_key(), key)));
        // Without any chosen file, IdentitiesOnly leaves the agent's own choice:
        // there is nothing else it could mean.
        if !self.hop.identities_only || self.hop.private_key_path.is_none() {
            first.extend(others);
        }
        if first.is_empty() {
            return Err(AgentProblem::NoMatch);
        }
        Ok((agent, first))
    }

    async fn default_files(&mut self) -> Result<Vec<KeyFile>, Cause> {
        let Some(home) = self.environment.home.clone() else {
            return Ok(Vec::new());
        };
        let loaded = blocking(move || {
            DEFAULT_NAMES
                .map(|name| home.join(".ssh").join(name))
                .map(|path| (KeyFile::load(&path), path))
        })
        .await?;
        let mut files = Vec::new();
        for (result, path) in loaded {
            match result {
                Ok(file) => files.push(file),
                Err(KeyProblem::Unreadable(error))
                    if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(problem) => {
                    let name = self.environment.shorten(&path);
                    self.skip("publickey", Some(name), problem);
                }
            }
        }
        Ok(files)
    }

    /// Adds the certificate of a key file, if there is one.
    async fn with_certificate(&mut self, file: KeyFile, chosen: bool) -> Result<Candidate, Cause> {
        let explicit = self.hop.certificate_path.as_deref().filter(|_| chosen);
        let path = match explicit {
            Some(path) => self.environment.expand(path),
            None => certificate::path_beside(&file.path),
        };
        let mut found = None;
        if let Some(public) = file.public().cloned() {
            let (username, must_be) = (self.hop.username.clone(), explicit.is_some());
            let loaded = blocking({
                let path = path.clone();
                move || {
                    (must_be || path.exists()).then(|| certificate::load(&path, &public, &username))
                }
            })
            .await?;
            match loaded {
                None => {}
                Some(Ok(certificate)) => found = Some(certificate),
                Some(Err(problem)) => {
                    let name = self.environment.shorten(&path);
                    self.skip("publickey", Some(name), KeyProblem::Certificate(problem));
                }
            }
        }
        Ok(Candidate::File {
            file,
            certificate: found,
            chosen,
        })
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
    fn chosen_key_problem(&mut self, problem: KeyProblem) -> Result<Progress, Cause> {
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

impl Candidate {
    fn is_locked(&self) -> bool {
        match self {
            Self::File { file, .. } => matches!(file.lock, Lock::Locked { .. }),
            Self::Agent(_) => false,
        }
    }

    fn has(&self, key: &PublicKey) -> bool {
        match self {
            Self::File { file, .. } => file.public().is_some_and(|public| same(public, key)),
            Self::Agent(identity) => same(&identity.public_key(), key),
        }
    }

    fn is(&self, identity: &AgentIdentity) -> bool {
        matches!(identity, AgentIdentity::PublicKey { key, .. } if self.has(key))
    }
}

/// Signs with a locked key, after asking for its passphrase.
struct Passphrase {
    prompter: Arc<dyn Prompter>,
    clock: Clock,
    place: Place,
    file: KeyFile,
}

#[derive(Debug)]
enum UnlockError {
    Gone,
    NoAnswer(PromptFailure),
    Problem(KeyProblem),
}

impl From<SendError> for UnlockError {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl Passphrase {
    async fn unlock(&mut self) -> Result<Arc<PrivateKey>, UnlockError> {
        let mut problem = KeyProblem::PassphraseNeeded;
        for attempt in 1..=PASSPHRASE_ATTEMPTS {
            let question = self.question(attempt);
            let answers = self
                .clock
                .ask(ASK_LIMIT, self.prompter.answer(question))
                .await
                .map_err(UnlockError::NoAnswer)?;
            let [passphrase] = <[SecretString; 1]>::try_from(answers)
                .map_err(|_| UnlockError::NoAnswer(PromptFailure::Unfit))?;
            match unlock(&self.file, passphrase).await {
                Ok(Ok(key)) => {
                    // For a second signature, should the server want one.
                    self.file.lock = Lock::Open(key.clone());
                    return Ok(key);
                }
                Ok(Err(wrong)) => problem = wrong,
                Err(_) => return Err(UnlockError::Gone),
            }
        }
        Err(UnlockError::Problem(problem))
    }

    fn question(&self, attempt: u32) -> PromptQuestion {
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
            time_limit: self.clock.prompt_limit(ASK_LIMIT),
        }
    }
}

impl russh::Signer for Passphrase {
    type Error = UnlockError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash_alg: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let key = match &self.file.lock {
            Lock::Open(key) => key.clone(),
            Lock::Locked { .. } => self.unlock().await?,
        };
        let signature = match key.key_data() {
            KeypairData::Rsa(pair) => (pair, hash_alg).try_sign(&to_sign),
            _ => key.try_sign(&to_sign),
        };
        let mut blob = Vec::new();
        signature
            .map_err(|_| UnlockError::Problem(KeyProblem::Damaged))?
            .encode(&mut blob)
            .and_then(|()| blob.encode(&mut to_sign))
            .map_err(|_| UnlockError::Problem(KeyProblem::Damaged))?;
        Ok(to_sign)
    }
}

async fn unlock(
    file: &KeyFile,
    passphrase: SecretString,
) -> Result<Result<Arc<PrivateKey>, KeyProblem>, Cause> {
    let file = file.clone();
    blocking(move || file.unlock(&passphrase)).await
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
