//! The folder of profiles: reading what may be hostile, writing so that nothing is lost.
//!
//! The folder is part of a checked-out project, so whoever wrote the project chose its content.
//! Symbolic links are not followed, below the project's own folder. Everything here blocks.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::Error;
use super::private::sync_folder;

/// Below the project's folder.
const FOLDERS: [&str; 3] = [".puffin", "config", "remote-llm"];
const EXTENSION: &str = "json";
const TEMPORARY_PREFIX: &str = ".tmp-";
/// Temporary files of a process that was killed; younger ones may be another's.
const STALE: Duration = Duration::from_secs(600);
/// Largest file that is read.
const FILE_BYTES: u64 = 1 << 20;
/// Most profiles that are listed.
const FILES: usize = 1000;

/// A project's folder of profiles. It need not exist.
#[derive(Debug)]
pub(super) struct Folder {
    project: PathBuf,
}

/// A file's content.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// Others could read it. They no longer can.
    pub(super) was_open_to_others: bool,
}

impl Folder {
    pub(super) fn new(project: PathBuf) -> Self {
        Self { project }
    }

    /// Where the profile `id`, which must be valid, is kept.
    pub(super) fn file(&self, id: &str) -> PathBuf {
        self.path().join(format!("{id}.{EXTENSION}"))
    }

    /// The names of all profile files, without extension, in order. They may not be valid ids. Hidden
    /// files are none: editors and file systems have theirs (`.#gpu.json`, `._gpu.json`).
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        if !self.is_there()? {
            return Ok(Vec::new());
        }
        let path = self.path();
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(Error::io(&path))? {
            let name = entry.map_err(Error::io(&path))?.file_name();
            let name = Path::new(&name);
            if name
                .extension()
                .is_some_and(|extension| extension == EXTENSION)
                && let Some(stem) = name.file_stem().map(|stem| stem.to_string_lossy())
                && !stem.starts_with('.')
            {
                names.push(stem.into_owned());
            }
        }
        names.sort();
        if names.len() > FILES {
            tracing::warn!(
                files = names.len(),
                "only the first 1000 profiles are listed"
            );
            names.truncate(FILES);
        }
        Ok(names)
    }

    /// A file's content; `None` if it is not there.
    pub(super) fn read(&self, id: &str) -> Result<Option<Content>, Error> {
        if !self.is_there()? {
            return Ok(None);
        }
        let path = self.file(id);
        let before = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path)(error)),
        };
        let refuse = |problem| Error::Refused {
            path: path.clone(),
            problem,
        };
        check_is_file(&before).map_err(refuse)?;
        let file = File::open(&path).map_err(Error::io(&path))?;
        let metadata = file.metadata().map_err(Error::io(&path))?;
        // Between the two, a link may have been put in its place.
        if !is_same_file(&before, &metadata) {
            return Err(refuse("was replaced while it was being opened"));
        }
        let mut bytes = Vec::new();
        let mut bounded = (&file).take(FILE_BYTES + 1);
        bounded.read_to_end(&mut bytes).map_err(Error::io(&path))?;
        if bytes.len() as u64 > FILE_BYTES {
            return Err(refuse("is larger than 1 MiB"));
        }
        Ok(Some(Content {
            bytes,
            was_open_to_others: close_to_others(&file, &metadata),
        }))
    }

    /// Replaces a file in one step: whoever reads it, now or after a crash, finds the old
    /// content or the new one. With `new`, an existing file is left alone and `false` returned.
    pub(super) fn write(&self, id: &str, content: &[u8], new: bool) -> Result<bool, Error> {
        self.write_with(id, new, |file| file.write_all(content))
    }

    fn write_with(
        &self,
        id: &str,
        new: bool,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<bool, Error> {
        self.create()?;
        let folder = self.path();
        let path = self.file(id);
        // Renaming over a link would replace the link only, but its presence is odd enough.
        if let Ok(metadata) = fs::symlink_metadata(&path) {
            if new {
                return Ok(false);
            }
            check_is_file(&metadata).map_err(|problem| Error::Refused {
                path: path.clone(),
                problem,
            })?;
        }
        // Created readable by its owner only.
        let mut temporary = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .tempfile_in(&folder)
            .map_err(Error::io(&folder))?;
        fill(temporary.as_file_mut()).map_err(Error::io(&path))?;
        temporary.as_file().sync_all().map_err(Error::io(&path))?;
        let persisted = if new {
            temporary.persist_noclobber(&path)
        } else {
            temporary.persist(&path)
        };
        match persisted {
            Ok(_) => {}
            Err(error) if new && error.error.kind() == ErrorKind::AlreadyExists => {
                return Ok(false);
            }
            Err(error) => return Err(Error::io(&path)(error.error)),
        }
        sync_folder(&folder).map_err(Error::io(&folder))?;
        self.sweep();
        Ok(true)
    }

    /// Removes a file; `false` if it was not there. A link is removed, not what it points to.
    pub(super) fn remove(&self, id: &str) -> Result<bool, Error> {
        if !self.is_there()? {
            return Ok(false);
        }
        let path = self.file(id);
        match fs::remove_file(&path) {
            Ok(()) => {
                let folder = self.path();
                sync_folder(&folder).map_err(Error::io(&folder))?;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io(path)(error)),
        }
    }

    fn path(&self) -> PathBuf {
        self.steps().last().unwrap_or_else(|| self.project.clone())
    }

    /// The folders from the project's own downwards.
    fn steps(&self) -> impl Iterator<Item = PathBuf> {
        let mut path = self.project.clone();
        FOLDERS.into_iter().map(move |name| {
            path.push(name);
            path.clone()
        })
    }

    /// Whether the folder exists, with every step a real folder.
    fn is_there(&self) -> Result<bool, Error> {
        for path in self.steps() {
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => {
                    return Err(Error::Refused {
                        path,
                        problem: "is not a folder, or a symbolic link to one",
                    });
                }
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(Error::io(path)(error)),
            }
        }
        Ok(true)
    }

    /// Creates the folders that are missing, for their owner only.
    fn create(&self) -> Result<(), Error> {
        if self.is_there()? {
            return Ok(());
        }
        for path in self.steps() {
            #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
            let mut builder = DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            match builder.create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(path)(error)),
            }
        }
        self.is_there().map(|_| ())
    }

    /// Removes what killed processes left behind. Best effort.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.path()) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let ours = name.to_string_lossy().starts_with(TEMPORARY_PREFIX);
            let stale = |modified: SystemTime| modified.elapsed().is_ok_and(|age| age > STALE);
            let old = ours && entry.metadata().and_then(|m| m.modified()).is_ok_and(stale);
            if old && let Err(error) = fs::remove_file(entry.path()) {
                tracing::debug!(%error, "a stale temporary file could not be removed");
            }
        }
    }
}

