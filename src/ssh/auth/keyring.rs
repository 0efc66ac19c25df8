//! Keys that people have opened with a passphrase, for as long as any connect
//! is under way: one question serves every hop and every connect that needs the
//! file meanwhile.
//!
//! Whoever connects holds the keyring; when the last connect is over it is
//! dropped, and the keys wipe themselves.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::keys::PrivateKey;

use super::key_file::KeyFile;
use super::passphrase::{Asker, UnlockError};
use crate::ssh::flight::{Flight, Waiter};

/// Shared by all connects that are under way.
#[derive(Default)]
pub(in crate::ssh) struct Keyring(Mutex<HashMap<PathBuf, Slot>>);

enum Slot {
    /// A person is being asked.
    Asking(Flight<Unlocked>),
    Open(KeyFile, Arc<PrivateKey>),
}

/// What came of asking for a passphrase.
pub(super) type Unlocked = Result<Arc<PrivateKey>, UnlockError>;

/// What the keyring has for somebody who needs a key.
pub(super) enum Found {
    Open(Arc<PrivateKey>),
    /// The question that is open already, or a new one.
    Wait(Waiter<Unlocked>),
}

impl Keyring {
    /// The key of a file, if a person has opened it already.
    pub(super) fn opened(&self, file: &KeyFile) -> Option<Arc<PrivateKey>> {
        match self.slots().get(&file.path) {
            Some(Slot::Open(of, key)) if of.is_same(file) => Some(key.clone()),
            Some(Slot::Open(..) | Slot::Asking(_)) | None => None,
        }
    }

    /// The key of a file, after asking for its passphrase unless somebody does so already.
    pub(super) fn open_or_ask(self: &Arc<Self>, asker: Asker) -> Found {
        let mut slots = self.slots();
        let file = KeyFile::clone(&asker.file);
        match slots.get(&file.path) {
            Some(Slot::Open(of, key)) if of.is_same(&file) => return Found::Open(key.clone()),
            Some(Slot::Asking(flight)) => {
                if let Some(waiter) = flight.join() {
                    return Found::Wait(waiter);
                }
            }
            Some(Slot::Open(..)) | None => {}
        }
        let path = file.path.clone();
        let ring = Arc::clone(self);
        let (flight, waiter) = Flight::start(async move {
            let unlocked = asker.run().await;
            if let Ok(key) = &unlocked {
                let slot = Slot::Open(file.clone(), key.clone());
                ring.slots().insert(file.path.clone(), slot);
            }
            unlocked
        });
        slots.insert(path, Slot::Asking(flight));
        Found::Wait(waiter)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<PathBuf, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({})", self.slots().len())
    }
}
