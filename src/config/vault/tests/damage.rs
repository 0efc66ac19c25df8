//! Damaged, swapped and foreign files.

use super::state::{Opener, find};
use super::*;

/// A vault's one file, without a backup.
fn alone() -> (TempDir, Vec<u8>) {
    let (folder, vault) = two_passwords();
    drop(vault);
    let _ = std::fs::remove_file(folder.path().join("vault.json.bak"));
    let bytes = std::fs::read(folder.path().join("vault.json")).unwrap();
    (folder, bytes)
}

/// Whether these bytes open as a vault, without any file.
fn opens(bytes: &[u8]) -> bool {
    let Ok(document) = document::Document::parse(bytes) else {
        return false;
    };
    let Ok(kek) = host(HOST_KEY).unwrap().kek_for(&document.key) else {
        return false;
    };
    match kek.unwrap(&document.vault_id, &document.key) {
        Ok(Some(dek)) => document.verify(&dek),
        Ok(None) | Err(_) => false,
    }
}

#[test]
fn every_changed_bit_is_noticed() {
    let (_folder, bytes) = alone();
    assert!(opens(&bytes));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(!opens(&changed), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn every_truncation_and_every_addition_is_noticed() {
    let (_folder, bytes) = alone();
    for length in 0..bytes.len() {
        assert!(!opens(&bytes[..length]), "{length} bytes");
    }
    for more in [&b"\n"[..], b" ", b"{}", b"\0"] {
        assert!(!opens(&[&bytes, more].concat()));
        assert!(!opens(&[more, &bytes].concat()));
    }
}

#[test]
fn entries_that_changed_places_are_noticed() {
    let (folder, bytes) = alone();
    let mut document = document::Document::parse(&bytes).unwrap();
    let owners: Vec<_> = document.entries.keys().cloned().collect();
    let [a, b] = owners.as_slice() else {
        panic!("{owners:?}");
    };
    let (of_a, of_b) = (document.entries[a].clone(), document.entries[b].clone());
    document.entries.insert(a.clone(), of_b);
    document.entries.insert(b.clone(), of_a);
    assert!(!opens(&document.bytes()), "the MAC is for the whole file");
    // Not even whoever has the key can make one secret pass for another's.
    let found = find(
        &Place::new(folder.path().to_owned()),
        &mut Opener::new(host(HOST_KEY)),
    );
    let State::Open(open) = found.unwrap().state else {
        panic!("it is open");
    };
    document.seal(&open.dek);
    std::fs::write(folder.path().join("vault.json"), document.bytes()).unwrap();
    let vault = opened(folder.path(), host(HOST_KEY));
    assert!(vault.status().problem.is_none());
    for profile in ["a", "b"] {
        let secret = vault.get(profile, PASSWORD, &address()).unwrap().unwrap();
        assert!(secret.is_err(), "{profile}");
    }
}

#[test]
fn a_damaged_file_is_put_aside_and_the_one_before_it_used() {
    let (folder, vault) = two_passwords();
    drop(vault);
    let main = folder.path().join("vault.json");
    let damaged = b"{ half of a".to_vec();
    std::fs::write(&main, &damaged).unwrap();
    let vault = opened(folder.path(), host(HOST_KEY));
    assert!(vault.status().recovered && vault.status().problem.is_none());
    assert_eq!(get(&vault, "a", PASSWORD).as_deref(), Some("one"));
    let aside = files(folder.path());
    assert!(
        aside
            .iter()
            .any(|(name, bytes)| name.starts_with("vault.json.corrupt-") && *bytes == damaged)
    );
    let again = opened(folder.path(), host(HOST_KEY));
    assert!(!again.status().recovered);
    set(&again, "b", PASSWORD, "two").unwrap();
}

#[test]
fn a_file_that_is_gone_is_made_of_its_backup() {
    let (folder, vault) = two_passwords();
    drop(vault);
    std::fs::remove_file(folder.path().join("vault.json")).unwrap();
    let vault = opened(folder.path(), host(HOST_KEY));
    assert_eq!(get(&vault, "a", PASSWORD).as_deref(), Some("one"));
    let other = opened(folder.path(), host(OTHER_KEY));
    assert!(matches!(
        other.status().problem,
        Some(VaultProblem::KeyMismatch { .. })
    ));
}

#[test]
fn when_both_are_damaged_both_are_put_aside_and_nothing_is_deleted() {
    let (folder, vault) = two_passwords();
    drop(vault);
    for name in ["vault.json", "vault.json.bak"] {
        std::fs::write(folder.path().join(name), format!("bad {name}")).unwrap();
    }
    let vault = opened(folder.path(), host(HOST_KEY));
    assert!(matches!(
        vault.status().problem,
        Some(VaultProblem::Corrupt { .. })
    ));
    assert!(set(&vault, "a", PASSWORD, "three").is_err());
    let kept: Vec<_> = files(folder.path()).into_values().collect();
    for name in ["vault.json", "vault.json.bak"] {
        assert!(kept.contains(&format!("bad {name}").into_bytes()), "{name}");
    }
    vault.unlock(None).unwrap();
    assert_eq!(vault.status().entries, 0);
    set(&vault, "a", PASSWORD, "three").unwrap();
}

#[test]
fn a_newer_vault_is_left_alone() {
    let (folder, bytes) = alone();
    let text = String::from_utf8(bytes).unwrap();
    let newer = text.replace("\"version\": 1", "\"version\": 2, \"more\": true");
    std::fs::write(folder.path().join("vault.json"), &newer).unwrap();
    let before = files(folder.path());
    let vault = opened(folder.path(), host(HOST_KEY));
    assert!(matches!(
        vault.status().problem,
        Some(VaultProblem::TooNew { version: 2 })
    ));
    assert!(set(&vault, "a", PASSWORD, "three").is_err());
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_file_that_asks_for_all_memory_or_next_to_nothing_is_damaged() {
    let text = include_str!("../../../../tests/data/vault/passphrase.json");
    assert!(document::Document::parse(text.as_bytes()).is_ok());
    for (was, is) in [
        ("\"m\": 65536", "\"m\": 1048577"),
        ("\"m\": 65536", "\"m\": 19455"),
        ("\"t\": 3", "\"t\": 17"),
        ("\"t\": 3", "\"t\": 1"),
        ("\"p\": 4", "\"p\": 17"),
        ("\"p\": 4", "\"p\": 0"),
        ("\"v\": 19", "\"v\": 16"),
    ] {
        let hostile = text.replace(was, is);
        assert_ne!(hostile, text);
        let parsed = document::Document::parse(hostile.as_bytes());
        assert_eq!(parsed, Err(document::Unreadable::Corrupt), "{is}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_parser_fail_otherwise(bytes in proptest::collection::vec(0_u8.., 0..400)) {
        let _ = document::Document::parse(&bytes);
    }

    #[test]
    fn what_is_read_is_written_again(at in 0_usize..2000, with in ".{0,12}") {
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        let bytes = BYTES.get_or_init(|| alone().1).clone();
        let mut text = String::from_utf8(bytes).unwrap();
        text.insert_str(at.min(text.len()), &with);
        if let Ok(document) = document::Document::parse(text.as_bytes()) {
            proptest::prop_assert_eq!(document.bytes(), text.as_bytes());
        }
    }
}
