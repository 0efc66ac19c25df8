//! What every test of the vault begins with.

mod damage;
mod kept;
mod keys;
mod known;
#[cfg(unix)]
mod processes;

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

use super::*;

/// 32 bytes.
const HOST_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY: &str = "/////////////////////////////////////////w8=";
const PASSWORD: &str = "ssh.password";

fn host(key: &str) -> Option<Credential> {
    Some(Credential::host_key(&key.into()).unwrap())
}

fn passphrase(text: &str) -> Option<Credential> {
    Some(Credential::passphrase(text.into()).unwrap())
}

fn address() -> Address {
    Address {
        host: "gpu".into(),
        port: Some(22),
        username: Some("ai".into()),
        endpoint: None,
    }
}

fn opened(folder: &Path, credential: Option<Credential>) -> Vault {
    let vault = Vault::new(folder, "/project".into());
    vault.open(credential);
    vault
}

fn set(vault: &Vault, config_id: &str, field: &str, secret: &str) -> Result<(), VaultProblem> {
    let entry = NewEntry {
        field: field.into(),
        secret: Some((address(), SecretString::from(secret))),
    };
    vault.change(config_id, vec![entry])
}

fn get(vault: &Vault, config_id: &str, field: &str) -> Option<String> {
    let secret = vault.get(config_id, field, &address()).unwrap()?;
    Some(secret.unwrap().expose_secret().to_owned())
}

/// Every file, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// A vault with two passwords, and the files that it is in.
fn two_passwords() -> (TempDir, Vault) {
    let folder = tempfile::tempdir().unwrap();
    let vault = opened(folder.path(), host(HOST_KEY));
    set(&vault, "a", PASSWORD, "one").unwrap();
    set(&vault, "b", PASSWORD, "two").unwrap();
    (folder, vault)
}

#[test]
fn a_secret_is_there_for_the_next_who_has_the_key() {
    let (folder, vault) = two_passwords();
    drop(vault);
    let vault = opened(folder.path(), host(HOST_KEY));
    assert_eq!(get(&vault, "a", PASSWORD).as_deref(), Some("one"));
    assert_eq!(get(&vault, "b", PASSWORD).as_deref(), Some("two"));
    assert_eq!(get(&vault, "a", "ssh.passphrase"), None);
    assert_eq!(vault.status().entries, 2);
    for (name, bytes) in files(folder.path()) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("one") && !text.contains("two"), "{name}");
    }
}

#[test]
fn a_secret_opens_for_no_other_address_profile_field_or_project() {
    let (folder, vault) = two_passwords();
    let elsewhere = [
        Address {
            host: "evil".into(),
            ..address()
        },
        Address {
            port: None,
            ..address()
        },
        Address {
            username: Some("root".into()),
            ..address()
        },
        Address {
            endpoint: Some("http://localhost".into()),
            ..address()
        },
    ];
    for address in elsewhere {
        let opened = vault.get("a", PASSWORD, &address).unwrap().unwrap();
        assert!(opened.is_err(), "{address:?}");
    }
    let other = Vault::new(folder.path(), "/elsewhere".into());
    other.open(host(HOST_KEY));
    assert_eq!(get(&other, "a", PASSWORD), None);
    assert_eq!(other.status().entries, 2);
}

#[test]
fn what_is_removed_is_in_no_file_any_more() {
    let (folder, vault) = two_passwords();
    vault.forget("b").unwrap();
    assert_eq!(get(&vault, "b", PASSWORD), None);
    assert_eq!(get(&vault, "a", PASSWORD).as_deref(), Some("one"));
    for (name, bytes) in files(folder.path()) {
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("\"b@"), "{name}: {text}");
    }
}

#[test]
fn another_windows_change_is_seen_and_kept() {
    let (folder, vault) = two_passwords();
    let other = opened(folder.path(), host(HOST_KEY));
    set(&other, "c", PASSWORD, "three").unwrap();
    vault.refresh();
    assert_eq!(get(&vault, "c", PASSWORD).as_deref(), Some("three"));
    set(&vault, "a", PASSWORD, "four").unwrap();
    other.refresh();
    assert_eq!(get(&other, "a", PASSWORD).as_deref(), Some("four"));
    assert_eq!(other.status().entries, 3);
}

#[test]
fn without_a_key_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let vault = opened(folder.path(), None);
    assert!(vault.status().problem.is_none() && vault.status().vault_id.is_none());
    let refused = set(&vault, "a", PASSWORD, "one");
    assert!(matches!(refused, Err(VaultProblem::NoVault)));
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_secret_that_is_too_long_changes_nothing() {
    let (folder, vault) = two_passwords();
    let before = files(folder.path());
    let long = "x".repeat(SECRET_BYTES + 1);
    let refused = set(&vault, "a", PASSWORD, &long);
    assert!(matches!(refused, Err(VaultProblem::TooLong)));
    assert_eq!(files(folder.path()), before);
    set(&vault, "a", PASSWORD, &"x".repeat(SECRET_BYTES)).unwrap();
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_only_and_closed_again_if_they_are_not() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let vault = opened(&folder, host(HOST_KEY));
    set(&vault, "a", PASSWORD, "one").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in files(&folder).keys() {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&folder), 0o700);
    let main = folder.join("vault.json");
    for (path, open) in [(&folder, 0o755), (&main, 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(open)).unwrap();
    }
    opened(&folder, host(HOST_KEY));
    assert_eq!(mode(&main), 0o600);
    assert_eq!(mode(&folder), 0o700);
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed() {
    let (folder, vault) = two_passwords();
    drop(vault);
    let main = folder.path().join("vault.json");
    let moved = folder.path().join("elsewhere");
    std::fs::rename(&main, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &main).unwrap();
    let before = files(folder.path());
    let vault = opened(folder.path(), host(HOST_KEY));
    let problem = vault.status().problem;
    assert!(
        matches!(problem, Some(VaultProblem::Refused { .. })),
        "{problem:?}"
    );
    assert!(set(&vault, "a", PASSWORD, "three").is_err());
    assert_eq!(files(folder.path()), before);
}
