//! Which signature algorithms a key may be used with: those that
//! PubkeyAcceptedAlgorithms and the server both know. Never SHA-1.

use russh::keys::{Algorithm, HashAlg};

use super::Login;
use super::order::Offered;
use crate::ssh::error::{Cause, KeyProblem};

/// What an RSA key signs with, the best first.
const RSA: [(HashAlg, &str); 2] = [
    (HashAlg::Sha512, "rsa-sha2-512"),
    (HashAlg::Sha256, "rsa-sha2-256"),
];

impl Login<'_> {
    /// The hashes to try with a key, in order: SHA-2 for RSA, and one (that of
    /// its kind) for every other key.
    pub(super) async fn hashes(
        &mut self,
        offered: &Offered,
    ) -> Result<Result<Vec<Option<HashAlg>>, KeyProblem>, Cause> {
        let accepted = self.hop.algorithms.public_keys.as_deref();
        let ours = match accepted_hashes(offered, accepted) {
            Ok(ours) => ours,
            Err(problem) => return Ok(Err(problem)),
        };
        if !offered.algorithm().is_rsa() {
            return Ok(Ok(ours));
        }
        match self.handle.best_supported_rsa_hash().await {
            Ok(Some(None)) => Ok(Err(KeyProblem::OnlySha1)),
            // It did not say: old, and may still know.
            Ok(None) => Ok(Ok(ours)),
            Ok(Some(best)) => Ok(mutual(ours, best)),
            Err(_) => Err(self.hung_up().await),
        }
    }
}

/// One of our hashes that the server knows, too; a server that knows SHA-512
/// knows SHA-256.
fn mutual(
    ours: Vec<Option<HashAlg>>,
    best: Option<HashAlg>,
) -> Result<Vec<Option<HashAlg>>, KeyProblem> {
    ours.into_iter()
        .find(|hash| *hash == best || best == Some(HashAlg::Sha512))
        .map(|hash| vec![hash])
        .ok_or(KeyProblem::NotAccepted)
}

fn accepted_hashes(
    offered: &Offered,
    accepted: Option<&[String]>,
) -> Result<Vec<Option<HashAlg>>, KeyProblem> {
    let certificate = match offered {
        Offered::Key(_) => "",
        Offered::Certificate(_) => "-cert-v01@openssh.com",
    };
    let algorithm = offered.algorithm();
    let is_rsa = algorithm.clone().is_rsa();
    let Some(accepted) = accepted else {
        return Ok(if is_rsa {
            RSA.iter().map(|(hash, _)| Some(*hash)).collect()
        } else {
            vec![None]
        });
    };
    if !is_rsa {
        let name = signature_name(&algorithm, certificate);
        return if accepted.contains(&name) {
            Ok(vec![None])
        } else {
            Err(KeyProblem::NotAccepted)
        };
    }
    // In the order of the list.
    let hashes: Vec<_> = accepted
        .iter()
        .filter_map(|name| {
            RSA.iter()
                .find(|(_, known)| *name == format!("{known}{certificate}"))
                .map(|(hash, _)| Some(*hash))
        })
        .collect();
    if !hashes.is_empty() {
        return Ok(hashes);
    }
    let sha1 = format!("ssh-rsa{certificate}");
    Err(if accepted.contains(&sha1) {
        KeyProblem::Sha1Wanted
    } else {
        KeyProblem::NotAccepted
    })
}

