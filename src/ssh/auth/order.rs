//! The order in which OpenSSH offers keys (`pubkey_prepare`): named certificates,
//! the agent's keys that match a named file, the agent's other keys, and last the
//! files, each followed by the certificate beside it. Only the profile's own key
//! comes before the agent's other ones.

use std::collections::VecDeque;
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, Certificate, PublicKey};

use super::agent::label;
use super::key_file::{KeyFile, same};

/// Everything that there is to offer, still unordered.
#[derive(Default)]
pub(super) struct Material {
    /// Certificates that were named.
    pub(super) certificates: Vec<Named>,
    /// Key files, and the certificates beside them, in the order of their names.
    pub(super) files: Vec<Named>,
    /// The agent's keys, in its order.
    pub(super) agent: Vec<AgentIdentity>,
    /// Leave out the agent's keys that no file names.
    pub(super) identities_only: bool,
}

/// What a file name stands for.
pub(super) struct Named {
    pub(super) name: String,
    /// `None`: a locked file that does not show its public half.
    pub(super) offered: Option<Offered>,
    /// The file that can sign, where there is one.
    pub(super) file: Option<Arc<KeyFile>>,
    /// The profile's own key: its problems are errors, not reasons to skip it.
    pub(super) chosen: bool,
    /// What the server would probably say against it.
    pub(super) doubt: Option<String>,
}

/// What is shown to the server.
#[derive(Clone)]
pub(super) enum Offered {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

/// One key to offer, and who signs for it.
pub(super) struct Candidate {
    pub(super) name: String,
    /// `None`: the file has to be opened to find out.
    pub(super) offered: Option<Offered>,
    pub(super) source: Source,
    pub(super) chosen: bool,
    pub(super) doubt: Option<String>,
}

#[derive(Clone)]
pub(super) enum Source {
    Agent(Arc<AgentIdentity>),
    File(Arc<KeyFile>),
}

/// The keys in order, and those that nobody could sign for.
pub(super) struct Ordered {
    pub(super) candidates: VecDeque<Candidate>,
    pub(super) unsignable: Vec<Named>,
}

impl Offered {
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Key(key) => key.algorithm(),
            Self::Certificate(certificate) => certificate.algorithm(),
        }
    }

    /// The key itself; of a certificate, the one that is certified.
    fn key(&self) -> PublicKey {
        match self {
            Self::Key(key) => key.clone(),
            Self::Certificate(certificate) => PublicKey::new(certificate.public_key().clone(), ""),
        }
    }

    fn of(identity: &AgentIdentity) -> Self {
        match identity {
            AgentIdentity::PublicKey { key, .. } => Self::Key(key.clone()),
            AgentIdentity::Certificate { certificate, .. } => {
                Self::Certificate(Box::new(certificate.clone()))
            }
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Key(a), Self::Key(b)) => same(a, b),
            (Self::Certificate(a), Self::Certificate(b)) => {
                // The comment is not part of it.
                a.to_bytes().ok() == b.to_bytes().ok()
            }
            _ => false,
        }
    }
}

/// An entry of the list before it is known who signs.
struct Entry {
    named: Named,
    agent: Option<Arc<AgentIdentity>>,
}

pub(super) fn order(material: Material) -> Ordered {
    let from_file = |named| Entry { named, agent: None };
    let mut files: Vec<Entry> = material.files.into_iter().map(from_file).collect();
    let mut list: Vec<Entry> = material.certificates.into_iter().map(from_file).collect();
    let mut others = Vec::new();
    for identity in material.agent {
        let offered = Offered::of(&identity);
        let named = files.iter().position(|entry| {
            let known = entry.named.offered.as_ref();
            known.is_some_and(|known| known.is(&offered))
        });
        match named {
            Some(position) => {
                let mut entry = files.remove(position);
                entry.named.name = label(&identity);
                entry.agent = Some(Arc::new(identity));
                list.push(entry);
            }
            None if material.identities_only => {}
            None => others.push(Entry {
                named: Named {
                    name: label(&identity),
                    offered: Some(offered),
                    file: None,
                    chosen: false,
                    doubt: None,
                },
                agent: Some(Arc::new(identity)),
            }),
        }
    }
    // What the profile names is what the user means: unlike `ssh -i`, it does not have to
    // wait until a full agent has used up the server's patience (MaxAuthTries).
    let (chosen, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|entry| entry.named.chosen);
    list.extend(chosen);
    list.extend(others);
    list.extend(files);
    sign(list)
}

/// Finds out who signs for each, and leaves out what was in the list before.
fn sign(list: Vec<Entry>) -> Ordered {
    let sources: Vec<_> = list.iter().map(|entry| source(entry, &list)).collect();
    let mut ordered = Ordered {
        candidates: VecDeque::new(),
        unsignable: Vec::new(),
    };
    for (entry, source) in list.into_iter().zip(sources) {
        let Named {
            name,
            offered,
            chosen,
            doubt,
            ..
        } = match source {
            Some(_) => entry.named,
            None => {
                ordered.unsignable.push(entry.named);
                continue;
            }
        };
        let again = ordered.candidates.iter().any(|before| {
            let both = before.offered.as_ref().zip(offered.as_ref());
            both.is_some_and(|(before, offered)| before.is(offered))
        });
        if let Some(source) = source.filter(|_| !again) {
            ordered.candidates.push_back(Candidate {
                name,
                offered,
                source,
                chosen,
                doubt,
            });
        }
    }
    ordered
}

/// The agent signs for what it holds, and a file for itself. A certificate is
/// signed for by whoever has its plain key.
fn source(entry: &Entry, list: &[Entry]) -> Option<Source> {
    if let Some(Offered::Certificate(certificate)) = &entry.named.offered {
        let plain = PublicKey::new(certificate.public_key().clone(), "");
        let key = list.iter().find_map(|other| match &other.named.offered {
            Some(Offered::Key(key)) if same(key, &plain) => own_source(other),
            _ => None,
        });
        if key.is_some() {
            return key;
        }
    }
    own_source(entry)
}

fn own_source(entry: &Entry) -> Option<Source> {
    let agent = entry.agent.clone().map(Source::Agent);
    agent.or_else(|| entry.named.file.clone().map(Source::File))
}

impl Candidate {
    /// Whether it is this key or a certificate of it.
    pub(super) fn has(&self, key: &PublicKey) -> bool {
        let offered = self.offered.as_ref();
        offered.is_some_and(|offered| same(&offered.key(), key))
    }
}

#[cfg(test)]
mod tests;
