use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::{Algorithm, PrivateKey};

use super::*;
use crate::ssh::auth::key_file::Lock;

fn key() -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()
}

fn certificate(of: &PrivateKey) -> Certificate {
    let mut rng = russh::keys::key::safe_rng();
    let mut builder =
        Builder::new_with_random_nonce(&mut rng, of.public_key(), 0, u64::MAX).unwrap();
    builder.cert_type(CertType::User).unwrap();
    builder.all_principals_valid().unwrap();
    builder.sign(&key()).unwrap()
}

fn named(name: &str, offered: Offered, file: Option<&PrivateKey>) -> Named {
    Named {
        name: name.to_owned(),
        offered: Some(offered),
        file: file.map(|key| {
            Arc::new(KeyFile {
                path: name.into(),
                lock: Lock::Open(Arc::new(key.clone())),
            })
        }),
        chosen: false,
        doubt: None,
    }
}

fn plain(of: &PrivateKey) -> Offered {
    Offered::Key(of.public_key().clone())
}

fn file(name: &str, key: &PrivateKey) -> Named {
    named(name, plain(key), Some(key))
}

fn held(comment: &str, key: &PrivateKey) -> AgentIdentity {
    AgentIdentity::PublicKey {
        key: key.public_key().clone(),
        comment: comment.to_owned(),
    }
}

fn certified(certificate: &Certificate) -> Offered {
    Offered::Certificate(Box::new(certificate.clone()))
}

/// Each name, with who signs for it.
fn told(material: Material) -> Vec<String> {
    let ordered = order(material);
    let signed = ordered.candidates.iter().map(|candidate| {
        let source = match &candidate.source {
            Source::Agent(identity) => format!("agent {}", identity.comment()),
            Source::File(file) => format!("file {}", file.path.display()),
        };
        format!("{} by {source}", candidate.name)
    });
    let unsignable = ordered.unsignable.iter();
    let unsignable = unsignable.map(|named| format!("{} by nobody", named.name));
    signed.chain(unsignable).collect()
}

#[test]
fn named_certificates_then_matching_agent_keys_then_the_others_then_files() {
    let [a, b, c, d] = [key(), key(), key(), key()];
    let certificate = certificate(&b);
    let material = || Material {
        certificates: vec![named("b-cert", certified(&certificate), None)],
        files: vec![file("a", &a), file("b", &b), file("c", &c)],
        agent: vec![held("d", &d), held("c", &c)],
        identities_only: false,
    };
    assert_eq!(
        told(material()),
        [
            "b-cert by file b",
            "agent: c by agent c",
            "agent: d by agent d",
            "a by file a",
            "b by file b",
        ]
    );
    let only = Material {
        identities_only: true,
        ..material()
    };
    assert_eq!(
        told(only),
        [
            "b-cert by file b",
            "agent: c by agent c",
            "a by file a",
            "b by file b"
        ]
    );
}

#[test]
fn the_agent_signs_for_a_certificate_whose_key_it_holds() {
    let [a, b] = [key(), key()];
    let (for_a, for_b) = (certificate(&a), certificate(&b));
    let material = Material {
        certificates: vec![
            named("a-cert", certified(&for_a), None),
            named("b-cert", certified(&for_b), None),
        ],
        agent: vec![held("a", &a)],
        ..Material::default()
    };
    assert_eq!(
        told(material),
        [
            "a-cert by agent a",
            "agent: a by agent a",
            "b-cert by nobody"
        ]
    );
}

#[test]
fn a_certificate_in_the_agent_matches_the_one_beside_the_file() {
    let a = key();
    let certificate = certificate(&a);
    let in_agent = AgentIdentity::Certificate {
        certificate: certificate.clone(),
        comment: "a".to_owned(),
    };
    let material = Material {
        files: vec![
            file("a", &a),
            named("a-cert", certified(&certificate), Some(&a)),
        ],
        agent: vec![held("a", &a), in_agent],
        identities_only: true,
        ..Material::default()
    };
    assert_eq!(
        told(material),
        ["agent: a by agent a", "agent: a, certificate by agent a"]
    );
}

#[test]
fn no_key_is_offered_twice() {
    let a = key();
    let material = Material {
        files: vec![file("a", &a), file("copy of a", &a)],
        ..Material::default()
    };
    assert_eq!(told(material), ["a by file a"]);
}
