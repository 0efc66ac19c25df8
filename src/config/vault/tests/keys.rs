//! What opens a vault, and what does not.

use std::time::{Duration, Instant};

use super::document::{Document, Kdf};
use super::*;

#[test]
fn another_key_opens_nothing_and_changes_nothing() {
    let (folder, _) = two_passwords();
    let before = files(folder.path());
    for credential in [host(OTHER_KEY), passphrase("guessed"), None] {
        let is_host = matches!(&credential, Some(c) if format!("{c:?}").contains("Host"));
        let vault = opened(folder.path(), credential);
        let problem = vault.status().problem.unwrap();
        match is_host {
            true => assert!(matches!(problem, VaultProblem::KeyMismatch { .. })),
            false => assert!(matches!(problem, VaultProblem::Locked { .. })),
        }
        assert!(vault.get("a", PASSWORD, &address()).is_err());
        assert!(vault.fields("a").contains(PASSWORD));
        assert!(set(&vault, "a", PASSWORD, "three").is_err());
        assert!(vault.rotate(None).is_err());
        assert_eq!(files(folder.path()), before);
    }
}

#[test]
fn a_passphrase_opens_what_it_closed() {
    let folder = tempfile::tempdir().unwrap();
    let vault = opened(folder.path(), passphrase("correct horse"));
    set(&vault, "a", PASSWORD, "one").unwrap();
    let vault = opened(folder.path(), None);
    assert!(vault.unlock(passphrase("wrong horse")).is_err());
    assert!(vault.get("a", PASSWORD, &address()).is_err());
    vault.unlock(passphrase("correct horse")).unwrap();
    assert_eq!(get(&vault, "a", PASSWORD).as_deref(), Some("one"));
    // What is open stays so.
    assert!(vault.unlock(passphrase("wrong horse")).is_err());
    assert_eq!(get(&vault, "a", PASSWORD).as_deref(), Some("one"));
}

#[test]
fn a_rotation_leaves_no_byte_that_the_old_data_key_opens() {
    let (folder, vault) = two_passwords();
    let other = opened(folder.path(), host(HOST_KEY));
    let old = vault.found();
    let State::Open(old) = &old.state else {
        panic!("it is open");
    };
    vault.rotate(None).unwrap();
    assert_eq!(get(&vault, "a", PASSWORD).as_deref(), Some("one"));
    for which in ["vault.json", "vault.json.bak"] {
        let bytes = std::fs::read(folder.path().join(which)).unwrap();
        let document = document::Document::parse(&bytes).unwrap();
        assert!(!document.verify(&old.dek), "{which}");
        assert_ne!(document.key.wrap, old.document.key.wrap);
    }
    other.refresh();
    assert_eq!(get(&other, "b", PASSWORD).as_deref(), Some("two"));
}

#[test]
fn a_rotation_can_change_what_opens_the_vault() {
    let (folder, vault) = two_passwords();
    let other = opened(folder.path(), host(HOST_KEY));
    vault.rotate(passphrase("from now on")).unwrap();
    assert_eq!(vault.status().key, Some(KeySource::Passphrase));
    other.refresh();
    assert!(other.status().problem.is_some());
    other.unlock(passphrase("from now on")).unwrap();
    assert_eq!(get(&other, "a", PASSWORD).as_deref(), Some("one"));
    other.rotate(host(OTHER_KEY)).unwrap();
    let vault = opened(folder.path(), host(OTHER_KEY));
    assert_eq!(get(&vault, "b", PASSWORD).as_deref(), Some("two"));
}

#[test]
fn a_reset_wants_the_vaults_id_and_deletes_nothing() {
    let (folder, vault) = two_passwords();
    let id = vault.status().vault_id.unwrap();
    let main = std::fs::read(folder.path().join("vault.json")).unwrap();
    assert!(matches!(
        vault.reset("something else"),
        Err(VaultProblem::OtherVault)
    ));
    vault.reset(&id).unwrap();
    assert_eq!(vault.status().entries, 0);
    assert_ne!(vault.status().vault_id.unwrap(), id);
    set(&vault, "a", PASSWORD, "three").unwrap();
    let files = files(folder.path());
    assert!(
        files
            .iter()
            .any(|(name, bytes)| name.starts_with("vault.json.reset-") && *bytes == main)
    );
}

