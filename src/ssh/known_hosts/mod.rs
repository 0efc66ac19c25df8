//! What known_hosts files say about a host. The oracle is `ssh` on the same files.
//!
//! Reads every file given and judges a key against all of them together. What
//! to do about the verdict is decided in `host_key`; only our own file is ever
//! written (`store`).

mod certificate;
mod line;
mod pattern;
mod store;
#[cfg(test)]
mod tests;

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;

pub(super) use self::certificate::CertificateVerdict;
use self::line::Line;
pub(super) use self::line::Marker;
pub(super) use self::pattern::glob;
pub(super) use self::store::{Appended, append};
use super::error::{Cause, HostKeyInfo, KnownKey};
use super::prompt::KnownAs;
use super::target::KnownHostsFiles;

/// Larger files are refused rather than searched on every connect.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// A longer line can't be a key.
const MAX_LINE: usize = 1024 * 1024;

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

/// What is recorded for a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Recorded {
    /// The types of its keys.
    pub(super) keys: Vec<russh::keys::Algorithm>,
    /// An authority that signs certificates for it.
    pub(super) authority: bool,
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

    /// What is recorded: to be asked for first, so that nobody dodges a recorded
    /// key by showing one of another type. The portless name has no say, as in
    /// OpenSSH.
    pub(super) fn preference(&self) -> Recorded {
        let entries = || self.entries.iter().filter(|entry| !entry.by_bare_name);
        // The first key of a type speaks for the type; if it is revoked, another
        // type is better.
        let mut firsts: Vec<&RecordedKey> = Vec::new();
        for known in entries()
            .filter(|entry| entry.marker == Marker::None)
            .filter_map(|entry| entry.key.as_ref())
            .filter(|known| !known.in_certificate)
        {
            if firsts
                .iter()
                .all(|first| first.key.algorithm() != known.key.algorithm())
            {
                firsts.push(known);
            }
        }
        Recorded {
            keys: firsts
                .into_iter()
                .filter(|known| !entries().any(|entry| entry.revokes(known.key.key_data())))
                .map(|known| known.key.algorithm())
                .collect(),
            authority: entries().any(|entry| entry.marker == Marker::Authority),
        }
    }

    fn read_file(
        &mut self,
        file: &Path,
        name: &HostName,
        presented: Option<&PublicKey>,
    ) -> io::Result<()> {
        let Some(mut lines) = open(file)? else {
            return Ok(());
        };
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

/// `None` for a file that does not exist (or is /dev/null, which people use for "no file").
fn open(file: &Path) -> io::Result<Option<BufReader<std::fs::File>>> {
    if file == Path::new("/dev/null") {
        return Ok(None);
    }
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if metadata.len() > MAX_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(Some(BufReader::new(std::fs::File::open(file)?)))
}

/// Reads up to the next line feed. A line that is too long is read and left empty.
fn read_line(from: &mut impl io::BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    let mut too_long = false;
    loop {
        let available = match from.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            break;
        }
        any = true;
        let (part, used, ended) = match available.iter().position(|byte| *byte == b'\n') {
            Some(end) => (available.get(..end), end + 1, true),
            None => (Some(available), available.len(), false),
        };
        let part = part.unwrap_or_default();
        if line.len() + part.len() > MAX_LINE {
            too_long = true;
            line.clear();
        } else if !too_long {
            line.extend_from_slice(part);
        }
        from.consume(used);
        if ended {
            break;
        }
    }
    Ok(any)
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
