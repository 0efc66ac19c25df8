//! One line of a known_hosts file: marker, names, key type, key, comment.
//!
//! Follows hostfile.c of OpenSSH. Two things are stricter, both for revocations:
//! a tab ends a marker like a blank does, and a `@revoked` line counts even when
//! its key makes no sense.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use russh::keys::ssh_key::public::{KeyData, RsaPublicKey};
use russh::keys::{Certificate, PublicKey};

use super::{RecordedKey, pattern};

/// OpenSSH takes no smaller RSA key for a key.
const MIN_RSA_BITS: u32 = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Marker {
    None,
    /// The key signs certificates; it is never a host's own key.
    Authority,
    Revoked,
}

/// A line that names hosts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) marker: Marker,
    names: &'a [u8],
    /// Key type, key and comment.
    rest: &'a [u8],
}

impl<'a> Line<'a> {
    /// `None` for blank lines, comments and whatever `ssh` would not understand.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        // For a C program the line ends here.
        let line = line.split(|byte| *byte == 0).next()?;
        let mut line = skip_blanks(line);
        if line.is_empty() || line.first() == Some(&b'#') {
            return None;
        }
        let mut marker = Marker::None;
        let mut markers = 0;
        while line.first() == Some(&b'@') {
            let (word, rest) = split_word(line)?;
            let ends_with_blank = line.get(word.len()) == Some(&b' ');
            let this = match word {
                b"@cert-authority" if ends_with_blank => Marker::Authority,
                b"@revoked" => Marker::Revoked,
                _ => return None,
            };
            if marker != Marker::Revoked {
                marker = this;
            }
            markers += 1;
            line = rest;
        }
        // One marker is allowed; a revocation among several is still heard.
        if markers > 1 && marker != Marker::Revoked {
            return None;
        }
        let (names, rest) = split_word(line)?;
        Some(Self {
            marker,
            names,
            rest,
        })
    }

    /// Whether the line is about `host`, which is in lower case.
    pub(super) fn names(&self, host: &str) -> bool {
        pattern::names(self.names, host)
    }

    /// The names as written; `None` if they are hashed or not text.
    pub(super) fn readable_names(&self) -> Option<String> {
        let names = std::str::from_utf8(self.names).ok()?;
        (!names.starts_with('|')).then(|| crate::ssh::text::sanitize(names))
    }

    /// The key; `None` if `ssh` would call it a parse error.
    pub(super) fn key(&self) -> Option<RecordedKey> {
        let (key_type, rest) = split_word(self.rest)?;
        let base64 = rest
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .next()?
            .iter()
            .copied()
            // As OpenSSH's decoder; it makes files with CR LF work.
            .filter(|byte| !matches!(byte, b'\r' | 0x0b | 0x0c))
            .collect::<Vec<_>>();
        let blob = BASE64.decode(base64).ok()?;
        if let Some(inner) = key_type.strip_suffix(CERTIFICATE) {
            return key_in_certificate(inner, &blob);
        }
        if !is_plain_type(key_type) {
            return None;
        }
        let key = PublicKey::from_bytes(&blob).ok()?;
        let inner = key.algorithm();
        let same_type = inner.as_str().as_bytes() == key_type
            || (inner.is_rsa() && matches!(key_type, b"rsa-sha2-256" | b"rsa-sha2-512"));
        (same_type && is_large_enough(key.key_data())).then_some(RecordedKey {
            key,
            in_certificate: false,
        })
    }
}

/// How the types of certificates end.
const CERTIFICATE: &[u8] = b"-cert-v01@openssh.com";

/// The key of a certificate that stands where a key should.
fn key_in_certificate(key_type: &[u8], blob: &[u8]) -> Option<RecordedKey> {
    // ssh-key reads a certificate inside a certificate inside … until the stack
    // ends. `ssh` takes none that is signed by a certificate.
    let nested = blob
        .windows(CERTIFICATE.len())
        .filter(|part| *part == CERTIFICATE)
        .count();
    if !is_plain_type(key_type) || nested > 8 {
        return None;
    }
    let certificate = Certificate::from_bytes(blob).ok()?;
    let inner = certificate.algorithm();
    let same_type = inner.as_str().as_bytes() == key_type
        || (inner.is_rsa() && matches!(key_type, b"rsa-sha2-256" | b"rsa-sha2-512"));
    let key = PublicKey::new(certificate.public_key().clone(), "");
    (same_type && is_large_enough(key.key_data()) && certificate.verify_signature().is_ok())
        .then_some(RecordedKey {
            key,
            in_certificate: true,
        })
}

