//! Finds out which keys there are: named files, certificates, and the agent.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::PublicKey;
use russh::keys::agent::AgentIdentity;

use super::agent::{Agent, Listing};
use super::certificate;
use super::key_file::{KeyFile, load_public};
use super::order::{Candidate, Material, Named, Offered, Ordered, Source, order};
use super::{Login, blocking};
use crate::ssh::error::{AgentProblem, Cause, CertificateProblem, KeyProblem};
use crate::ssh::target::AuthMethod;

/// OpenSSH's default names, in its order.
pub(in crate::ssh) const DEFAULT_NAMES: [&str; 5] = [
    "id_rsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
];

/// OpenSSH takes no more names than this.
const MAX_NAMES: usize = 100;

/// The keys that are still to be offered.
pub(super) struct Keys {
    pub(super) waiting: VecDeque<Candidate>,
    /// Offered before; their turn comes again after a partial success.
    pub(super) offered: VecDeque<Candidate>,
    pub(super) agent: Option<Agent>,
}

impl Keys {
    /// The server accepted a factor, and may want any key for the next one.
    pub(super) fn start_over(&mut self) {
        self.waiting.append(&mut self.offered);
    }
}

/// A file name to look for.
struct Name {
    path: PathBuf,
    chosen: bool,
    /// Nobody named it, so nobody is told that it is missing.
    default: bool,
}

/// What was found under a name.
struct Found {
    name: Name,
    private: Result<KeyFile, KeyProblem>,
    public: Option<PublicKey>,
    /// The certificate beside it.
    certificate: Option<(PathBuf, Result<certificate::Loaded, CertificateProblem>)>,
}

