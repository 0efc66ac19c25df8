//! A vault's key in the system's own store of secrets.
//!
//! Each key has an entry of its own, named after the key's id, which the vault's file has, too. So
//! no entry is ever overwritten: whatever fails between the two, the file that is there opens with
//! the entry that it names. Nothing here holds a lock while the store is asked, and perhaps a
//! person by it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::cipher::Key;
use super::key::{Credential, Kek};
use super::problem::{KeySource, VaultProblem};
use super::state::{self, Wanted};
use super::{Vault, lock};
use crate::config::keychain::{Keychain, KeychainProblem};

/// How long an entry that is of no more use may take to be removed.
const CLEANING: Duration = Duration::from_secs(10);

/// What the system's store gave for a vault, or was given to keep.
#[derive(Debug)]
pub struct KeptKey {
    credential: Credential,
    /// The entry that was made for it just now.
    made: Option<String>,
}

impl KeptKey {
    /// For a person who did not want to wait: a vault stays locked by it.
    #[must_use]
    pub fn given_up() -> Self {
        Self::of(None)
    }

    /// What opens the vault, or tells why it stays locked.
    #[must_use]
    pub fn credential(&self) -> Credential {
        self.credential.clone()
    }

    /// Makes a key, and an entry for it.
    ///
    /// # Errors
    /// There is no such entry.
    pub async fn make(keychain: &Keychain) -> Result<Self, VaultProblem> {
        let key = Key::random().map_err(|error| KeychainProblem::failed(error.to_string()))?;
        let account = account(id(&key));
        let text = to_text(&key);
        keychain.entries().add(&account, &text).await?;
        // A key that is not there tomorrow takes all secrets with it.
        let kept = keychain.entries().get(&account).await?;
        if kept.is_none_or(|kept| kept.expose_secret() != text.expose_secret()) {
            let reason = "it does not give back what it was given";
            return Err(KeychainProblem::failed(reason).into());
        }
        Ok(Self {
            made: Some(account),
            ..Self::of(Some(Ok(key)))
        })
    }

    /// Takes back the entry that was made for it, if there was one: nothing was locked with it.
    /// `true`: there was one.
    pub async fn take_back(self, keychain: &Keychain) -> bool {
        match self.made {
            Some(account) => {
                remove(keychain, &account).await;
                true
            }
            None => false,
        }
    }

    fn of(given: Option<Result<Key, KeychainProblem>>) -> Self {
        Self {
            credential: Credential::kept(given),
            made: None,
        }
    }
}

impl Vault {
    /// Asks the store for the vault's key. Where there is no vault, one is made, and where the
    /// vault has its key elsewhere, nothing is asked.
    pub async fn kept_key(self: &Arc<Self>, keychain: &Keychain) -> KeptKey {
        let vault = Arc::clone(self);
        let wanted = tokio::task::spawn_blocking(move || state::wanted(&vault.place)).await;
        let asked = match wanted {
            Ok(Ok(Wanted::Key(id))) => KeptKey::of(Some(ask(keychain, id).await)),
            Ok(Ok(Wanted::New)) => match KeptKey::make(keychain).await {
                Ok(made) => made,
                Err(VaultProblem::Keychain(problem)) => KeptKey::of(Some(Err(problem))),
                Err(_) => KeptKey::given_up(),
            },
            // Opening it tells what is wrong with its files.
            Ok(Ok(Wanted::Nothing) | Err(_)) | Err(_) => KeptKey::given_up(),
        };
        if let Err(problem) = asked.credential.check() {
            tracing::debug!("no key of the system's key store: {problem}");
        }
        asked
    }

    /// Whether it is opened by the system's store, as far as this process was told. Blocks for as
    /// long as somebody writes.
    #[must_use]
    pub fn asks_keychain(&self) -> bool {
        lock(&self.opener).source() == Some(KeySource::Keychain)
    }

    /// The entry of the store that has the key of the vault as it is known.
    #[must_use]
    pub fn keychain_account(&self) -> Option<String> {
        let found = self.found();
        let slot = &found.document()?.key;
        (slot.source == KeySource::Keychain).then(|| account(slot.kek_id.0))
    }

    /// Removes an entry that the vault had before its key was changed. What can't be removed stays,
    /// and opens nothing any more.
    pub async fn forget_account(&self, keychain: &Keychain, account: &str) {
        if self.keychain_account().as_deref() != Some(account) {
            remove(keychain, account).await;
        }
    }
}

async fn ask(keychain: &Keychain, id: [u8; 8]) -> Result<Key, KeychainProblem> {
    let account = account(id);
    let Some(text) = keychain.entries().get(&account).await? else {
        return Err(KeychainProblem::Missing { account });
    };
    match of_text(&text) {
        Some(key) if self::id(&key) == id => Ok(key),
        Some(_) | None => Err(KeychainProblem::Wrong { account }),
    }
}

/// Nobody has to unlock the store for this: what it was about is done.
async fn remove(keychain: &Keychain, account: &str) {
    let removed = timeout(CLEANING, keychain.entries().remove(account)).await;
    if let Err(problem) = removed.unwrap_or(Err(KeychainProblem::TimedOut)) {
        tracing::warn!("the key store's entry {account} is of no more use, and stays: {problem}");
    }
}

fn id(key: &Key) -> [u8; 8] {
    Kek::plain(KeySource::Keychain, key).id()
}

/// The entry's name.
fn account(id: [u8; 8]) -> String {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("vault-{hex}")
}

/// Stores of all systems keep text.
fn to_text(key: &Key) -> SecretString {
    STANDARD.encode(key.bytes()).into()
}

fn of_text(text: &SecretString) -> Option<Key> {
    let bytes = Zeroizing::new(STANDARD.decode(text.expose_secret()).ok()?);
    Key::from_slice(&bytes)
}
