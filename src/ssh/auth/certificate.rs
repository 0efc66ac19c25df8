//! User certificates beside a key file. Checked here first: to a server an
//! expired certificate is just another key that it does not know.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, PublicKey};

use crate::ssh::error::CertificateProblem;

/// Where OpenSSH looks for the certificate of a key.
pub(super) fn path_beside(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push("-cert.pub");
    name.into()
}

/// Reads a certificate and checks that it can be used. Blocks on the disk.
pub(super) fn load(
    path: &Path,
    key: &PublicKey,
    username: &str,
) -> Result<Certificate, CertificateProblem> {
    let metadata = std::fs::metadata(path).map_err(|_| CertificateProblem::Unreadable)?;
    if !metadata.is_file() || metadata.len() > 64 * 1024 {
        return Err(CertificateProblem::Unreadable);
    }
    let text = std::fs::read_to_string(path).map_err(|_| CertificateProblem::Unreadable)?;
    let certificate =
        Certificate::from_openssh(text.trim()).map_err(|_| CertificateProblem::Unreadable)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    check(&certificate, key, username, now)?;
    Ok(certificate)
}

fn check(
    certificate: &Certificate,
    key: &PublicKey,
    username: &str,
    now: u64,
) -> Result<(), CertificateProblem> {
    if certificate.public_key() != key.key_data() {
        return Err(CertificateProblem::OtherKey);
    }
    if certificate.cert_type() != CertType::User {
        return Err(CertificateProblem::NotForUsers);
    }
    if certificate.algorithm().is_rsa() {
        // russh would name SHA-1 and sign with something else.
        return Err(CertificateProblem::UnsupportedType);
    }
    if now < certificate.valid_after() {
        return Err(CertificateProblem::NotYetValid);
    }
    if now >= certificate.valid_before() {
        return Err(CertificateProblem::Expired);
    }
    let principals = certificate.valid_principals();
    if !principals.is_empty() && !principals.iter().any(|name| name == username) {
        return Err(CertificateProblem::OtherPrincipal(username.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::ssh_key::certificate::Builder;
    use russh::keys::{Algorithm, PrivateKey};

    #[test]
    fn a_certificate_that_would_not_be_accepted_is_told_before() {
        let mut rng = russh::keys::key::safe_rng();
        let authority = PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap();
        let key = PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap();
        let other = PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap();
        let make = |kind: CertType| {
            let mut rng = russh::keys::key::safe_rng();
            let mut builder =
                Builder::new_with_random_nonce(&mut rng, key.public_key(), 1000, 2000).unwrap();
            builder.cert_type(kind).unwrap();
            builder.key_id("id").unwrap();
            builder.valid_principal("ai").unwrap();
            builder.sign(&authority).unwrap()
        };
        let good = make(CertType::User);
        let check = |certificate, key: &PrivateKey, username, now| {
            check(certificate, key.public_key(), username, now)
        };
        assert_eq!(check(&good, &key, "ai", 1500), Ok(()));
        for (certificate, key, username, now, problem) in [
            (&good, &other, "ai", 1500, CertificateProblem::OtherKey),
            (&good, &key, "ai", 999, CertificateProblem::NotYetValid),
            (&good, &key, "ai", 2000, CertificateProblem::Expired),
            (
                &good,
                &key,
                "eve",
                1500,
                CertificateProblem::OtherPrincipal("eve".into()),
            ),
            (
                &make(CertType::Host),
                &key,
                "ai",
                1500,
                CertificateProblem::NotForUsers,
            ),
        ] {
            assert_eq!(check(certificate, key, username, now), Err(problem));
        }
    }
}
