//! The vault: secrets that outlive the daemon, sealed, in the user's own data folder.
//!
//! A random key, the data key, seals every secret and vouches for the whole file; it is in the
//! file itself, wrapped by a key that is not: the host's, one made of a passphrase, or one in the
//! system's own store ([`kept`]). An entry opens only under its own profile and field and for the address that it was set for.
//!
//! Reading a secret touches no file: [`Vault::refresh`] does, and everything that writes.

mod cipher;
mod document;
mod entry;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod kept;
mod key;
mod place;
mod problem;
mod state;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};

pub(super) use cipher::Broken;
use cipher::{Key, sha256};
use document::Entry;
pub(super) use entry::Address;
use entry::Label;
pub use kept::KeptKey;
pub use key::Credential;
use place::{Place, Which};
pub use problem::{KeySource, VaultProblem};
use state::{Found, Opener, State};

/// The longest secret that is kept. Longer ones live as long as the daemon.
const SECRET_BYTES: usize = 64 * 1024;

/// The secrets of all the user's projects, seen from one of them.
#[derive(Debug)]
pub struct Vault {
    place: Place,
    project: PathBuf,
    /// Of the project, in names of owners; known once the vault was opened.
    scope: OnceLock<String>,
    /// What it is opened with. Held by whoever reads or writes files.
    opener: Mutex<Opener>,
    /// What is known of the files. Held for moments only.
    found: Mutex<Arc<Found>>,
}

/// What may be told of a vault.
#[derive(Debug, Clone)]
pub struct VaultStatus {
    /// `None`: there is none.
    pub vault_id: Option<String>,
    /// What it opens with.
    pub key: Option<KeySource>,
    /// How many secrets are in it, of all projects.
    pub entries: usize,
    /// Why it is not open, if it is there.
    pub problem: Option<VaultProblem>,
    /// Its file was damaged, and this is what was there before the last change.
    pub recovered: bool,
}

/// What becomes of one secret.
#[derive(Debug)]
pub(super) struct NewEntry {
    pub(super) field: String,
    /// `None`: it is removed.
    pub(super) secret: Option<(Address, SecretString)>,
}

// === impl Vault ===

impl Vault {
    /// A vault in the user's data folder; `project` is whose profiles are asked for. Touches no
    /// file, and has no secrets until [`Self::open`].
    #[must_use]
    pub fn new(data_dir: &Path, project: PathBuf) -> Self {
        Self {
            place: Place::new(data_dir.to_owned()),
            project,
            scope: OnceLock::new(),
            opener: Mutex::default(),
            found: Mutex::default(),
        }
    }

    /// Opens it, or makes it if there is none; without a credential it stays locked, or is none
    /// at all. Never fails: [`VaultStatus::problem`] tells. Blocks, for 0.1 s with a passphrase.
    pub fn open(&self, credential: Option<Credential>) {
        // First: whoever waits for the scope waits for what is found, too.
        let mut opener = lock(&self.opener);
        let project = fs::canonicalize(&self.project).unwrap_or_else(|_| self.project.clone());
        let digest = sha256(project.as_os_str().as_encoded_bytes());
        let scope = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        // Opened once; the project stays where it is.
        let _ = self.scope.set(scope.collect());
        *opener = Opener::new(credential);
        self.load(&mut opener);
    }

    /// Opens a locked vault; without a credential, with that of [`Self::open`] again. Blocks.
    ///
    /// # Errors
    /// Why it is still locked. One that is open stays open.
    pub fn unlock(&self, credential: Option<Credential>) -> Result<(), VaultProblem> {
        let mut opener = lock(&self.opener);
        let mut tried = match credential {
            Some(credential) => Opener::new(Some(credential)),
            None => opener.clone(),
        };
        let found = state::find(&self.place, &mut tried)?;
        match &found.state {
            State::Open(_) => {
                *opener = tried;
                self.set(found);
                Ok(())
            }
            State::Locked { problem, .. } => {
                let problem = problem.clone();
                if !self.found().is_open() {
                    self.set(found);
                }
                Err(problem)
            }
            State::None => Err(VaultProblem::NoVault),
        }
    }

    /// Notices what another process has written. Blocks: until it was opened, then for a moment.
    pub fn refresh(&self) {
        self.scope.wait();
        let mut opener = lock(&self.opener);
        if self.found().stamp != self.place.stamp() {
            self.load(&mut opener);
        }
    }

    /// What may be told of it.
    #[must_use]
    pub fn status(&self) -> VaultStatus {
        self.found().status()
    }

    /// Gives it a new data key, and, where a credential is given, another lock. Blocks.
    ///
    /// # Errors
    /// It is as it was.
    pub fn rotate(&self, credential: Option<Credential>) -> Result<(), VaultProblem> {
        if let Some(credential) = &credential {
            credential.check()?;
        }
        let mut opener = lock(&self.opener);
        self.found().check_open()?;
        let held = self.place.hold()?;
        let mut open =
            state::latest(&self.place, &held, &mut opener, &self.found())?.into_open()?;
        let failed = || VaultProblem::io(self.place.path(Which::Main));
        let kek = match &credential {
            Some(credential) => credential.new_kek().map_err(failed())?,
            None => open.kek.clone(),
        };
        let dek = Key::random().map_err(failed())?;
        let document = &mut open.document;
        for (owner, entries) in &mut document.entries {
            for (field, entry) in entries {
                let label = Label {
                    vault_id: &document.vault_id,
                    owner,
                    field,
                };
                *entry = entry.reseal(&open.dek, &dek, label).map_err(failed())?;
            }
        }
        document.key = kek.wrap(&document.vault_id, &dek).map_err(failed())?;
        document.seal(&dek);
        open.dek = dek;
        open.kek = kek;
        // The old key must open nothing that is left.
        let stamp = held.replace_both(&open.document.bytes())?;
        if credential.is_some() {
            *opener = Opener::new(credential);
        }
        opener.know(&open.kek);
        self.set(Found::open(stamp, open));
        Ok(())
    }