/// `ssh-ed25519`, `ssh-ed25519-cert-v01@openssh.com`, `sk-ssh-ed25519-cert-v01@openssh.com`.
fn signature_name(algorithm: &Algorithm, certificate: &str) -> String {
    let name = algorithm.as_str();
    if certificate.is_empty() {
        return name.to_owned();
    }
    let plain = name.strip_suffix("@openssh.com").unwrap_or(name);
    format!("{plain}{certificate}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::ssh_key::certificate::{Builder, CertType};
    use russh::keys::{Certificate, PrivateKey};

    fn key(algorithm: Algorithm) -> PrivateKey {
        PrivateKey::random(&mut russh::keys::key::safe_rng(), algorithm).unwrap()
    }

    fn certificate(of: &PrivateKey) -> Certificate {
        let mut rng = russh::keys::key::safe_rng();
        let mut builder =
            Builder::new_with_random_nonce(&mut rng, of.public_key(), 0, u64::MAX).unwrap();
        builder.cert_type(CertType::User).unwrap();
        builder.all_principals_valid().unwrap();
        builder.sign(&key(Algorithm::Ed25519)).unwrap()
    }

    fn told(offered: &Offered, accepted: Option<&[&str]>) -> String {
        let accepted = accepted.map(|names| {
            let names = names.iter().map(|name| (*name).to_owned());
            names.collect::<Vec<_>>()
        });
        match accepted_hashes(offered, accepted.as_deref()) {
            Ok(hashes) => format!("{hashes:?}"),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn keys_sign_as_the_list_allows_and_never_with_sha_1() {
        let rsa = key(Algorithm::Rsa { hash: None });
        let ed25519 = key(Algorithm::Ed25519);
        let rsa_certificate = Offered::Certificate(Box::new(certificate(&rsa)));
        let ed25519_certificate = Offered::Certificate(Box::new(certificate(&ed25519)));
        let rsa = Offered::Key(rsa.public_key().clone());
        let ed25519 = Offered::Key(ed25519.public_key().clone());
        let not_accepted = KeyProblem::NotAccepted.to_string();
        let sha1 = KeyProblem::Sha1Wanted.to_string();
        for (offered, accepted, expected) in [
            (&ed25519, None, "[None]"),
            (&rsa, None, "[Some(Sha512), Some(Sha256)]"),
            (&ed25519, Some(&["ssh-ed25519"][..]), "[None]"),
            (&ed25519, Some(&["rsa-sha2-512"][..]), &not_accepted),
            (
                &rsa,
                Some(&["rsa-sha2-256", "rsa-sha2-512"][..]),
                "[Some(Sha256), Some(Sha512)]",
            ),
            (
                &rsa,
                Some(&["ssh-rsa", "rsa-sha2-256"][..]),
                "[Some(Sha256)]",
            ),
            (&rsa, Some(&["ssh-rsa"][..]), &sha1),
            (&rsa, Some(&["ssh-ed25519"][..]), &not_accepted),
            (
                &rsa,
                Some(&["rsa-sha2-512-cert-v01@openssh.com"][..]),
                &not_accepted,
            ),
            (
                &rsa_certificate,
                Some(&["rsa-sha2-512-cert-v01@openssh.com"][..]),
                "[Some(Sha512)]",
            ),
            (&rsa_certificate, Some(&["rsa-sha2-512"][..]), &not_accepted),
            (
                &ed25519_certificate,
                Some(&["ssh-ed25519-cert-v01@openssh.com"][..]),
                "[None]",
            ),
            (
                &ed25519_certificate,
                Some(&["ssh-ed25519"][..]),
                &not_accepted,
            ),
        ] {
            assert_eq!(told(offered, accepted), expected, "{accepted:?}");
        }
        assert_eq!(
            signature_name(&Algorithm::SkEd25519, "-cert-v01@openssh.com"),
            "sk-ssh-ed25519-cert-v01@openssh.com"
        );
    }

    #[test]
    fn the_server_has_the_last_word() {
        let both = vec![Some(HashAlg::Sha256), Some(HashAlg::Sha512)];
        let first = |ours, best| mutual(ours, best).map(|hashes| hashes[0]).ok();
        let (sha256, sha512) = (Some(HashAlg::Sha256), Some(HashAlg::Sha512));
        assert_eq!(first(both.clone(), sha512), Some(sha256));
        assert_eq!(first(both, sha256), Some(sha256));
        assert_eq!(first(vec![sha512], sha256), None);
    }
}
