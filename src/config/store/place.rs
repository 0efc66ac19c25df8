//! Where profiles are kept: in a project's folder, or in memory. Everything here blocks.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::approval::{Approvals, digest};
use crate::config::error::{Error, Warning};
use crate::config::file::{Content, Folder};
use crate::config::id;
use crate::config::private::{self, Stamp, create_folder};
use crate::config::profile::Profile;
use crate::config::read::from_json;
use crate::config::text::shown;
use crate::config::validate::validate;
use crate::config::version;

use super::{Changed, Listed, Loaded, Trust};

/// In the user's data folder.
const LOCK: &str = "profiles.lock";

#[derive(Debug)]
pub(super) enum Place {
    Project(Project),
    Memory(Memory),
}

/// Files that came with the project, or were saved by this user or another window.
#[derive(Debug)]
pub(super) struct Project {
    folder: Folder,
    data_dir: PathBuf,
    approvals: Approvals,
    /// What the files looked like when they were read or written last, by id; `None` before the
    /// first look. Held while one is written: what we write ourselves is no news.
    seen: Mutex<Option<BTreeMap<String, Seen>>>,
}

/// A profile's file, and that which says whether it is trusted.
type Seen = (Stamp, Option<Stamp>);

/// What this user saved, and nobody else can.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, Profile>>);

// === impl Place ===

impl Place {
    /// Waits for the other processes; `None`: there are none.
    pub(super) fn lock(&self) -> Result<Option<File>, Error> {
        match self {
            Self::Project(project) => project.lock().map(Some),
            Self::Memory(_) => Ok(None),
        }
    }

    pub(super) fn list(&self) -> Result<Vec<Listed>, Error> {
        let names = self.names()?;
        let mut all = Vec::with_capacity(names.len());
        for id in names {
            match self.get(&id) {
                // Deleted since.
                Err(Error::NotFound { .. }) => {}
                // Whoever made the project chose the name.
                Err(error) => all.push(Listed {
                    id: shown(&id),
                    loaded: Err(error),
                }),
                loaded => all.push(Listed { id, loaded }),
            }
        }
        Ok(all)
    }

    pub(super) fn get(&self, id: &str) -> Result<Loaded, Error> {
        id::check(id)?;
        match self {
            Self::Project(project) => project.get(id),
            Self::Memory(memory) => memory.get(id),
        }
    }

    pub(super) fn save(&self, mut profile: Profile) -> Result<Loaded, Error> {
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
            let trust = Trust {
                trusted: true,
                digest: digest(&profile),
            };
            match self {
                Self::Project(project) => {
                    if !project.write(&profile, &trust.digest, generated)? {
                        continue;
                    }
                }
                Self::Memory(Memory(profiles)) => {
                    lock(profiles).insert(profile.id.clone(), profile.clone());
                }
            }
            return Ok(Loaded {
                profile,
                warnings,
                trust,
            });
        }
    }

    pub(super) fn trust(&self, id: &str, digest: &str) -> Result<Loaded, Error> {
        let mut loaded = self.get(id)?;
        if loaded.trust.digest != digest {
            return Err(Error::ChangedSince { id: id.to_owned() });
        }
        if let Self::Project(project) = self {
            project.approve(id, digest, || Ok(true))?;
        }
        loaded.trust.trusted = true;
        Ok(loaded)
    }

    pub(super) fn delete(&self, id: &str) -> Result<(), Error> {
        id::check(id)?;
        let was_there = match self {
            Self::Project(project) => project.remove(id)?,
            Self::Memory(Memory(profiles)) => lock(profiles).remove(id).is_some(),
        };
        if was_there {
            Ok(())
        } else {
            Err(Error::NotFound { id: id.to_owned() })
        }
    }

    pub(super) fn changes(&self) -> Vec<(String, Changed)> {
        match self {
            Self::Project(project) => project.changes(),
            Self::Memory(_) => Vec::new(),
        }
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        match self {
            Self::Project(project) => project.folder.names(),
            Self::Memory(Memory(profiles)) => Ok(lock(profiles).keys().cloned().collect()),
        }
    }

    fn free_id(&self, name: &str, names: &[String]) -> Result<String, Error> {
        let taken = |id: &str| {
            let listed = names.iter().any(|name| name.eq_ignore_ascii_case(id));
            listed
                || match self {
                    Self::Project(project) => project.folder.file(id).symlink_metadata().is_ok(),
                    Self::Memory(_) => false,
                }
        };
        id::generate(name, taken)
            .ok_or_else(|| Error::invalid("configId", "is required: no free one was found"))
    }
}