    /// Puts the vault aside, and makes an empty one if there is a credential. Nothing is
    /// deleted. Blocks.
    ///
    /// # Errors
    /// [`VaultProblem::OtherVault`] if `confirm` is not its id; [`VaultProblem::NoVault`].
    pub fn reset(&self, confirm: &str) -> Result<(), VaultProblem> {
        let mut opener = lock(&self.opener);
        {
            let held = self.place.hold()?;
            let found = state::latest(&self.place, &held, &mut opener, &self.found())?;
            let status = found.status();
            match (status.vault_id, status.problem) {
                (Some(id), _) if id == confirm => {}
                (Some(_), _) => return Err(VaultProblem::OtherVault),
                (None, problem) => return Err(problem.unwrap_or(VaultProblem::NoVault)),
            }
            // The backup first: what is left alone in between is the vault itself.
            held.put_aside(Which::Backup, "reset")?;
            held.put_aside(Which::Main, "reset")?;
        }
        self.load(&mut opener);
        Ok(())
    }

    /// One secret of a profile; `None` if there is none.
    ///
    /// # Errors
    /// Why it can't be read; [`Broken`] inside if it is for another address.
    pub(super) fn get(
        &self,
        config_id: &str,
        field: &str,
        address: &Address,
    ) -> Result<Option<Result<SecretString, Broken>>, VaultProblem> {
        let found = self.found();
        let Some(owner) = self.owner(config_id) else {
            return Ok(None);
        };
        let Some(entry) = found.entry(&owner, field) else {
            return Ok(None);
        };
        match &found.state {
            State::Open(open) => {
                let label = Label {
                    vault_id: &open.document.vault_id,
                    owner: &owner,
                    field,
                };
                Ok(Some(entry.open_for(&open.dek, label, address)))
            }
            State::Locked { problem, .. } => Err(problem.clone()),
            State::None => Ok(None),
        }
    }

    /// Which secrets a profile has, also while it is locked.
    pub(super) fn fields(&self, config_id: &str) -> BTreeSet<String> {
        let found = self.found();
        self.owner(config_id)
            .and_then(|owner| found.document()?.entries.get(&owner))
            .map(|entries| entries.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether secrets can be kept.
    pub(super) fn is_open(&self) -> bool {
        self.found().is_open()
    }

    /// Changes secrets of a profile, all or none. Blocks, for up to 2 s.
    ///
    /// # Errors
    /// Nothing was changed.
    pub(super) fn change(
        &self,
        config_id: &str,
        changes: Vec<NewEntry>,
    ) -> Result<(), VaultProblem> {
        let Some(owner) = self.owner(config_id) else {
            return Err(VaultProblem::NoVault);
        };
        let mut opener = lock(&self.opener);
        self.found().check_open()?;
        let held = self.place.hold()?;
        let latest = state::latest(&self.place, &held, &mut opener, &self.found())?;
        let mut open = latest.into_open()?;
        let (mut is_new, mut removed) = (false, false);
        let document = &mut open.document;
        for NewEntry { field, secret } in changes {
            let entries = document.entries.entry(owner.clone()).or_default();
            let Some((address, secret)) = secret else {
                removed |= entries.remove(&field).is_some();
                continue;
            };
            let secret = secret.expose_secret().as_bytes();
            if secret.len() > SECRET_BYTES {
                return Err(VaultProblem::TooLong);
            }
            let label = Label {
                vault_id: &document.vault_id,
                owner: &owner,
                field: &field,
            };
            let entry = Entry::seal(&open.dek, label, address.digest(), secret)
                .map_err(VaultProblem::io(self.place.path(Which::Main)))?;
            entries.insert(field, entry);
            is_new = true;
        }
        document.entries.retain(|_, entries| !entries.is_empty());
        if !is_new && !removed {
            return Ok(());
        }
        document.seal(&open.dek);
        let bytes = document.bytes();
        let stamp = match removed {
            true => held.replace_both(&bytes)?,
            false => held.replace(&bytes)?,
        };
        self.set(Found::open(stamp, open));
        Ok(())
    }

    /// Removes all secrets of a profile. Blocks, for up to 2 s.
    ///
    /// # Errors
    /// They are all there.
    pub(super) fn forget(&self, config_id: &str) -> Result<(), VaultProblem> {
        let fields = self.fields(config_id);
        if fields.is_empty() {
            return Ok(());
        }
        let removed = fields.into_iter().map(|field| NewEntry {
            field,
            secret: None,
        });
        self.change(config_id, removed.collect())
    }

    /// A profile of this project, among those of all.
    fn owner(&self, config_id: &str) -> Option<String> {
        Some(format!("{config_id}@{}", self.scope.get()?))
    }

    fn load(&self, opener: &mut Opener) {
        let found = state::find(&self.place, opener).unwrap_or_else(Found::failed);
        if let Some(problem) = found.status().problem {
            tracing::warn!("the vault is not open: {problem}");
        }
        self.set(found);
    }

    fn found(&self) -> Arc<Found> {
        Arc::clone(&lock(&self.found))
    }

    fn set(&self, found: Found) {
        *lock(&self.found) = Arc::new(found);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
