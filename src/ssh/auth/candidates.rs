//! Which keys to offer, and in which order.
//!
//! The chosen key file first, then the agent's keys (one that matches the chosen
//! file before all others), then the default files.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use russh::keys::agent::AgentIdentity;
use russh::keys::{Certificate, PublicKey};

use super::agent::Agent;
use super::key_file::{KeyFile, Lock, load_public, same};
use super::{Login, blocking, certificate};
use crate::ssh::error::{AgentProblem, Cause, KeyProblem};
use crate::ssh::target::AuthMethod;

const DEFAULT_NAMES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// The keys that are still to be offered.
pub(super) struct Keys {
    pub(super) candidates: VecDeque<Candidate>,
    pub(super) agent: Option<Agent>,
}

pub(super) enum Candidate {
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
    /// Finds out which keys there are.
    pub(super) async fn gather(&mut self) -> Result<Keys, Cause> {
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
        let explicit = self
            .hop
            .certificate_paths
            .first()
            .map(PathBuf::as_path)
            .filter(|_| chosen);
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
