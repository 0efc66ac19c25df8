use std::process::Command;

use super::*;

/// Writes keys with the real tools, in a directory of the test's own.
struct Keys {
    directory: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `None` when the tool is missing.
    fn run(&self, command: &str) -> Option<()> {
        let mut words = command.split(' ');
        let status = Command::new(words.next()?)
            .args(words.map(|word| if word == "''" { "" } else { word }))
            .current_dir(self.directory.path())
            .output()
            .ok()?
            .status;
        assert!(status.success(), "{command}");
        Some(())
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

fn outcome(result: Result<KeyFile, KeyProblem>) -> String {
    match result {
        Ok(file) => match file.lock {
            Lock::Open(_) => "open".into(),
            Lock::Locked { public, .. } => {
                let known = if public.is_some() { "known" } else { "unknown" };
                match file_unlocks(&file.path) {
                    (Ok(_), Err(KeyProblem::PassphraseWrong)) => {
                        format!("locked, public half {known}")
                    }
                    other => format!("locked, but {other:?}"),
                }
            }
        },
        Err(problem) => problem.to_string(),
    }
}

fn file_unlocks(path: &Path) -> (Result<(), KeyProblem>, Result<(), KeyProblem>) {
    let file = KeyFile::load(path, None).unwrap();
    (
        file.unlock(&"right horse".into()).map(drop),
        file.unlock(&"wrong horse".into()).map(drop),
    )
}

#[test]
fn every_common_format_is_read_or_refused_with_its_reason() {
    let keys = Keys::new();
    if keys
        .run("ssh-keygen -q -t ed25519 -N '' -f plain")
        .is_none()
    {
        eprintln!("skipped: no ssh-keygen");
        return;
    }
    // ssh-keygen takes the passphrase as one word; the space is put in by hand.
    let keygen = |arguments: &[&str]| {
        let output = Command::new("ssh-keygen")
            .args(arguments)
            .current_dir(keys.directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?} {output:?}");
    };
    let pass = "right horse";
    keygen(&["-q", "-t", "ed25519", "-N", pass, "-f", "ctr"]);
    for cipher in [
        "aes256-gcm@openssh.com",
        "aes256-cbc",
        "chacha20-poly1305@openssh.com",
    ] {
        keygen(&[
            "-q", "-t", "ed25519", "-Z", cipher, "-N", pass, "-f", cipher,
        ]);
    }
    keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "rsa"]);
    keygen(&["-q", "-t", "ecdsa", "-N", "", "-f", "ecdsa"]);
    keygen(&[
        "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", "rsa_pem",
    ]);
    keygen(&[
        "-q",
        "-t",
        "rsa",
        "-b",
        "2048",
        "-m",
        "PEM",
        "-N",
        pass,
        "-f",
        "rsa_pem_locked",
    ]);
    keygen(&["-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-f", "ec_pem"]);
    keygen(&[
        "-q",
        "-t",
        "ecdsa",
        "-m",
        "PEM",
        "-N",
        pass,
        "-f",
        "ec_pem_locked",
    ]);
    keygen(&[
        "-q", "-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "", "-f", "pkcs8",
    ]);
    keygen(&[
        "-q",
        "-t",
        "rsa",
        "-b",
        "2048",
        "-m",
        "PKCS8",
        "-N",
        pass,
        "-f",
        "pkcs8_locked",
    ]);
    std::fs::remove_file(keys.path("pkcs8_locked.pub")).unwrap();

    for (name, expected) in [
        ("plain", "open"),
        ("rsa", "open"),
        ("ecdsa", "open"),
        ("rsa_pem", "open"),
        ("ec_pem", "open"),
        ("pkcs8", "open"),
        ("ctr", "locked, public half known"),
        ("aes256-gcm@openssh.com", "locked, public half known"),
        ("aes256-cbc", "locked, public half known"),
        ("chacha20-poly1305@openssh.com", "locked, public half known"),
        ("rsa_pem_locked", "locked, public half known"),
        ("pkcs8_locked", "locked, public half unknown"),
        (
            "ec_pem_locked",
            "is encrypted in an old way; convert it with ssh-keygen -p",
        ),
        (
            "plain.pub",
            "is a public key; the private key is the file beside it without .pub",
        ),
    ] {
        assert_eq!(
            outcome(KeyFile::load(&keys.path(name), None)),
            expected,
            "{name}"
        );
    }
}

/// Made by puttygen for this test; nothing trusts this key.
#[test]
fn putty_s_own_format_is_read() {
    let keys = Keys::new();
    for (name, text, expected) in [
        ("v2", include_str!("fixtures/v2.ppk"), "open"),
        ("v3", include_str!("fixtures/v3.ppk"), "open"),
        (
            "v2e",
            include_str!("fixtures/v2e.ppk"),
            "locked, public half known",
        ),
        (
            "v3e",
            include_str!("fixtures/v3e.ppk"),
            "locked, public half known",
        ),
    ] {
        let path = keys.write(name, text, 0o600);
        assert_eq!(outcome(KeyFile::load(&path, None)), expected, "{name}");
        let file = KeyFile::load(&path, None).unwrap();
        let shown = file.public().unwrap().fingerprint(Default::default());
        let opened = file.unlock(&"right horse".into()).unwrap();
        let opened = opened.public_key().fingerprint(Default::default());
        assert_eq!(shown, opened, "{name}");
    }
}

