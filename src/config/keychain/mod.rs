//! The system's own store of secrets: Secret Service on Linux and the BSDs, Keychain on macOS,
//! Credential Manager on Windows. It keeps keys of vaults, for who has no host that does.
//!
//! An entry is written once and never overwritten: each key has an entry of its own, which is
//! named after it. A person may have to unlock the store first, so everything here may take as
//! long as [`ANSWER`] and [`PERSON`] allow, and holds no lock meanwhile.

#[cfg(any(target_os = "macos", windows))]
mod native;
mod problem;
#[cfg(all(unix, not(target_os = "macos")))]
pub(super) mod secret_service;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::SecretString;

pub use problem::KeychainProblem;

/// What entries are filed under; with the account's name it finds one.
pub const SERVICE: &str = "puffin-remote-llm";

/// How long the store itself may take to answer; it may have to be started.
const ANSWER: Duration = Duration::from_secs(25);

/// How long a person may take to unlock the store, or to allow the access.
const PERSON: Duration = Duration::from_secs(90);

/// The store of the user who runs this program. Clones are the same.
#[derive(Clone)]
pub struct Keychain(Arc<dyn Entries>);

/// What a store can do. A dropped future leaves nothing behind that asks or waits.
pub(super) trait Entries: Send + Sync {
    /// `None`: there is no such entry, though the store is open.
    fn get<'a>(&'a self, account: &'a str) -> Answer<'a, Option<SecretString>>;
    /// Makes an entry. There is none of that name.
    fn add<'a>(&'a self, account: &'a str, secret: &'a SecretString) -> Answer<'a, ()>;
    /// Removes an entry, if it is there.
    fn remove<'a>(&'a self, account: &'a str) -> Answer<'a, ()>;
}

pub(super) type Answer<'a, T> = BoxFuture<'a, Result<T, KeychainProblem>>;

impl Keychain {
    /// This system's. `variable` reads the environment: it says where the session's bus is.
    /// Nothing is opened yet.
    #[must_use]
    pub fn of_system(variable: impl Fn(&str) -> Option<String>) -> Self {
        #[cfg(all(unix, not(target_os = "macos")))]
        return Self::new(secret_service::SecretService::at(variable));
        #[cfg(any(target_os = "macos", windows))]
        {
            let _ = variable;
            Self::new(native::Native)
        }
        #[cfg(not(any(unix, windows)))]
        {
            let _ = variable;
            Self::new(None)
        }
    }

    pub(super) fn new(entries: impl Entries + 'static) -> Self {
        Self(Arc::new(entries))
    }

    pub(super) fn entries(&self) -> &dyn Entries {
        &*self.0
    }
}

/// Nothing of what is in it.
impl fmt::Debug for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keychain(..)")
    }
}

/// A system without a store that is known here.
#[cfg(not(any(unix, windows)))]
impl Entries for Option<std::convert::Infallible> {
    fn get<'a>(&'a self, _: &'a str) -> Answer<'a, Option<SecretString>> {
        Box::pin(async { Err(KeychainProblem::unavailable("this system has none")) })
    }

    fn add<'a>(&'a self, _: &'a str, _: &'a SecretString) -> Answer<'a, ()> {
        Box::pin(async { Err(KeychainProblem::unavailable("this system has none")) })
    }

    fn remove<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        Box::pin(async { Err(KeychainProblem::unavailable("this system has none")) })
    }
}
