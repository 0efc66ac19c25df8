use std::path::{Path, PathBuf};
use std::process::Command;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};

use super::super::{KeyFile, Lock};
use crate::ssh::error::KeyProblem;

use super::*;

fn short_key() -> PrivateKey {
    let mut rng = russh::keys::key::safe_rng();
    let curve = EcdsaCurve::NistP256;
    loop {
        let key = PrivateKey::random(&mut rng, Algorithm::Ecdsa { curve }).unwrap();
        let pair = key.key_data().ecdsa().unwrap();
        // A zero before a set bit is written: the number would be negative without.
        if matches!(pair.private_key_bytes(), [0, 0..0x80, ..]) {
            return key;
        }
    }
}

/// Has ssh-keygen write the key in its own way; `false` if there is none.
fn rewrite(file: &Path, passphrase: &str, cipher: &str) -> bool {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-p", "-P", "", "-N", passphrase, "-Z", cipher, "-f"]);
    match command.arg(file).output() {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            true
        }
        Err(_) => {
            eprintln!("skipped: no ssh-keygen");
            false
        }
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

#[test]
fn a_key_without_its_leading_zero_is_read_locked_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let key = short_key();
    let text = key.to_openssh(LineEnding::LF).unwrap();
    let expected = key.key_data().ecdsa().unwrap();

    let plain = write(folder.path(), "plain", &text);
    if !rewrite(&plain, "", "aes256-ctr") {
        return;
    }
    let rewritten = std::fs::read_to_string(&plain).unwrap();
    assert!(
        PrivateKey::from_openssh(&rewritten).is_err(),
        "ssh-key reads it now, so this module can go"
    );
    let opened = match KeyFile::load(&plain, None).unwrap().lock {
        Lock::Open(opened) => opened,
        Lock::Locked { .. } => panic!("it is not locked"),
    };
    assert_eq!(opened.key_data().ecdsa().unwrap(), expected);

    for cipher in [
        "aes256-ctr",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
    ] {
        let locked = write(folder.path(), "locked", &text);
        assert!(rewrite(&locked, "right horse", cipher));
        let file = KeyFile::load(&locked, None).unwrap();
        let opened = file.unlock(&"right horse".into()).unwrap();
        assert_eq!(opened.key_data().ecdsa().unwrap(), expected, "{cipher}");
        let wrong = file.unlock(&"wrong horse".into());
        assert!(
            matches!(wrong, Err(KeyProblem::PassphraseWrong)),
            "{wrong:?}"
        );
    }
    // The signature is that of the same key.
    let signature = opened.sign("test", HashAlg::Sha256, b"text").unwrap();
    key.public_key()
        .verify("test", b"text", &signature)
        .unwrap();
}

#[test]
fn what_is_damaged_otherwise_stays_damaged() {
    let mut key = short_key();
    key.set_comment("comment");
    let public = key.public_key().key_data();
    let bytes = key.to_bytes().unwrap();
    let mut rest = bytes.strip_prefix(MAGIC).unwrap();
    for _ in 0..3 {
        Vec::<u8>::decode(&mut rest).unwrap();
    }
    u32::decode(&mut rest).unwrap();
    Vec::<u8>::decode(&mut rest).unwrap();
    let section = Vec::<u8>::decode(&mut rest).unwrap();
    assert!(read(&section, public).is_some());
    for end in 0..section.len() {
        // Padding may be missing, but nothing else.
        let cut = section.get(..end).unwrap();
        let is_whole = section.get(end..).unwrap().iter().all(|byte| *byte < 16);
        assert_eq!(read(cut, public).is_some(), is_whole, "{end}");
    }
    for changed in [0, 8, 20, 60, section.len() - 1] {
        let mut section = section.clone();
        *section.get_mut(changed).unwrap() ^= 0x55;
        assert!(read(&section, public).is_none(), "{changed}");
    }
    assert!(read(&section, short_key().public_key().key_data()).is_none());
}
