//! A vault whose key is in a store of the test's own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::*;
use crate::config::keychain::{Answer, Entries, Keychain, KeychainProblem};

/// Entries in memory. Clones are the same.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    entries: HashMap<String, SecretString>,
    /// What it answers instead.
    problem: Option<KeychainProblem>,
    forgets: bool,
    calls: usize,
}

impl Store {
    fn keychain(&self) -> Keychain {
        Keychain::new(self.clone())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }

    fn called(&self) -> Result<MutexGuard<'_, Kept>, KeychainProblem> {
        let mut kept = self.kept();
        kept.calls += 1;
        match kept.problem.clone() {
            Some(problem) => Err(problem),
            None => Ok(kept),
        }
    }
}

impl Entries for Store {
    fn get<'a>(&'a self, account: &'a str) -> Answer<'a, Option<SecretString>> {
        Box::pin(async { Ok(self.called()?.entries.get(account).cloned()) })
    }

    fn add<'a>(&'a self, account: &'a str, secret: &'a SecretString) -> Answer<'a, ()> {
        Box::pin(async {
            let mut kept = self.called()?;
            if !kept.forgets {
                let before = kept.entries.insert(account.to_owned(), secret.clone());
                assert!(before.is_none(), "nothing is overwritten");
            }
            Ok(())
        })
    }

    fn remove<'a>(&'a self, account: &'a str) -> Answer<'a, ()> {
        Box::pin(async {
            self.called()?.entries.remove(account);
            Ok(())
        })
    }
}

/// A vault that was opened by the store.
async fn kept(folder: &Path, store: &Store) -> Arc<Vault> {
    let vault = Arc::new(Vault::new(folder, "/project".into()));
    let key = vault.kept_key(&store.keychain()).await;
    vault.open(Some(key.credential()));
    vault
}

#[tokio::test]
async fn a_key_of_the_store_opens_what_it_closed() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Store::default());
    let vault = kept(folder.path(), &store).await;
    set(&vault, "a", PASSWORD, "one").unwrap();
    let entry = vault.keychain_account().unwrap();
    assert!(store.kept().entries.contains_key(&entry));
    let vault = kept(folder.path(), &store).await;
    assert_eq!(get(&vault, "a", PASSWORD).as_deref(), Some("one"));
    assert_eq!(vault.status().key, Some(KeySource::Keychain));
    assert_eq!(store.kept().entries.len(), 1);
    let key = vault.kept_key(&store.keychain()).await;
    let secret = store.kept().entries[&entry].expose_secret().to_owned();
    assert!(!format!("{vault:?}{key:?}").contains(&secret));
}

#[tokio::test]
async fn a_store_that_fails_locks_the_vault_and_changes_no_file() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Store::default());
    set(&*kept(folder.path(), &store).await, "a", PASSWORD, "one").unwrap();
    let before = files(folder.path());
    for problem in [
        KeychainProblem::unavailable("no bus"),
        KeychainProblem::Refused,
        KeychainProblem::TimedOut,
        KeychainProblem::failed("?"),
    ] {
        store.kept().problem = Some(problem.clone());
        let vault = kept(folder.path(), &store).await;
        let told = vault.status().problem;
        assert!(matches!(told, Some(VaultProblem::Keychain(told)) if told == problem));
        assert!(vault.get("a", PASSWORD, &address()).is_err());
        assert!(set(&vault, "a", PASSWORD, "two").is_err());
        store.kept().problem = None;
        let key = vault.kept_key(&store.keychain()).await;
        vault.unlock(Some(key.credential())).unwrap();
        assert_eq!(get(&vault, "a", PASSWORD).as_deref(), Some("one"));
    }
    assert_eq!(files(folder.path()), before);
}

#[tokio::test]
async fn a_store_that_forgets_at_once_has_no_vault_made_for_it() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Store::default());
    store.kept().forgets = true;
    let vault = kept(folder.path(), &store).await;
    let problem = vault.status().problem;
    let failed = VaultProblem::Keychain(KeychainProblem::failed(""));
    let is_failed =
        |problem: &VaultProblem| std::mem::discriminant(problem) == std::mem::discriminant(&failed);
    assert!(problem.as_ref().is_some_and(is_failed), "{problem:?}");
    assert!(!folder.path().join("vault.json").exists());
}

#[tokio::test]
async fn a_vault_with_its_key_elsewhere_asks_no_store_and_makes_no_entry() {
    let (folder, vault) = two_passwords();
    drop(vault);
    let store = Store::default();
    let vault = kept(folder.path(), &store).await;
    let problem = vault.status().problem;
    let needs = KeySource::Host;
    assert!(matches!(problem, Some(VaultProblem::Locked { needs: of }) if of == needs));
    // Nor does one that is damaged: a key beside it would be one too many.
    std::fs::write(folder.path().join("vault.json"), "{").unwrap();
    std::fs::remove_file(folder.path().join("vault.json.bak")).unwrap();
    let vault = kept(folder.path(), &store).await;
    let problem = vault.status().problem;
    assert!(
        matches!(problem, Some(VaultProblem::Corrupt { .. })),
        "{problem:?}"
    );
    assert_eq!(store.kept().calls, 0);
}

#[tokio::test]
async fn another_windows_new_key_is_asked_for_and_not_called_wrong() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Store::default());
    let vault = kept(folder.path(), &store).await;
    set(&vault, "a", PASSWORD, "one").unwrap();
    let other = kept(folder.path(), &store).await;
    let old = other.keychain_account().unwrap();
    let key = KeptKey::make(&store.keychain()).await.unwrap();
    other.rotate(Some(key.credential())).unwrap();
    other.forget_account(&store.keychain(), &old).await;
    assert_eq!(store.kept().entries.len(), 1);
    vault.refresh();
    let problem = vault.status().problem;
    assert!(
        matches!(problem, Some(VaultProblem::Locked { .. })),
        "{problem:?}"
    );
    let key = vault.kept_key(&store.keychain()).await;
    vault.unlock(Some(key.credential())).unwrap();
    assert_eq!(get(&vault, "a", PASSWORD).as_deref(), Some("one"));
}

#[tokio::test]
async fn a_backup_is_used_with_the_key_that_it_names() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Store::default());
    let vault = kept(folder.path(), &store).await;
    set(&vault, "a", PASSWORD, "one").unwrap();
    set(&vault, "b", PASSWORD, "two").unwrap();
    drop(vault);
    std::fs::write(folder.path().join("vault.json"), "{").unwrap();
    let vault = kept(folder.path(), &store).await;
    assert!(vault.status().recovered);
    assert_eq!(get(&vault, "a", PASSWORD).as_deref(), Some("one"));
    assert_eq!(store.kept().entries.len(), 1);
}
