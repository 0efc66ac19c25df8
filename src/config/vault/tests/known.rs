//! Files that another program made, of the format alone (tests/data/vault/make.py): they open, and
//! ours are theirs, byte for byte.

use super::cipher::NONCE_BYTES;
use super::document::{Base64, Document};
use super::*;

const BY_HOST: &[u8] = include_bytes!("../../../../tests/data/vault/host.json");
const BY_PASSPHRASE: &[u8] = include_bytes!("../../../../tests/data/vault/passphrase.json");
const THE_PASSPHRASE: &str = "correct horse battery staple ü";

/// Bytes 64 to 95, which seal both files.
fn data_key() -> Key {
    Key::from_slice(&(64..96).collect::<Vec<u8>>()).unwrap()
}

fn of_gpu(endpoint: Option<&str>) -> Address {
    Address {
        host: "gpu.example".into(),
        port: Some(22),
        username: Some("ai".into()),
        endpoint: endpoint.map(str::to_owned),
    }
}

fn of_gate() -> Address {
    Address {
        host: "gate".into(),
        ..Address::default()
    }
}

/// Project, profile, field, address, secret.
fn secrets() -> [(
    &'static str,
    &'static str,
    &'static str,
    Address,
    &'static str,
); 3] {
    [
        (
            "0123456789abcdef",
            "gpu",
            "llm.apiKey",
            of_gpu(Some("http://127.0.0.1:8000")),
            "sk-known-answer",
        ),
        (
            "0123456789abcdef",
            "gpu",
            "ssh.password",
            of_gpu(None),
            "pässwörd 🐧",
        ),
        (
            "fedcba9876543210",
            "laptop",
            "ssh.jumpHosts[0].passphrase",
            of_gate(),
            "",
        ),
    ]
}

fn both() -> [(&'static [u8], Credential); 2] {
    [
        (BY_HOST, host(HOST_KEY).unwrap()),
        (BY_PASSPHRASE, passphrase(THE_PASSPHRASE).unwrap()),
    ]
}

#[test]
fn files_of_another_program_open() {
    for (file, credential) in both() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vault.json"), file).unwrap();
        for (project, profile, field, address, secret) in secrets() {
            let vault = Vault::new(folder.path(), "/project".into());
            vault.scope.set(project.to_owned()).unwrap();
            vault.open(Some(credential.clone()));
            assert!(vault.status().problem.is_none(), "{:?}", vault.status());
            let opened = vault.get(profile, field, &address).unwrap().unwrap();
            assert_eq!(opened.unwrap().expose_secret(), secret, "{field}");
        }
        assert_eq!(files(folder.path())["vault.json"], file);
    }
}

#[test]
fn the_same_secrets_with_the_same_nonces_are_the_same_file() {
    for (file, credential) in both() {
        let theirs = Document::parse(file).unwrap();
        let vault_id = theirs.vault_id.clone();
        let kek = credential.kek_for(&theirs.key).unwrap();
        let nonce = theirs.key.wrap.nonce.0;
        let slot = kek.wrap_with(nonce, &vault_id, &data_key()).unwrap();
        let mut ours = Document::new(vault_id.clone(), slot);
        ours.epoch = theirs.epoch - 1;
        for (project, profile, field, address, secret) in secrets() {
            let owner = format!("{profile}@{project}");
            let label = Label {
                vault_id: &vault_id,
                owner: &owner,
                field,
            };
            let Base64::<NONCE_BYTES>(nonce) = theirs.entries[&owner][field].nonce;
            let digest = address.digest();
            let entry = Entry::seal_with(nonce, &data_key(), label, digest, secret.as_bytes());
            let fields = ours.entries.entry(owner.clone()).or_default();
            fields.insert(field.to_owned(), entry.unwrap());
        }
        ours.seal(&data_key());
        let (ours, theirs) = (String::from_utf8(ours.bytes()), std::str::from_utf8(file));
        assert_eq!(ours.unwrap(), theirs.unwrap());
    }
}