impl Login<'_> {
    pub(super) async fn gather(&mut self) -> Result<Keys, Cause> {
        let mut material = Material {
            identities_only: self.hop.identities_only,
            ..Material::default()
        };
        material.certificates = self.named_certificates().await?;
        let mut problems = Vec::new();
        for found in self.look_for_files().await? {
            self.take_file(found, &mut material, &mut problems);
        }
        let mut agent = None;
        if self.hop.auth != AuthMethod::PrivateKey {
            match self.ask_agent().await {
                Ok((connected, listing)) => {
                    if listing.unreadable > 0 {
                        let reason = format!("{} of its keys cannot be read", listing.unreadable);
                        self.skip("publickey", Some("agent".into()), reason);
                    }
                    agent = Some(connected);
                    material.agent = listing.identities;
                }
                Err(problem) if self.hop.auth == AuthMethod::Agent => {
                    return Err(Cause::NoAgent { problem });
                }
                Err(problem) => {
                    if self.hop.identity_agent.is_some() {
                        self.ledger
                            .notes
                            .push(format!("The SSH agent was not used: {problem}."));
                    }
                    self.skip("publickey", Some("agent".into()), problem);
                }
            }
        }
        let Ordered {
            mut candidates,
            unsignable,
        } = order(material);
        for named in unsignable {
            // What is wrong with a key file itself is told below.
            if matches!(named.offered, Some(Offered::Certificate(_))) {
                self.skip(
                    "publickey",
                    Some(named.name),
                    "its private key is not there",
                );
            }
        }
        for (name, public, problem) in problems {
            self.file_problem(&name, public.as_ref(), problem, &candidates)?;
        }
        if candidates.is_empty() && self.hop.auth == AuthMethod::Agent {
            let problem = AgentProblem::NoMatch;
            return Err(Cause::NoAgent { problem });
        }
        if candidates.is_empty() && self.ledger.key_problem.is_none() {
            self.skip("publickey", None, "no key found");
        }
        candidates.retain_mut(|candidate| self.is_worth_offering(candidate));
        Ok(Keys {
            waiting: candidates,
            offered: VecDeque::new(),
            agent,
        })
    }

    /// Looks through a certificate of the agent's as through those in files, once it is
    /// known that its turn would come.
    fn is_worth_offering(&mut self, candidate: &mut Candidate) -> bool {
        let Source::Agent(identity) = &candidate.source else {
            return true;
        };
        let AgentIdentity::Certificate { certificate, .. } = identity.as_ref() else {
            return true;
        };
        match certificate::vet_held(certificate, &self.hop.username) {
            Ok(doubt) => {
                candidate.doubt = doubt;
                true
            }
            Err(problem) => {
                let name = candidate.name.clone();
                self.skip("publickey", Some(name), problem);
                false
            }
        }
    }

    /// Files that exist and are of no use. The agent may hold their keys.
    fn file_problem(
        &mut self,
        name: &Name,
        public: Option<&PublicKey>,
        problem: KeyProblem,
        candidates: &VecDeque<Candidate>,
    ) -> Result<(), Cause> {
        let held = public.is_some_and(|key| candidates.iter().any(|known| known.has(key)));
        let missing = matches!(&problem, KeyProblem::Unreadable(error)
            if error.kind() == std::io::ErrorKind::NotFound);
        if held || self.hop.auth == AuthMethod::Agent || (name.default && missing) {
            return Ok(());
        }
        if name.chosen {
            return self.chosen_key_problem(problem).map(drop);
        }
        let shown = self.environment.shorten(&name.path);
        self.skip_key(shown, &problem);
        Ok(())
    }

    /// The names to look for: the profile's, then ssh_config's; without either
    /// the default names.
    fn names(&self) -> Vec<Name> {
        let own = self.hop.private_key_path.iter().map(|path| (path, true));
        let configured = self.hop.identity_files.iter().flatten();
        let named: Vec<Name> = own
            .chain(configured.map(|path| (path, false)))
            .filter(|(path, _)| !path.as_os_str().eq_ignore_ascii_case("none"))
            .take(MAX_NAMES)
            .map(|(path, chosen)| Name {
                path: self.environment.expand(path),
                chosen,
                default: false,
            })
            .collect();
        if self.hop.private_key_path.is_some() || self.hop.identity_files.is_some() {
            return named;
        }
        let home = self.environment.home.as_ref();
        home.into_iter()
            .flat_map(|home| DEFAULT_NAMES.map(|name| home.join(".ssh").join(name)))
            .map(|path| Name {
                path,
                chosen: false,
                default: true,
            })
            .collect()
    }

    async fn look_for_files(&mut self) -> Result<Vec<Found>, Cause> {
        let names = self.names();
        let user = self.environment.local_user.id.clone();
        let beside = self.hop.certificate_paths.is_empty();
        blocking(move || {
            let look = |name: Name| {
                let private = KeyFile::load(&name.path, user.as_deref());
                let public = match &private {
                    Ok(file) => file.public().cloned(),
                    Err(_) => load_public(&name.path).or_else(|| {
                        let mut beside = name.path.clone().into_os_string();
                        beside.push(".pub");
                        load_public(Path::new(&beside))
                    }),
                };
                let certificate = certificate::path_beside(&name.path)
                    .filter(|_| beside)
                    .map(|path| (path.clone(), certificate::load(&path)));
                Found {
                    name,
                    private,
                    public,
                    certificate,
                }
            };
            names.into_iter().map(look).collect()
        })
        .await
    }

    /// Adds a file, and the certificate beside it, to what there is.
    fn take_file(
        &mut self,
        found: Found,
        material: &mut Material,
        problems: &mut Vec<(Name, Option<PublicKey>, KeyProblem)>,
    ) {
        let Found {
            name,
            private,
            public,
            certificate,
        } = found;
        let shown = self.environment.shorten(&name.path);
        let (file, problem) = match private {
            // With this method the files only say which of the agent's keys to use.
            Ok(_) if self.hop.auth == AuthMethod::Agent => (None, None),
            Ok(file) => (Some(Arc::new(file)), None),
            Err(problem) => (None, Some(problem)),
        };
        if file.is_some() || public.is_some() {
            material.files.push(Named {
                name: shown,
                offered: public.clone().map(Offered::Key),
                file: file.clone(),
                chosen: name.chosen,
                doubt: None,
            });
        }
        if let Some((path, loaded)) = certificate {
            let shown = format!("{}, certificate", self.environment.shorten(&path));
            let loaded = match loaded {
                Ok(certificate) => certificate.vet(public.as_ref(), &self.hop.username),
                Err(problem) => Err(problem),
            };
            match loaded {
                Ok((certificate, doubt)) => material.files.push(Named {
                    name: shown,
                    offered: Some(Offered::Certificate(certificate)),
                    file,
                    chosen: false,
                    doubt,
                }),
                Err(problem) => self.skip("publickey", Some(shown), problem),
            }
        }
        if let Some(problem) = problem {
            problems.push((name, public, problem));
        }
    }

    async fn named_certificates(&mut self) -> Result<Vec<Named>, Cause> {
        let paths: Vec<PathBuf> = self
            .hop
            .certificate_paths
            .iter()
            .take(MAX_NAMES)
            .map(|path| self.environment.expand(path))
            .collect();
        let loaded = blocking(move || {
            let load = |path: PathBuf| (certificate::load(&path), path);
            paths.into_iter().map(load).collect::<Vec<_>>()
        })
        .await?;
        let mut certificates = Vec::new();
        for (loaded, path) in loaded {
            let name = format!("{}, certificate", self.environment.shorten(&path));
            let vetted = match loaded {
                Ok(certificate) => certificate.vet(None, &self.hop.username),
                Err(problem) => Err(problem),
            };
            match vetted {
                Ok((certificate, doubt)) => certificates.push(Named {
                    name,
                    offered: Some(Offered::Certificate(certificate)),
                    file: None,
                    chosen: false,
                    doubt,
                }),
                Err(problem) => self.skip("publickey", Some(name), problem),
            }
        }
        Ok(certificates)
    }

    async fn ask_agent(&mut self) -> Result<(Agent, Listing), AgentProblem> {
        let binding = self.handle.agent_session_binding();
        Agent::connect(self.hop, self.environment, binding, self.clock.clone()).await
    }
}
