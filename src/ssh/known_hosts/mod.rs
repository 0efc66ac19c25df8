//! What known_hosts files say about a host. The oracle is `ssh` on the same files.
//!
//! Reads every file given and judges a key against all of them together. What
//! to do about the verdict is decided in `host_key`; only our own file is ever
//! written (`store`).

mod certificate;
mod file;
mod line;
mod pattern;
mod preference;
mod store;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;

pub(super) use self::certificate::CertificateVerdict;
use self::file::{open, read_line};
use self::line::Line;
pub(super) use self::line::{Marker, is_large_enough};
pub(super) use self::pattern::glob;
pub(super) use self::preference::Recorded;
pub(super) use self::store::{Appended, append};
use super::error::{Cause, HostKeyInfo, KnownKey};
use super::prompt::KnownAs;
use super::target::KnownHostsFiles;

/// How many other names of a key are worth showing.
const MAX_KNOWN_AS: usize = 8;

/// The name under which `ssh` looks a host up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostName {
    /// `host`, or `[host]:port` for a port other than 22; in lower case.
    pub(super) full: String,
    /// The host alone, when that is something else.
    pub(super) bare: Option<String>,
}

impl HostName {
    pub(super) fn new(host: &str, port: u16) -> Self {
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
            .to_ascii_lowercase();
        if port == 22 {
            Self {
                full: host,
                bare: None,
            }
        } else {
            Self {
                full: format!("[{host}]:{port}"),
                bare: Some(host),
            }
        }
    }

    /// The name of a hop: HostKeyAlias stands for host and port together, so it
    /// gets no port. OpenSSH reads it in lower case, too.
    pub(super) fn of(host: &str, port: u16, files: &KnownHostsFiles) -> Self {
        match &files.alias {
            Some(alias) => Self {
                full: alias.to_ascii_lowercase(),
                bare: None,
            },
            None => Self::new(host, port),
        }
    }

    /// The name that a certificate has to be made out to: never with a port.
    pub(super) fn principal(&self) -> &str {
        self.bare.as_deref().unwrap_or(&self.full)
    }
}

/// The lines that concern one host.
#[derive(Debug, Default)]
pub(super) struct Records {
    entries: Vec<Entry>,
    known_as: Vec<KnownAs>,
}

#[derive(Debug)]
struct Entry {
    marker: Marker,
    /// The line names the host without its port.
    by_bare_name: bool,
    /// `None` only for a revocation whose key makes no sense.
    key: Option<RecordedKey>,
    file: PathBuf,
    line: u64,
}

/// What is written where a line has its key.
#[derive(Debug)]
struct RecordedKey {
    key: PublicKey,
    /// A certificate was written there; `key` is the key inside. It can revoke,
    /// but vouches for no key: to `ssh` it is just another key of the host.
    in_certificate: bool,
}

/// What the files say about a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Known,
    /// Other keys are recorded for the host, but not this one.
    Changed(Vec<KnownKey>),
    Revoked {
        file: PathBuf,
        line: u64,
    },
    /// No key is recorded for the host.
    Unknown {
        /// A certificate authority is: a plain key is not what was expected.
        authority_expected: bool,
        /// The key is recorded for the host on port 22.
        on_port_22: bool,
        known_as: Vec<KnownAs>,
    },
}

impl Records {
    /// Reads the files. A file that does not exist says nothing; one that
    /// cannot be read is an error, for it might say no.
    /// `presented` is the key whose other names are wanted.
    pub(super) fn read(
        files: &[PathBuf],
        name: &HostName,
        presented: Option<&PublicKey>,
    ) -> Result<Self, Cause> {
        let mut records = Self::default();
        for file in files {
            records.read_file(file, name, presented).map_err(|source| {
                Cause::KnownHostsUnreadable {
                    file: file.clone(),
                    source: Arc::new(source),
                }
            })?;
        }
        Ok(records)
    }