#[test]
fn a_reset_without_a_key_leaves_no_vault() {
    let (folder, _) = two_passwords();
    let vault = opened(folder.path(), None);
    vault.reset(&vault.status().vault_id.unwrap()).unwrap();
    assert!(vault.status().vault_id.is_none() && vault.status().problem.is_none());
}

#[test]
fn a_credential_shows_only_its_kind() {
    let shown = format!("{:?} {:?}", host(HOST_KEY), passphrase("canary"));
    assert_eq!(shown, "Some(Credential(Host)) Some(Credential(Passphrase))");
    for bad in ["", "AAAA", "not base64", &HOST_KEY[1..]] {
        assert!(Credential::host_key(&bad.into()).is_none(), "{bad}");
    }
    assert!(Credential::passphrase("".into()).is_none());
}

fn kdf_of(folder: &Path) -> Kdf {
    let bytes = std::fs::read(folder.join("vault.json")).unwrap();
    Document::parse(&bytes).unwrap().key.kdf.unwrap()
}

/// The quickest of several tries: what other programs take is not meant.
fn quickest(mut work: impl FnMut()) -> Duration {
    let times = (0..12).map(|_| {
        let began = Instant::now();
        work();
        began.elapsed()
    });
    times.min().unwrap()
}

#[test]
fn a_guess_at_a_passphrase_costs_a_tenth_of_a_second_and_a_host_s_key_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    opened(folder.path(), passphrase("correct horse"));
    let made = began.elapsed();
    let Kdf { m, t, p, .. } = kdf_of(folder.path());
    let by_passphrase = quickest(|| {
        let vault = opened(folder.path(), passphrase("correct horse"));
        assert!(vault.status().problem.is_none());
    });
    let (of_host, vault) = two_passwords();
    drop(vault);
    let by_host = quickest(|| {
        let vault = opened(of_host.path(), host(HOST_KEY));
        assert!(vault.status().problem.is_none());
    });
    eprintln!(
        "measured: m {m} KiB, t {t}, p {p}: made in {made:?}, opened in {by_passphrase:?}; \
         with a host's key in {by_host:?}"
    );
    assert!(m >= 64 << 10 && t >= 3 && p >= 4);
    // What was measured when it was made may have been slowed down by something else.
    assert!(
        by_passphrase >= Duration::from_millis(50),
        "{by_passphrase:?}"
    );
    assert!(by_host < Duration::from_millis(5), "{by_host:?}");
}

#[test]
fn a_fast_machine_makes_a_dear_passphrase_and_none_a_cheap_one() {
    // Of a machine that takes so long for 64 MiB and three passes.
    let settled = |first: Duration| {
        let folder = tempfile::tempdir().unwrap();
        opened(folder.path(), passphrase("p"));
        let mut kdf = Kdf {
            m: 64 << 10,
            t: 3,
            ..kdf_of(folder.path())
        };
        let took = |kdf: &Kdf| first * kdf.t * (kdf.m >> 16) / 3;
        while let Some(dearer) = kdf.dearer(took(&kdf)) {
            assert!(took(&dearer) > took(&kdf));
            kdf = dearer;
        }
        (kdf.m >> 10, kdf.t, took(&kdf))
    };
    let ms = Duration::from_millis;
    assert_eq!(settled(ms(2000)), (64, 3, ms(2000)));
    assert_eq!(settled(ms(100)), (64, 3, ms(100)));
    assert_eq!(settled(ms(60)), (64, 7, ms(140)));
    let (m, t, took) = settled(ms(12));
    assert_eq!((m, t), (128, 16));
    assert!(took >= ms(100), "{took:?}");
    // Faster than anything: the ceiling, and an end.
    assert_eq!(settled(Duration::from_micros(1)).0, 256);
}
