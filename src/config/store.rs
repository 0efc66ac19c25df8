//! The profiles of a project.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Error, Warning};
use super::profile::Profile;
use super::secrets::Secrets;

mod place;

use place::{Memory, Place, Project};

/// The profiles of a project, one file each, and their secrets. Clones share them.
///
/// Without a project, profiles live in memory.
///
/// File work runs on tokio's blocking threads. A write that was begun is finished even if the
/// future that asked for it is dropped; a read is thrown away.
#[derive(Debug, Clone)]
pub struct Store {
    place: Arc<Place>,
    turn: Arc<tokio::sync::Mutex<()>>,
    secrets: Secrets,
}

/// A profile as it was found, or as it was saved.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Valid.
    pub profile: Profile,
    /// What the user should know about it.
    pub warnings: Vec<Warning>,
    /// Whether it may be used.
    pub trust: Trust,
}

/// Whether a profile may be used: only as this user saved or approved of it on this machine.
/// Until then it is a form that somebody else filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The verdict.
    pub trusted: bool,
    /// Of all that the profile says. [`Store::trust`] has to name it.
    pub digest: String,
}

/// One file of the folder.
#[derive(Debug)]
pub struct Listed {
    /// The file's name without extension. Of a file that is not a profile's it may be no valid
    /// id; it can be shown all the same.
    pub id: String,
    /// The profile, or what is wrong with the file.
    pub loaded: Result<Loaded, Error>,
}

/// What somebody else did to a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is new, or not what it was; or it was trusted.
    Saved,
    /// It is gone.
    Deleted,
}

/// The right to change profiles, from reading one to writing it; other processes wait for it,
/// too. Held until the last clone is dropped.
#[derive(Debug, Clone)]
#[must_use = "it is released at once"]
pub struct Lock {
    _held: Arc<(Option<std::fs::File>, tokio::sync::OwnedMutexGuard<()>)>,
}

// === impl Store ===

impl Store {
    /// The store of a project, whose approvals are kept in the user's own data folder, or of
    /// nothing but memory. Touches no file.
    pub fn open(project_dir: Option<PathBuf>, data_dir: &Path) -> Self {
        let place = match project_dir {
            Some(project) => Place::Project(Project::new(project, data_dir)),
            None => Place::Memory(Memory::default()),
        };
        Self {
            place: Arc::new(place),
            turn: Arc::default(),
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

    /// One profile that may be used.
    ///
    /// # Errors
    /// [`Error::Untrusted`], and those of [`Self::get`].
    pub async fn trusted(&self, id: &str) -> Result<Profile, Error> {
        self.get(id).await?.trusted()
    }

    /// Checks and saves a profile, in place of an older one with its id; from then on it is
    /// trusted. An empty id is replaced by a new one made from the name.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Refused`], [`Error::Io`]: the older one is intact.
    pub async fn save(&self, profile: Profile, lock: &Lock) -> Result<Loaded, Error> {
        // Held there, so that it outlives the caller.
        let lock = lock.clone();
        self.blocking(move |place| {
            let _lock = lock;
            place.save(profile)
        })
        .await
    }

    /// Reads, changes and saves a profile under the lock. Must not be called with the lock held.
    ///
    /// # Errors
    /// Those of [`Self::trusted`], [`Self::lock`] and [`Self::save`], and those of `change`,
    /// which then changed nothing.
    pub async fn edit(
        &self,
        id: &str,
        change: impl FnOnce(&mut Profile) -> Result<(), Error> + Send + 'static,
    ) -> Result<Loaded, Error> {
        let lock = self.lock().await?;
        let id = id.to_owned();
        self.blocking(move |place| {
            let _lock = lock;
            let mut profile = place.get(&id)?.trusted()?;
            change(&mut profile)?;
            profile.id = id;
            place.save(profile)
        })
        .await
    }

    /// Approves of a profile as the user saw it.
    ///
    /// # Errors
    /// [`Error::ChangedSince`] when `digest` is not its digest now; those of [`Self::get`] and
    /// [`Self::lock`].
    pub async fn trust(&self, id: &str, digest: String) -> Result<Loaded, Error> {
        let lock = self.lock().await?;
        let id = id.to_owned();
        self.blocking(move |place| {
            let _lock = lock;
            place.trust(&id, &digest)
        })
        .await
    }

    /// Deletes a profile, even one whose file is corrupt, and its secrets.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Io`].
    pub async fn delete(&self, id: &str, lock: &Lock) -> Result<(), Error> {
        let (id, secrets, lock) = (id.to_owned(), self.secrets.clone(), lock.clone());
        self.blocking(move |place| {
            let _lock = lock;
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

    /// What others did to the profiles since the last call; nothing at the first one.
    pub async fn changes(&self) -> Vec<(String, Changed)> {
        let changes = self.blocking(|place| Ok(place.changes())).await;
        changes.unwrap_or_default()
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

    /// Waits for the right to change profiles. Those who wait in this process get it in order.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process has had it for two seconds; [`Error::Io`].
    ///
    /// # Cancel safety
    /// A dropped future has no lock and no place in the row.
    pub async fn lock(&self) -> Result<Lock, Error> {
        let guard = Arc::clone(&self.turn).lock_owned().await;
        let file = self.blocking(Place::lock).await?;
        Ok(Lock {
            _held: Arc::new((file, guard)),
        })
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

// === impl Loaded ===

impl Loaded {
    /// The profile, if it may be used.
    ///
    /// # Errors
    /// [`Error::Untrusted`].
    pub fn trusted(self) -> Result<Profile, Error> {
        match self.trust.trusted {
            true => Ok(self.profile),
            false => Err(Error::Untrusted {
                id: self.profile.id,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