/// Whether OpenSSH would take the key at all, recorded or shown.
pub(in crate::ssh) fn is_large_enough(key: &KeyData) -> bool {
    match key {
        KeyData::Rsa(rsa) => rsa_bits(rsa) >= MIN_RSA_BITS,
        _ => true,
    }
}

/// The size of an RSA key.
pub(super) fn rsa_bits(key: &RsaPublicKey) -> u32 {
    let modulus = key.n().as_positive_bytes().unwrap_or_default();
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros());
    u32::try_from(modulus.len() * 8)
        .unwrap_or(u32::MAX)
        .saturating_sub(leading)
}

fn is_plain_type(name: &[u8]) -> bool {
    matches!(
        name,
        b"ssh-ed25519"
            | b"ssh-rsa"
            | b"rsa-sha2-256"
            | b"rsa-sha2-512"
            | b"ssh-dss"
            | b"ecdsa-sha2-nistp256"
            | b"ecdsa-sha2-nistp384"
            | b"ecdsa-sha2-nistp521"
            | b"sk-ssh-ed25519@openssh.com"
            | b"sk-ecdsa-sha2-nistp256@openssh.com"
    )
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    text.get(blanks..).unwrap_or_default()
}

/// The first word and what follows the blanks after it; `None` if nothing does.
fn split_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'\t'))?;
    let rest = skip_blanks(text.get(end..)?);
    Some((text.get(..end)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn parse(line: &str) -> Option<(Marker, String, bool)> {
        let line = Line::parse(line.as_bytes())?;
        let names = String::from_utf8_lossy(line.names).into_owned();
        Some((line.marker, names, line.key().is_some()))
    }

    #[test]
    fn layout_is_read_as_ssh_reads_it() {
        let good = |marker, names: &str| Some((marker, names.to_owned(), true));
        for (line, expected) in [
            (format!("h {KEY}"), good(Marker::None, "h")),
            (format!("  \t h \t {KEY} comment"), good(Marker::None, "h")),
            (
                format!("h\t{}", KEY.replace(' ', "\t\t")),
                good(Marker::None, "h"),
            ),
            (format!("h {KEY}\r"), good(Marker::None, "h")),
            (format!("h {KEY}\0 rest"), good(Marker::None, "h")),
            (format!("@revoked h {KEY}"), good(Marker::Revoked, "h")),
            (format!("@revoked\th {KEY}"), good(Marker::Revoked, "h")),
            (
                format!("@cert-authority  * {KEY}"),
                good(Marker::Authority, "*"),
            ),
            (format!("@cert-authority\t* {KEY}"), None),
            (
                format!("@cert-authority @revoked h {KEY}"),
                good(Marker::Revoked, "h"),
            ),
            (format!("@cert-authority @cert-authority h {KEY}"), None),
            (format!("@other h {KEY}"), None),
            (format!("# h {KEY}"), None),
            (format!("  # h {KEY}"), None),
            ("h".into(), None),
            (String::new(), None),
            (" \t ".into(), None),
        ] {
            assert_eq!(parse(&line), expected, "{line:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_no_key() {
        for key in [
            "ssh-ed25519",
            "ssh-ed25519 ",
            "ssh-ed25519 AAAA",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
            "SSH-ED25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJAAAA",
            "# comment",
        ] {
            let line = format!("h {key}");
            assert!(
                Line::parse(line.as_bytes()).is_none_or(|line| line.key().is_none()),
                "{key}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_line_is_survived(line: Vec<u8>) {
            if let Some(line) = Line::parse(&line) {
                line.key();
                line.readable_names();
            }
        }

        #[test]
        fn a_mutilated_line_is_survived(at in 0..100_usize, byte: u8) {
            let mut line = format!("@revoked |1|AAAA|BBBB {KEY}").into_bytes();
            if let Some(place) = line.get_mut(at) {
                *place = byte;
            }
            if let Some(line) = Line::parse(&line) {
                line.names("h");
                line.key();
            }
        }
    }
}
