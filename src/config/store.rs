//! The profiles of a project.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::error::{Error, Warning};
use super::file::{Content, Folder};
use super::id;
use super::profile::Profile;
use super::read::from_json;
use super::secrets::Secrets;
use super::validate::validate;

/// The profiles of a project, one file each, and their secrets. Clones share them.
///
/// Without a project, profiles live in memory.
///
/// File work runs on tokio's blocking threads. A write that was begun is finished even if the
/// future that asked for it is dropped; a read is thrown away.
#[derive(Debug, Clone)]
pub struct Store {
    place: Arc<Place>,
    locks: Arc<Locks>,
    secrets: Secrets,
}

/// A profile as it was found, or as it was saved.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Valid.
    pub profile: Profile,
    /// What the user should know about it.
    pub warnings: Vec<Warning>,
}

/// One file of the folder.
#[derive(Debug)]
pub struct Listed {
    /// The file's name without extension. Of a file that is not a profile's it may be no valid
    /// id.
    pub id: String,
    /// The profile, or what is wrong with the file.
    pub loaded: Result<Loaded, Error>,
}

/// The right to change one profile, from reading it to writing it. Held until dropped.
#[derive(Debug)]
#[must_use = "it is released at once"]
pub struct Lock {
    _guard: tokio::sync::OwnedMutexGuard<()>,
}

#[derive(Debug)]
struct Place {
    /// One write at a time, so that a generated id stays free until it is used.
    writing: Mutex<()>,
    kind: PlaceKind,
}

#[derive(Debug)]
enum PlaceKind {
    Folder(Folder),
    Memory(Mutex<BTreeMap<String, Profile>>),
}

/// Locks that somebody holds or waits for, by id in lower case.
#[derive(Debug, Default)]
struct Locks(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

// === impl Store ===

impl Store {
    /// The store of a project, or of nothing but memory. Touches no file.
    pub fn open(project_dir: Option<PathBuf>) -> Self {
        let kind = match project_dir {
            Some(project) => PlaceKind::Folder(Folder::new(project)),
            None => PlaceKind::Memory(Mutex::default()),
        };
        Self {
            place: Arc::new(Place {
                writing: Mutex::new(()),
                kind,
            }),
            locks: Arc::default(),
            secrets: Secrets::new(),
        }
    }

    /// The same profiles, with secrets that are kept in a vault.
    #[must_use]
    pub fn with_secrets(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// What is known of the secrets; what reads or writes files goes through
    /// [`Self::on_secrets`].
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// All profiles, by id. A file that cannot be read has its own error and hides no other.
    ///
    /// # Errors
    /// When the folder itself cannot be read.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        self.blocking(Place::list).await
    }

    /// One profile.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Corrupt`], [`Error::Refused`] or [`Error::Invalid`] when its
    /// file is not a valid profile; [`Error::Io`].
    pub async fn get(&self, id: &str) -> Result<Loaded, Error> {
        let id = id.to_owned();
        self.blocking(move |place| place.get(&id)).await
    }

    /// Checks and saves a profile, in place of an older one with its id. An empty id is replaced
    /// by a new one made from the name.
    ///
    /// Take [`Self::lock`] first when what is saved was read before.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Refused`], [`Error::Io`]: the older one is intact.
    pub async fn save(&self, profile: Profile) -> Result<Loaded, Error> {
        self.blocking(move |place| place.save(profile)).await
    }

    /// Reads, changes and saves a profile under its lock. Must not be called with the lock held.
    ///
    /// # Errors
    /// Those of [`Self::get`] and [`Self::save`], and those of `change`, which then changed
    /// nothing.
    pub async fn edit(
        &self,
        id: &str,
        change: impl FnOnce(&mut Profile) -> Result<(), Error> + Send + 'static,
    ) -> Result<Loaded, Error> {
        let lock = self.lock(id).await;
        let id = id.to_owned();
        self.blocking(move |place| {
            // Held here, so that it outlives the caller.
            let _lock = lock;
            let mut profile = place.get(&id)?.profile;
            change(&mut profile)?;
            profile.id = id;
            place.save(profile)
        })
        .await
    }

    /// Deletes a profile, even one whose file is corrupt, and its secrets. Take [`Self::lock`]
    /// first, so that an edit that is under way does not bring it back.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Io`].
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        let (id, secrets) = (id.to_owned(), self.secrets.clone());
        self.blocking(move |place| {
            let deleted = place.delete(&id);
            // A profile that could not be deleted keeps its secrets.
            if matches!(deleted, Ok(()) | Err(Error::NotFound { .. }))
                && let Err(error) = secrets.forget(&id)
            {
                // They are bound to its address, so nobody else gets them.
                tracing::warn!(%error, "the secrets of a deleted profile are still in the vault");
            }
            deleted
        })
        .await
    }

    /// Work on the secrets that may touch files.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn on_secrets<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Secrets) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let secrets = self.secrets.clone();
        self.blocking(move |_| work(&secrets)).await
    }

    /// Waits for the right to change the profile `id`. Those who wait get it in order.
    ///
    /// # Cancel safety
    /// A dropped future has no lock and no place in the row.
    pub async fn lock(&self, id: &str) -> Lock {
        let lock = self.locks.get(id);
        Lock {
            _guard: lock.lock_owned().await,
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Place) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (place, secrets) = (Arc::clone(&self.place), self.secrets.clone());
        let work = move || {
            // Whoever reads a profile goes on with the secrets that it has by now.
            secrets.refresh();
            work(&place)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                // A bug; it ends the request that it belongs to.
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => Err(Error::Io {
                    path: PathBuf::new(),
                    source: io::Error::other(cancelled),
                }),
            },
        }
    }
}