fn check_is_file(metadata: &Metadata) -> Result<(), &'static str> {
    if metadata.is_symlink() {
        Err("is a symbolic link")
    } else if !metadata.is_file() {
        Err("is not a regular file")
    } else if metadata.len() > FILE_BYTES {
        Err("is larger than 1 MiB")
    } else {
        Ok(())
    }
}

#[cfg(unix)]
fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    one.file_type() == other.file_type()
}

/// Takes a file's permissions from all but its owner; whether there were any.
#[cfg(unix)]
fn close_to_others(file: &File, metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode();
    if mode & 0o077 == 0 {
        return false;
    }
    let closed = fs::Permissions::from_mode(mode & 0o700);
    if let Err(error) = file.set_permissions(closed) {
        tracing::debug!(%error, "a profile's permissions could not be changed");
    }
    true
}

#[cfg(not(unix))]
fn close_to_others(_file: &File, _metadata: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_write_that_fails_half_way_leaves_the_old_file_intact() {
        let project = tempfile::tempdir().unwrap();
        let folder = Folder::new(project.path().to_owned());
        folder.write("a", b"old", false).unwrap();
        let failed = folder.write_with("a", false, |file| {
            file.write_all(b"half of the n")?;
            Err(ErrorKind::StorageFull.into())
        });
        let source = match failed {
            Err(Error::Io { source, .. }) => source.kind(),
            other => panic!("{other:?}"),
        };
        assert_eq!(source, ErrorKind::StorageFull);
        assert_eq!(folder.read("a").unwrap().unwrap().bytes, b"old");
        assert_eq!(names(&folder.path()), ["a.json"]);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_when_it_is_old() {
        let project = tempfile::tempdir().unwrap();
        let folder = Folder::new(project.path().to_owned());
        folder.write("a", b"1", false).unwrap();
        let old = File::create(folder.path().join(".tmp-old")).unwrap();
        old.set_modified(SystemTime::now() - 2 * STALE).unwrap();
        File::create(folder.path().join(".tmp-young")).unwrap();
        folder.write("a", b"2", false).unwrap();
        let mut left = names(&folder.path());
        left.sort();
        assert_eq!(left, [".tmp-young", "a.json"]);
    }
}
