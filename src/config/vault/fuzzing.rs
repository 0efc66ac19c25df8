//! The fuzz target of a vault's file: whatever is in it, what is asserted here holds.

use secrecy::ExposeSecret as _;

use super::cipher::Key;
use super::document::{Document, Unreadable};
use super::entry::{Address, Label};
use super::key::Credential;
use super::problem::{KeySource, VaultProblem};

/// The host's key of tests/data/vault.
const HOST_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The input is the file. What it says is looked at also where it is not written as we do: hardly
/// anything that a fuzzer makes up is.
pub fn vault(bytes: &[u8]) {
    check(bytes);
    if let Ok(document) = serde_json::from_slice::<Document>(bytes) {
        check(&document.bytes());
    }
}

/// A file, read and opened; and once more, vouched for, so that the fuzzer gets past the MAC.
fn check(bytes: &[u8]) {
    let mut document = match Document::parse(bytes) {
        Ok(document) => document,
        Err(Unreadable::TooNew { version }) => {
            assert!(version > 1, "an old version is not too new");
            return;
        }
        Err(Unreadable::Corrupt) => return,
    };
    assert_eq!(document.bytes(), bytes, "it is read as it is written");
    assert!(document.count() <= bytes.len());
    open(&document);

    let data_key = Key::filled(|key| {
        key.fill(7);
        Ok::<_, std::convert::Infallible>(())
    });
    let Ok(data_key) = data_key;
    document.seal(&data_key);
    assert!(document.verify(&data_key));
    let again = Document::parse(&document.bytes());
    assert_eq!(again.as_ref(), Ok(&document), "what is written is read");
    look_into(&document, &data_key);
}

/// Opens it with a host's key. No passphrase: that would take the fuzzer's whole time.
fn open(document: &Document) {
    let Some(credential) = Credential::host_key(&HOST_KEY.into()) else {
        return;
    };
    let kek = match credential.kek_for(&document.key) {
        Ok(kek) => kek,
        Err(VaultProblem::Locked { needs }) => {
            assert_ne!(needs, KeySource::Host);
            return;
        }
        Err(problem) => unreachable!("{problem}"),
    };
    match kek.unwrap(&document.vault_id, &document.key) {
        Ok(Some(data_key)) => {
            if document.verify(&data_key) {
                look_into(document, &data_key);
            }
        }
        Ok(None) | Err(VaultProblem::KeyMismatch { .. }) => {}
        Err(problem) => unreachable!("{problem}"),
    }
}

/// Opens all entries; none for an address that it is not for.
fn look_into(document: &Document, data_key: &Key) {
    let elsewhere = Address {
        host: "nowhere.invalid".to_owned(),
        ..Address::default()
    };
    for (owner, entries) in &document.entries {
        for (field, entry) in entries {
            let label = Label {
                vault_id: &document.vault_id,
                owner,
                field,
            };
            let _ = entry.open(data_key, label);
            if let Ok(secret) = entry.open_for(data_key, label, &elsewhere) {
                unreachable!("{} bytes for nobody", secret.expose_secret().len());
            }
        }
    }
}
