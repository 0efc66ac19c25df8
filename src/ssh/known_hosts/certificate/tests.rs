use std::path::{Path, PathBuf};

use proptest::prelude::*;
use russh::keys::ssh_key::certificate::Builder;
use russh::keys::{HashAlg, PrivateKey};

use super::*;

const NOW: u64 = 1_800_000_000;

fn key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), algorithm).unwrap()
}

fn text(key: &PrivateKey) -> String {
    PublicKey::new(key.public_key().key_data().clone(), "")
        .to_openssh()
        .unwrap()
}

/// An authority, a host, and what the one says about the other.
struct Scene {
    authority: PrivateKey,
    host: PrivateKey,
    directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            authority: key(Algorithm::Ed25519),
            host: key(Algorithm::Ed25519),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn certificate(&self, change: impl FnOnce(&mut Builder)) -> Certificate {
        self.made_out_to(&["gpu1", "gpu1.example"], change)
    }

    fn made_out_to(&self, names: &[&str], change: impl FnOnce(&mut Builder)) -> Certificate {
        self.signed(CertType::Host, names, (NOW - 100, NOW + 100), change)
    }

    fn signed(
        &self,
        kind: CertType,
        names: &[&str],
        (after, before): (u64, u64),
        change: impl FnOnce(&mut Builder),
    ) -> Certificate {
        let mut rng = russh::keys::key::safe_rng();
        let public = self.host.public_key();
        let mut builder = Builder::new_with_random_nonce(&mut rng, public, after, before).unwrap();
        builder.cert_type(kind).unwrap();
        builder.key_id("id").unwrap();
        for name in names {
            builder.valid_principal(*name).unwrap();
        }
        if names.is_empty() {
            builder.all_principals_valid().unwrap();
        }
        change(&mut builder);
        builder.sign(&self.authority).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("known_hosts")
    }

    /// Judges with `CA`, `HOST` in the lines standing for the keys.
    fn judge(&self, lines: &str, certificate: &Certificate, name: &HostName) -> CertificateVerdict {
        let lines = lines
            .replace("CA", &text(&self.authority))
            .replace("HOST", &text(&self.host));
        std::fs::write(self.file(), lines).unwrap();
        Records::read(&[self.file()], name, None)
            .unwrap()
            .judge_certificate(certificate, name, NOW)
    }

    fn short(&self, lines: &str, certificate: &Certificate, name: &HostName) -> String {
        match self.judge(lines, certificate, name) {
            CertificateVerdict::Valid { authority } => format!("valid by {}", authority.line),
            CertificateVerdict::Revoked {
                line,
                authority: None,
                ..
            } => format!("key revoked by {line}"),
            CertificateVerdict::Revoked { line, .. } => format!("authority revoked by {line}"),
            CertificateVerdict::Invalid(certificate) => certificate.problem.to_string(),
            CertificateVerdict::NoAuthority => "no authority".into(),
        }
    }
}