// === impl Project ===

impl Project {
    pub(super) fn new(project: PathBuf, data_dir: &Path) -> Self {
        Self {
            approvals: Approvals::new(data_dir, project.clone()),
            folder: Folder::new(project),
            data_dir: data_dir.to_owned(),
            seen: Mutex::default(),
        }
    }

    fn lock(&self) -> Result<File, Error> {
        let path = self.data_dir.join(LOCK);
        create_folder(&self.data_dir).map_err(Error::io(&self.data_dir))?;
        let locked = private::lock(&path).map_err(Error::io(path))?;
        locked.ok_or(Error::Busy)
    }

    fn get(&self, id: &str) -> Result<Loaded, Error> {
        let content = self.folder.read(id)?;
        let content = content.ok_or_else(|| Error::NotFound { id: id.to_owned() })?;
        let (profile, warnings) = parse(id, self.folder.file(id), &content)?;
        let digest = digest(&profile);
        let trust = Trust {
            trusted: self.approvals.has(id, &digest)?,
            digest,
        };
        Ok(Loaded {
            profile,
            warnings,
            trust,
        })
    }

    /// `false`: there is one with this id, and this one was to be `new`.
    fn write(&self, profile: &Profile, digest: &str, new: bool) -> Result<bool, Error> {
        let id = &profile.id;
        let text = serde_json::to_string_pretty(&version::File::new(profile))
            .map_err(|error| Error::io(self.folder.file(id))(error.into()))?;
        self.approve(id, digest, || {
            self.folder.write(id, format!("{text}\n").as_bytes(), new)
        })
    }

    fn approve(
        &self,
        id: &str,
        digest: &str,
        write: impl FnOnce() -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let mut seen = lock(&self.seen);
        let written = self.approvals.approve(id, digest.to_owned(), write);
        self.note(&mut seen, id);
        written
    }

    fn remove(&self, id: &str) -> Result<bool, Error> {
        let mut seen = lock(&self.seen);
        let was_there = self.folder.remove(id)?;
        self.approvals.forget(id)?;
        self.note(&mut seen, id);
        Ok(was_there)
    }

    fn note(&self, seen: &mut Option<BTreeMap<String, Seen>>, id: &str) {
        let Some(seen) = seen else { return };
        match self.look(id) {
            Some(look) => seen.insert(id.to_owned(), look),
            None => seen.remove(id),
        };
    }

    fn changes(&self) -> Vec<(String, Changed)> {
        let mut seen = lock(&self.seen);
        // A folder that can't be read is told of by whoever lists it.
        let Ok(names) = self.folder.names() else {
            return Vec::new();
        };
        let now: BTreeMap<_, _> = names
            .into_iter()
            .filter_map(|id| Some((id.clone(), self.look(&id)?)))
            .collect();
        let Some(before) = seen.replace(now.clone()) else {
            return Vec::new();
        };
        let gone = before.keys().filter(|id| !now.contains_key(*id));
        let gone = gone.map(|id| (id.clone(), Changed::Deleted));
        let other = now
            .iter()
            .filter(|(id, look)| before.get(*id) != Some(look))
            .map(|(id, _)| (id.clone(), Changed::Saved));
        gone.chain(other).collect()
    }

    fn look(&self, id: &str) -> Option<Seen> {
        let file = Stamp::at(&self.folder.file(id))?;
        Some((file, Stamp::at(&self.approvals.file(id))))
    }
}

// === impl Memory ===

impl Memory {
    fn get(&self, id: &str) -> Result<Loaded, Error> {
        let profile = lock(&self.0).get(id).cloned();
        let profile = profile.ok_or_else(|| Error::NotFound { id: id.to_owned() })?;
        let warnings = validate(&profile)?;
        let trust = Trust {
            trusted: true,
            digest: digest(&profile),
        };
        Ok(Loaded {
            profile,
            warnings,
            trust,
        })
    }
}

/// Makes a profile of a file's content. The file's name is the profile's id.
fn parse(id: &str, path: PathBuf, content: &Content) -> Result<(Profile, Vec<Warning>), Error> {
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    let bytes = content.bytes.as_slice();
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    // The error's own text could quote the file.
    let value = serde_json::from_slice(bytes).map_err(|error| Error::Corrupt {
        path,
        line: error.line(),
    })?;
    let (mut profile, mut warnings) = from_json(version::migrate(value)?)?;
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
    Ok((profile, warnings))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
