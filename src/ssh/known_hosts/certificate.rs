//! Does an authority of the known_hosts files vouch for a host certificate? As
//! `sshkey_cert_check_host` of OpenSSH has it.
//!
//! russh has only proved that the server holds the key inside the certificate.
//! Everything about the certificate itself, the authority's signature included,
//! is judged here.

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, PublicKey};

use super::{Entry, HostName, Marker, Records, describe};
use crate::ssh::error::{
    HostCertificate, HostCertificateProblem as Problem, HostKeyInfo, KnownKey,
};
use crate::ssh::text::sanitize;

/// How many names of a certificate are worth showing.
const MAX_PRINCIPALS: usize = 16;

/// What the files say about a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum CertificateVerdict {
    /// A recorded authority vouches for the host.
    Valid { authority: KnownKey },
    /// A file revokes the key or its authority.
    Revoked {
        file: std::path::PathBuf,
        line: u64,
        /// The authority's key, if that is what is revoked.
        authority: Option<HostKeyInfo>,
    },
    /// A recorded authority has signed it, but not for this host or this time.
    /// The key inside may still be known on its own.
    Invalid(Box<HostCertificate>),
    /// Nobody has vouched for its authority: it is worth its key.
    NoAuthority,
}

impl Records {
    /// Judges a certificate at a time, in seconds since 1970.
    pub(in super::super) fn judge_certificate(
        &self,
        certificate: &Certificate,
        name: &HostName,
        now: u64,
    ) -> CertificateVerdict {
        let signer = certificate.signature_key();
        let revoked = |key: &KeyData| self.entries.iter().find(|entry| entry.revokes(key));
        let of_key = revoked(certificate.public_key()).map(|entry| (entry, None));
        let of_authority = || revoked(signer).map(|entry| (entry, Some(info(signer))));
        if let Some((entry, authority)) = of_key.or_else(of_authority) {
            return CertificateVerdict::Revoked {
                file: entry.file.clone(),
                line: entry.line,
                authority,
            };
        }
        // An authority is asked about a name with its port first. Unlike a plain
        // key, it may speak for the portless name: certificates have no ports.
        let vouching = |bare: bool| {
            self.entries.iter().find(|entry| {
                entry.marker == Marker::Authority
                    && entry.by_bare_name == bare
                    && entry.key.as_ref().is_some_and(|key| key.holds(signer))
            })
        };
        let authority = vouching(false)
            .or_else(|| vouching(true))
            .and_then(Entry::known_key);
        match (problem(certificate, name, now), authority) {
            // `ssh` hangs up on a forged certificate, whoever has "signed" it.
            (Some(problem @ Problem::BadSignature), authority) => {
                CertificateVerdict::Invalid(Box::new(tell(certificate, problem, authority)))
            }
            (_, None) => CertificateVerdict::NoAuthority,
            (Some(problem), authority) => {
                CertificateVerdict::Invalid(Box::new(tell(certificate, problem, authority)))
            }
            (None, Some(authority)) => CertificateVerdict::Valid { authority },
        }
    }
}

/// Why a certificate is no good, whoever has signed it.
fn problem(certificate: &Certificate, name: &HostName, now: u64) -> Option<Problem> {
    // Not verified: ssh-key cannot, and nobody would believe it.
    if matches!(
        certificate.signature().algorithm(),
        Algorithm::Rsa { hash: None } | Algorithm::Dsa | Algorithm::Other(_)
    ) {
        return Some(Problem::WeakSignature);
    }
    // Of what was decoded, so a certificate in an odd encoding is a forged one.
    if certificate.verify_signature().is_err() {
        return Some(Problem::BadSignature);
    }
    if certificate.cert_type() != CertType::Host {
        return Some(Problem::NotForHosts);
    }
    if now < certificate.valid_after() {
        return Some(Problem::NotYetValid);
    }
    if now >= certificate.valid_before() {
        return Some(Problem::Expired);
    }
    // Without principals it is good for every host, as in PROTOCOL.certkeys. No
    // wildcards: OpenSSH compares host names byte by byte.
    let principals = certificate.valid_principals();
    if !principals.is_empty() && !principals.iter().any(|one| one == name.principal()) {
        return Some(Problem::OtherPrincipal(name.principal().to_owned()));
    }
    // None is known for hosts.
    if let Some(option) = certificate.critical_options().keys().next() {
        return Some(Problem::CriticalOption(sanitize(option)));
    }
    None
}

fn tell(
    certificate: &Certificate,
    problem: Problem,
    authority: Option<KnownKey>,
) -> HostCertificate {
    HostCertificate {
        problem,
        key: info(certificate.public_key()),
        id: sanitize(certificate.key_id()),
        principals: certificate
            .valid_principals()
            .iter()
            .take(MAX_PRINCIPALS)
            .map(|name| sanitize(name))
            .collect(),
        valid_after: certificate.valid_after(),
        valid_before: certificate.valid_before(),
        signer: info(certificate.signature_key()),
        authority,
    }
}

fn info(key: &KeyData) -> HostKeyInfo {
    describe(&PublicKey::new(key.clone(), ""))
}

#[cfg(test)]
mod tests;