#[test]
fn the_authority_must_be_recorded_for_the_host() {
    let scene = Scene::new();
    let good = scene.certificate(|_| {});
    for (lines, host, port, expected) in [
        ("@cert-authority gpu1 CA\n", "gpu1", 22, "valid by 1"),
        ("@cert-authority gpu1 CA\n", "GPU1", 22, "valid by 1"),
        ("@cert-authority *,!gpu2 CA\n", "gpu1", 22, "valid by 1"),
        ("# x\n@cert-authority * CA\n", "gpu1", 2222, "valid by 2"),
        // Certificates have no ports: the portless name is as good.
        ("@cert-authority gpu1 CA\n", "gpu1", 2222, "valid by 1"),
        (
            "@cert-authority [gpu1]:2222 CA\n",
            "gpu1",
            2222,
            "valid by 1",
        ),
        (
            "@cert-authority gpu1 CA\n@cert-authority [gpu1]:2222 CA\n",
            "gpu1",
            2222,
            "valid by 2",
        ),
        (
            "@cert-authority [gpu1]:2222 CA\n",
            "gpu1",
            22,
            "no authority",
        ),
        ("@cert-authority gpu2 CA\n", "gpu1", 22, "no authority"),
        ("@cert-authority gpu1 HOST\n", "gpu1", 22, "no authority"),
        ("gpu1 CA\n", "gpu1", 22, "no authority"),
        ("gpu1 HOST\n", "gpu1", 22, "no authority"),
        ("", "gpu1", 22, "no authority"),
        (
            "@cert-authority gpu1 CA\n@revoked * CA\n",
            "gpu1",
            22,
            "authority revoked by 2",
        ),
        (
            "@revoked gpu1 HOST\n@cert-authority gpu1 CA\n",
            "gpu1",
            22,
            "key revoked by 1",
        ),
        (
            "@revoked gpu1 CA\ngpu1 HOST\n",
            "gpu1",
            22,
            "authority revoked by 1",
        ),
        (
            "@revoked gpu2 CA\n@cert-authority gpu1 CA\n",
            "gpu1",
            22,
            "valid by 2",
        ),
    ] {
        let name = HostName::new(host, port);
        assert_eq!(
            scene.short(lines, &good, &name),
            expected,
            "{host}:{port} {lines}"
        );
    }
}

#[test]
fn a_certificate_must_be_for_this_host_and_this_time() {
    let scene = Scene::new();
    let name = HostName::new("gpu1", 2222);
    let remade = |after, before| scene.signed(CertType::Host, &["gpu1"], (after, before), |_| {});
    let forged = {
        let mut bytes = scene.certificate(|_| {}).to_bytes().unwrap();
        let at = bytes.windows(4).position(|part| part == b"gpu1").unwrap();
        bytes[at + 3] = b'2';
        Certificate::from_bytes(&bytes).unwrap()
    };
    for (certificate, expected) in [
        (remade(NOW, NOW + 1), "valid by 1"),
        (remade(0, u64::MAX), "valid by 1"),
        (remade(NOW - 10, NOW), "has expired"),
        (remade(NOW + 1, NOW + 10), "is not valid yet"),
        (
            scene.made_out_to(&["gpu2"], |_| {}),
            "is not made out to gpu1",
        ),
        (
            scene.made_out_to(&["gpu*"], |_| {}),
            "is not made out to gpu1",
        ),
        (
            scene.made_out_to(&["GPU1"], |_| {}),
            "is not made out to gpu1",
        ),
        (
            scene.made_out_to(&["[gpu1]:2222"], |_| {}),
            "is not made out to gpu1",
        ),
        (scene.made_out_to(&[], |_| {}), "valid by 1"),
        (
            scene.signed(CertType::User, &["gpu1"], (0, NOW + 1), |_| {}),
            "is a user's certificate",
        ),
        (
            scene.certificate(|builder| {
                builder.critical_option("force-command", "true").unwrap();
            }),
            "has the unknown critical option force-command",
        ),
        (
            scene.certificate(|builder| {
                builder.extension("whatever", "").unwrap();
            }),
            "valid by 1",
        ),
        (forged, "is forged or damaged: its signature is wrong"),
    ] {
        assert_eq!(
            scene.short("@cert-authority gpu1 CA\n", &certificate, &name),
            expected
        );
    }
}

#[test]
fn an_alias_is_the_principal() {
    let scene = Scene::new();
    let files = crate::ssh::KnownHostsFiles {
        alias: Some("Alias".into()),
        ..Default::default()
    };
    let name = HostName::of("gpu1", 2222, &files);
    let lines = "@cert-authority alias CA\n";
    let certificate = scene.made_out_to(&["alias"], |_| {});
    assert_eq!(scene.short(lines, &certificate, &name), "valid by 1");
    let certificate = scene.certificate(|_| {});
    assert_eq!(
        scene.short(lines, &certificate, &name),
        "is not made out to alias"
    );
}