    /// Judges a plain host key.
    pub(super) fn judge(&self, key: &PublicKey) -> Verdict {
        let is_it = |entry: &Entry| {
            entry
                .key
                .as_ref()
                .is_some_and(|known| !known.in_certificate && known.holds(key.key_data()))
        };
        let plain = |bare: bool| {
            self.entries
                .iter()
                .filter(move |entry| entry.marker == Marker::None && entry.by_bare_name == bare)
        };
        if let Some(revoked) = self
            .entries
            .iter()
            .find(|entry| entry.revokes(key.key_data()))
        {
            return Verdict::Revoked {
                file: revoked.file.clone(),
                line: revoked.line,
            };
        }
        if plain(false).any(is_it) {
            return Verdict::Known;
        }
        let others: Vec<KnownKey> = plain(false).filter_map(Entry::known_key).collect();
        if !others.is_empty() {
            return Verdict::Changed(others);
        }
        Verdict::Unknown {
            authority_expected: self
                .entries
                .iter()
                .any(|entry| entry.marker == Marker::Authority && !entry.by_bare_name),
            on_port_22: plain(true).any(is_it),
            known_as: self.known_as.clone(),
        }
    }

    fn read_file(
        &mut self,
        file: &Path,
        name: &HostName,
        presented: Option<&PublicKey>,
    ) -> io::Result<()> {
        match open(file)? {
            Some(lines) => self.read_lines(lines, file, name, presented),
            None => Ok(()),
        }
    }

    /// The lines of `file`.
    pub(super) fn read_lines(
        &mut self,
        mut lines: impl BufRead,
        file: &Path,
        name: &HostName,
        presented: Option<&PublicKey>,
    ) -> io::Result<()> {
        let mut buffer = Vec::new();
        let mut number = 0;
        while read_line(&mut lines, &mut buffer)? {
            number += 1;
            let Some(line) = Line::parse(&buffer) else {
                continue;
            };
            let full = line.names(&name.full);
            let bare = !full && name.bare.as_deref().is_some_and(|bare| line.names(bare));
            if full || bare {
                let key = line.key();
                if key.is_some() || line.marker == Marker::Revoked {
                    self.entries.push(Entry {
                        marker: line.marker,
                        by_bare_name: bare,
                        key,
                        file: file.to_owned(),
                        line: number,
                    });
                }
            }
            if !full
                && line.marker == Marker::None
                && self.known_as.len() < MAX_KNOWN_AS
                && let Some(presented) = presented
                && let Some(names) = line.readable_names()
                && line
                    .key()
                    .is_some_and(|known| !known.in_certificate && known.holds(presented.key_data()))
            {
                self.known_as.push(KnownAs {
                    names,
                    file: file.to_owned(),
                    line: number,
                });
            }
        }
        Ok(())
    }
}

impl RecordedKey {
    fn holds(&self, key: &KeyData) -> bool {
        self.key.key_data() == key
    }
}

impl Entry {
    /// Whether this line says never to trust a key. One that makes no sense may
    /// mean any key.
    fn revokes(&self, key: &KeyData) -> bool {
        self.marker == Marker::Revoked && self.key.as_ref().is_none_or(|known| known.holds(key))
    }

    fn known_key(&self) -> Option<KnownKey> {
        let known = self.key.as_ref()?;
        let mut key = describe(&known.key);
        if known.in_certificate {
            key.key_type = known.key.algorithm().to_certificate_type();
        }
        Some(KnownKey {
            key,
            file: self.file.clone(),
            line: self.line,
        })
    }
}

/// A key as people compare it.
pub(super) fn describe(key: &PublicKey) -> HostKeyInfo {
    use russh::keys::{EcdsaCurve, HashAlg};
    let bits = match key.key_data() {
        KeyData::Rsa(rsa) => line::rsa_bits(rsa),
        KeyData::Ecdsa(ecdsa) => match ecdsa.curve() {
            EcdsaCurve::NistP256 => 256,
            EcdsaCurve::NistP384 => 384,
            EcdsaCurve::NistP521 => 521,
        },
        KeyData::Dsa(_) => 1024,
        _ => 256,
    };
    HostKeyInfo {
        key_type: key.algorithm().as_str().to_owned(),
        fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        bits,
    }
}