#[test]
fn what_openssl_writes_is_read_or_refused_with_its_reason() {
    let keys = Keys::new();
    if keys
        .run("openssl genrsa -traditional -out rsa 2048")
        .is_none()
    {
        eprintln!("skipped: no openssl");
        return;
    }
    keys.write("pass", "right horse", 0o600);
    let lock = |how: &str, to: &str| {
        keys.run(&format!("openssl {how} -passout file:pass -out {to}"));
    };
    lock("rsa -in rsa -aes128 -traditional", "aes128");
    lock("rsa -in rsa -aes256 -traditional", "aes256");
    lock("rsa -in rsa -des3 -traditional", "des3");
    lock("pkcs8 -topk8 -in rsa", "pkcs8");
    lock("pkcs8 -topk8 -scrypt -in rsa", "scrypt");
    lock("pkcs8 -topk8 -v1 PBE-SHA1-3DES -in rsa", "pkcs12");
    lock("pkcs8 -topk8 -v2 des3 -in rsa", "pkcs8_des3");
    keys.run("openssl genpkey -algorithm ed25519 -out ed25519");
    lock("pkcs8 -topk8 -in ed25519", "ed25519_locked");
    keys.run("openssl ecparam -name prime256v1 -genkey -noout -out ec");
    lock("ec -in ec -aes256", "ec_locked");
    let old = "is encrypted in an old way; convert it with ssh-keygen -p";
    for (name, expected) in [
        ("rsa", "open"),
        ("ec", "open"),
        ("ed25519", "open"),
        ("aes128", "locked, public half unknown"),
        ("pkcs8", "locked, public half unknown"),
        ("scrypt", "locked, public half unknown"),
        ("ed25519_locked", "locked, public half unknown"),
        ("aes256", old),
        ("des3", old),
        ("ec_locked", old),
        ("pkcs12", old),
        ("pkcs8_des3", old),
    ] {
        let path = keys.path(name);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let path = keys.write(name, &text, 0o600);
        assert_eq!(outcome(KeyFile::load(&path, None)), expected, "{name}");
    }
}

/// As ssh has it: only one's own files have to be private.
#[test]
fn somebody_else_s_file_may_be_readable() {
    use std::os::unix::fs::MetadataExt as _;
    let keys = Keys::new();
    let path = keys.write("v3", include_str!("fixtures/v3.ppk"), 0o640);
    let owner = std::fs::metadata(&path).unwrap().uid();
    let load = |user: u32| outcome(KeyFile::load(&path, Some(&user.to_string())));
    assert_eq!(load(owner), "may be read by others (mode 640)");
    assert_eq!(load(owner + 1), "open");
}

#[test]
fn files_that_are_no_keys_or_not_private_are_refused() {
    let keys = Keys::new();
    let not_there = keys.path("missing");
    assert!(matches!(
        KeyFile::load(&not_there, None),
        Err(KeyProblem::Unreadable(_))
    ));
    for (name, text, mode, expected) in [
        ("text", "hello".to_owned(), 0o600, "is not a private key"),
        ("empty", String::new(), 0o600, "is not a private key"),
        (
            "open",
            "hello".to_owned(),
            0o644,
            "may be read by others (mode 644)",
        ),
        (
            "group",
            "hello".to_owned(),
            0o640,
            "may be read by others (mode 640)",
        ),
        ("large", "x".repeat(65_537), 0o600, "is too large for a key"),
        (
            "broken",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
                .to_owned(),
            0o600,
            "is damaged",
        ),
        (
            "dsa",
            "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n".to_owned(),
            0o600,
            "has an unsupported key type",
        ),
    ] {
        let path = keys.write(name, &text, mode);
        assert_eq!(outcome(KeyFile::load(&path, None)), expected, "{name}");
    }
    assert!(matches!(
        KeyFile::load(keys.directory.path(), None),
        Err(KeyProblem::NotAFile)
    ));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_do_no_harm() {
    let keys = Keys::new();
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    let text = key
        .to_openssh(russh::keys::ssh_key::LineEnding::CRLF)
        .unwrap();
    let path = keys.write("crlf", &format!("\u{feff}{}  \r\n", text.as_str()), 0o600);
    assert_eq!(outcome(KeyFile::load(&path, None)), "open");
}

#[test]
fn debug_output_shows_no_key() {
    let keys = Keys::new();
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    let text = key
        .to_openssh(russh::keys::ssh_key::LineEnding::LF)
        .unwrap();
    let path = keys.write("key", &text, 0o600);
    let shown = format!("{:?}", KeyFile::load(&path, None).unwrap());
    assert!(shown.ends_with("lock: Open }"), "{shown}");
}