/// Signed by ssh-keygen as `ssh-keygen -t ssh-rsa -s ca -h`.
#[test]
fn an_rsa_authority_must_not_sign_with_sha_1() {
    let mut scene = Scene::new();
    scene.authority = key(Algorithm::Rsa { hash: None });
    let name = HostName::new("gpu1", 22);
    let good = scene.certificate(|_| {});
    assert!(matches!(
        good.signature().algorithm(),
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256 | HashAlg::Sha512)
        }
    ));
    let lines = "@cert-authority gpu1 CA\n";
    assert_eq!(scene.short(lines, &good, &name), "valid by 1");
    let directory = scene.directory.path();
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new("ssh-keygen")
            .args(arguments)
            .current_dir(directory)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let private = scene
        .authority
        .to_openssh(russh::keys::ssh_key::LineEnding::LF)
        .unwrap();
    write_private(&directory.join("ca"), &private);
    std::fs::write(directory.join("host.pub"), text(&scene.host)).unwrap();
    run(&[
        "-q", "-t", "ssh-rsa", "-s", "ca", "-h", "-I", "id", "-n", "gpu1", "host.pub",
    ]);
    let weak = std::fs::read_to_string(directory.join("host-cert.pub")).unwrap();
    let weak = Certificate::from_openssh(&weak).unwrap();
    assert_eq!(
        scene.short(lines, &weak, &name),
        "is signed with an algorithm that is too weak"
    );
}

fn write_private(path: &Path, content: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .unwrap()
        .write_all(content.as_bytes())
        .unwrap();
}

#[test]
fn what_is_wrong_is_told_with_the_authority_and_the_times() {
    let scene = Scene::new();
    let certificate = scene.made_out_to(&["gpu2", "gpu\x1b[0m"], |_| {});
    let verdict = scene.judge(
        "\n@cert-authority gpu1 CA\n",
        &certificate,
        &HostName::new("gpu1", 22),
    );
    let CertificateVerdict::Invalid(told) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(told.principals, ["gpu2", "gpu\\u{1b}[0m"]);
    assert_eq!(
        (told.valid_after, told.valid_before),
        (NOW - 100, NOW + 100)
    );
    let authority = told.authority.unwrap();
    assert_eq!((authority.file, authority.line), (scene.file(), 2));
    assert_eq!(authority.key, told.signer);
    assert_eq!(told.key, info(scene.host.public_key().key_data()));
}

#[test]
fn a_certificate_in_place_of_a_key_vouches_for_nothing_but_can_revoke() {
    use crate::ssh::known_hosts::Verdict;
    let scene = Scene::new();
    let certificate = scene.certificate(|_| {}).to_openssh().unwrap();
    let name = HostName::new("gpu1", 22);
    let judge = |lines: String| {
        std::fs::write(scene.file(), lines).unwrap();
        let key = PublicKey::new(scene.host.public_key().key_data().clone(), "");
        Records::read(&[scene.file()], &name, Some(&key))
            .unwrap()
            .judge(&key)
    };
    let Verdict::Changed(known) = judge(format!("gpu1 {certificate}\n")) else {
        panic!("as ssh has it");
    };
    assert_eq!(known[0].key.key_type, "ssh-ed25519-cert-v01@openssh.com");
    assert!(matches!(
        judge(format!("@revoked gpu1 {certificate}\n")),
        Verdict::Revoked { .. }
    ));
}

proptest! {
    #[test]
    fn a_mutilated_certificate_is_never_valid(at in 0..400_usize, with in 1..=255_u8) {
        let scene = Scene::new();
        let mut bytes = scene.certificate(|_| {}).to_bytes().unwrap();
        let at = at % bytes.len();
        bytes[at] ^= with;
        if let Ok(certificate) = Certificate::from_bytes(&bytes) {
            let name = HostName::new("gpu1", 22);
            let lines = "@cert-authority * CA\n";
            let verdict = scene.judge(lines, &certificate, &name);
            prop_assert!(!matches!(verdict, CertificateVerdict::Valid { .. }), "{:?}", verdict);
        }
    }
}
