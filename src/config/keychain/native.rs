//! macOS's Keychain and Windows's Credential Manager, by the keyring crates.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[cfg(target_os = "macos")]
use apple_native_keyring_store::keychain::Store;
use keyring_core::{CredentialStore, Entry, Error};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;
use tokio::time::timeout;
#[cfg(windows)]
use windows_native_keyring_store::Store;

use super::{Answer, Entries, KeychainProblem, PERSON, SERVICE};

/// The store of the user who runs this program.
pub(super) struct Native;

/// How many calls may wait for a person that nobody waits for any more: the system can't be told
/// to stop asking.
const WAITING: usize = 4;

impl Entries for Native {
    fn get<'a>(&'a self, account: &'a str) -> Answer<'a, Option<SecretString>> {
        Box::pin(on_entry(account, |entry| match entry.get_secret() {
            Ok(secret) => {
                let secret = Zeroizing::new(secret);
                let text = std::str::from_utf8(&secret).unwrap_or_default();
                Ok(Some(text.into()))
            }
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        }))
    }

    fn add<'a>(&'a self, account: &'a str, secret: &'a SecretString) -> Answer<'a, ()> {
        let secret = secret.clone();
        Box::pin(on_entry(account, move |entry| {
            entry.set_secret(secret.expose_secret().as_bytes())
        }))
    }

    fn remove<'a>(&'a self, account: &'a str) -> Answer<'a, ()> {
        Box::pin(on_entry(account, |entry| match entry.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(error),
        }))
    }
}

/// On a thread of its own, as it blocks for as long as a person thinks.
async fn on_entry<T: Send + 'static>(
    account: &str,
    work: impl FnOnce(&Entry) -> keyring_core::Result<T> + Send + 'static,
) -> Result<T, KeychainProblem> {
    static WAIT: AtomicUsize = AtomicUsize::new(0);
    if WAIT.fetch_add(1, Ordering::AcqRel) >= WAITING {
        WAIT.fetch_sub(1, Ordering::AcqRel);
        return Err(KeychainProblem::TimedOut);
    }
    let account = account.to_owned();
    let (answer, answered) = oneshot::channel();
    let thread = thread::Builder::new().name("keychain".into());
    let started = thread.spawn(move || {
        let store: keyring_core::Result<Arc<CredentialStore>> =
            Store::new().map(|store| store as _);
        let done = store
            .and_then(|store| Entry::new_in_store(&store, SERVICE, &account))
            .and_then(|entry| work(&entry));
        WAIT.fetch_sub(1, Ordering::AcqRel);
        // Nobody may be waiting any more.
        let _ = answer.send(done);
    });
    if let Err(error) = started {
        WAIT.fetch_sub(1, Ordering::AcqRel);
        return Err(KeychainProblem::failed(error.to_string()));
    }
    match timeout(PERSON, answered).await {
        Ok(Ok(done)) => done.map_err(|error| problem(&error)),
        Ok(Err(_)) => Err(KeychainProblem::failed("it gave no answer")),
        Err(_) => Err(KeychainProblem::TimedOut),
    }
}

fn problem(error: &Error) -> KeychainProblem {
    match error {
        Error::NoStorageAccess(_) => KeychainProblem::Refused,
        // Its own text shows what is in the entry.
        Error::BadEncoding(_) | Error::BadDataFormat(..) => {
            KeychainProblem::failed("what is in the entry is not what was put there")
        }
        error => KeychainProblem::failed(error.to_string()),
    }
}