// === impl Place ===

impl Place {
    fn list(&self) -> Result<Vec<Listed>, Error> {
        let names = self.names()?;
        let mut all = Vec::with_capacity(names.len());
        for id in names {
            match self.get(&id) {
                // Deleted since.
                Err(Error::NotFound { .. }) => {}
                loaded => all.push(Listed { id, loaded }),
            }
        }
        Ok(all)
    }

    fn get(&self, id: &str) -> Result<Loaded, Error> {
        id::check(id)?;
        let not_found = || Error::NotFound { id: id.to_owned() };
        match &self.kind {
            PlaceKind::Folder(folder) => {
                let content = folder.read(id)?.ok_or_else(not_found)?;
                parse(id, folder.file(id), &content)
            }
            PlaceKind::Memory(profiles) => {
                let profile = lock(profiles).get(id).cloned().ok_or_else(not_found)?;
                let warnings = validate(&profile)?;
                Ok(Loaded { profile, warnings })
            }
        }
    }

    fn save(&self, mut profile: Profile) -> Result<Loaded, Error> {
        let _writing = lock(&self.writing);
        let names = self.names()?;
        let generated = profile.id.is_empty();
        loop {
            if generated {
                // Others may have taken an id since `names` was read; then it is tried again.
                profile.id = self.free_id(&profile.name, &names)?;
            }
            let warnings = validate(&profile)?;
            let id = profile.id.as_str();
            let is_alias = |name: &String| name != id && name.eq_ignore_ascii_case(id);
            if names.iter().any(is_alias) {
                return Err(Error::invalid(
                    "configId",
                    "differs only in upper and lower case from that of another profile",
                ));
            }
            match &self.kind {
                PlaceKind::Folder(folder) => {
                    let text = serde_json::to_string_pretty(&profile)
                        .map_err(|error| Error::io(folder.file(id))(error.into()))?;
                    if !folder.write(id, format!("{text}\n").as_bytes(), generated)? {
                        continue;
                    }
                }
                PlaceKind::Memory(profiles) => {
                    lock(profiles).insert(profile.id.clone(), profile.clone());
                }
            }
            return Ok(Loaded { profile, warnings });
        }
    }

    fn delete(&self, id: &str) -> Result<(), Error> {
        id::check(id)?;
        let _writing = lock(&self.writing);
        let was_there = match &self.kind {
            PlaceKind::Folder(folder) => folder.remove(id)?,
            PlaceKind::Memory(profiles) => lock(profiles).remove(id).is_some(),
        };
        if was_there {
            Ok(())
        } else {
            Err(Error::NotFound { id: id.to_owned() })
        }
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        match &self.kind {
            PlaceKind::Folder(folder) => folder.names(),
            PlaceKind::Memory(profiles) => Ok(lock(profiles).keys().cloned().collect()),
        }
    }

    fn free_id(&self, name: &str, names: &[String]) -> Result<String, Error> {
        let taken = |id: &str| {
            let listed = names.iter().any(|name| name.eq_ignore_ascii_case(id));
            listed
                || match &self.kind {
                    PlaceKind::Folder(folder) => folder.file(id).symlink_metadata().is_ok(),
                    PlaceKind::Memory(_) => false,
                }
        };
        id::generate(name, taken)
            .ok_or_else(|| Error::invalid("configId", "is required: no free one was found"))
    }
}

/// Makes a profile of a file's content. The file's name is the profile's id.
fn parse(id: &str, path: PathBuf, content: &Content) -> Result<Loaded, Error> {
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    let bytes = content.bytes.as_slice();
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    // The error's own text could quote the file.
    let value = serde_json::from_slice(bytes).map_err(|error| Error::Corrupt {
        path,
        line: error.line(),
    })?;
    let (mut profile, mut warnings) = from_json(value)?;
    if content.was_open_to_others {
        warnings.push(Warning::new(
            "",
            "The profile's file was open to other users of this computer; it was closed to them.",
        ));
    }
    if profile.id != id {
        if !profile.id.is_empty() {
            warnings.push(Warning::new(
                "id",
                "The file's name counts, not the id inside.",
            ));
        }
        id.clone_into(&mut profile.id);
    }
    warnings.extend(validate(&profile)?);
    Ok(Loaded { profile, warnings })
}

// === impl Locks ===

impl Locks {
    fn get(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = lock(&self.0);
        locks.retain(|_, lock| lock.strong_count() > 0);
        let id = id.to_ascii_lowercase();
        if let Some(held) = locks.get(&id).and_then(Weak::upgrade) {
            return held;
        }
        let new = Arc::default();
        locks.insert(id, Arc::downgrade(&new));
        new
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
