//! User certificates. Some are looked through here first: to a server an expired
//! one is just another key that it does not know, and costs one of its tries.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, PublicKey};

use crate::ssh::error::CertificateProblem;

/// The server's clock decides, not ours: within a day of its time a certificate
/// is offered all the same.
const CLOCKS_DIFFER: u64 = 24 * 3600;

/// A certificate as it was read.
pub(super) struct Loaded {
    certificate: Certificate,
    now: u64,
}

/// The certificate beside a key, where OpenSSH looks for it; `None` if there is none.
pub(super) fn path_beside(key: &Path) -> Option<PathBuf> {
    ["-cert", "-cert.pub"]
        .map(|end| {
            let mut name = key.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        })
        .into_iter()
        .find(|path| path.exists())
}

/// Reads a certificate. Blocks on the disk.
pub(super) fn load(path: &Path) -> Result<Loaded, CertificateProblem> {
    let metadata = std::fs::metadata(path).map_err(|_| CertificateProblem::Unreadable)?;
    if !metadata.is_file() || metadata.len() > 64 * 1024 {
        return Err(CertificateProblem::Unreadable);
    }
    let text = std::fs::read_to_string(path).map_err(|_| CertificateProblem::Unreadable)?;
    let certificate =
        Certificate::from_openssh(text.trim()).map_err(|_| CertificateProblem::Unreadable)?;
    let now = now();
    Ok(Loaded { certificate, now })
}

/// What speaks against a certificate that an agent holds, beside its key.
pub(super) fn vet_held(
    certificate: &Certificate,
    username: &str,
) -> Result<Option<String>, CertificateProblem> {
    let doubt = vet(certificate, None, username, now())?;
    Ok(doubt.map(|problem| problem.to_string()))
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

impl Loaded {
    /// The certificate if it is worth offering, with what speaks against it.
    pub(super) fn vet(
        self,
        key: Option<&PublicKey>,
        username: &str,
    ) -> Result<(Box<Certificate>, Option<String>), CertificateProblem> {
        let doubt = vet(&self.certificate, key, username, self.now)?;
        Ok((
            Box::new(self.certificate),
            doubt.map(|problem| problem.to_string()),
        ))
    }
}

fn vet(
    certificate: &Certificate,
    key: Option<&PublicKey>,
    username: &str,
    now: u64,
) -> Result<Option<CertificateProblem>, CertificateProblem> {
    if key.is_some_and(|key| certificate.public_key() != key.key_data()) {
        return Err(CertificateProblem::OtherKey);
    }
    if certificate.cert_type() != CertType::User {
        return Err(CertificateProblem::NotForUsers);
    }
    let (from, to) = (certificate.valid_after(), certificate.valid_before());
    if now.saturating_add(CLOCKS_DIFFER) < from {
        return Err(CertificateProblem::NotYetValid);
    }
    if now >= to.saturating_add(CLOCKS_DIFFER) {
        return Err(CertificateProblem::Expired);
    }
    if now < from {
        return Ok(Some(CertificateProblem::NotYetValid));
    }
    if now >= to {
        return Ok(Some(CertificateProblem::Expired));
    }
    // The server may know other names for this user (AuthorizedPrincipalsFile).
    let principals = certificate.valid_principals();
    if !principals.is_empty() && !principals.iter().any(|name| name == username) {
        return Ok(Some(CertificateProblem::OtherPrincipal(
            username.to_owned(),
        )));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::ssh_key::certificate::Builder;
    use russh::keys::{Algorithm, PrivateKey};

    const DAY: u64 = 24 * 3600;

    #[test]
    fn a_certificate_that_would_not_be_accepted_is_told_before() {
        use CertificateProblem as Problem;
        let mut rng = russh::keys::key::safe_rng();
        let authority = PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap();
        let key = PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap();
        let other = PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap();
        let make = |kind: CertType| {
            let mut rng = russh::keys::key::safe_rng();
            let mut builder =
                Builder::new_with_random_nonce(&mut rng, key.public_key(), 10 * DAY, 20 * DAY)
                    .unwrap();
            builder.cert_type(kind).unwrap();
            builder.key_id("id").unwrap();
            builder.valid_principal("ai").unwrap();
            builder.sign(&authority).unwrap()
        };
        let (good, host) = (make(CertType::User), make(CertType::Host));
        for (certificate, key, username, now, expected) in [
            (&good, &key, "ai", 15 * DAY, Ok(None)),
            (&good, &other, "ai", 15 * DAY, Err(Problem::OtherKey)),
            (&host, &key, "ai", 15 * DAY, Err(Problem::NotForUsers)),
            (&good, &key, "ai", 8 * DAY, Err(Problem::NotYetValid)),
            (
                &good,
                &key,
                "ai",
                10 * DAY - 1,
                Ok(Some(Problem::NotYetValid)),
            ),
            (&good, &key, "ai", 20 * DAY, Ok(Some(Problem::Expired))),
            (&good, &key, "ai", 21 * DAY, Err(Problem::Expired)),
            (
                &good,
                &key,
                "eve",
                15 * DAY,
                Ok(Some(Problem::OtherPrincipal("eve".into()))),
            ),
        ] {
            let vetted = vet(certificate, Some(key.public_key()), username, now);
            assert_eq!(vetted, expected, "{username} at {now}");
        }
    }
}
