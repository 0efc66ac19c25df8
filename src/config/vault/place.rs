//! The vault's files: read with care, and written so that a kill or a power cut leaves the old
//! content or the new one. Everything here blocks.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::problem::VaultProblem;
use crate::config::private::{
    Stamp, close_file, close_folder, create_folder, lock, sweep, sync_folder, temporary,
};

const FILE: &str = "vault.json";
/// The content before the last change.
const BACKUP: &str = "vault.json.bak";
const LOCK: &str = "vault.lock";
const TEMPORARY_PREFIX: &str = ".vault.json.tmp-";
/// Largest file that is read or written.
const FILE_BYTES: u64 = 16 << 20;

/// Where a vault's files are.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
}

/// One of the files.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    Main,
    Backup,
}

/// A file's content, and what tells it from the next one.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) stamp: Stamp,
}

/// The right to write. Other processes wait for it.
#[derive(Debug)]
pub(super) struct Held<'a> {
    place: &'a Place,
    _lock: File,
}

impl Place {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn path(&self, which: Which) -> PathBuf {
        self.folder.join(match which {
            Which::Main => FILE,
            Which::Backup => BACKUP,
        })
    }

    /// What tells the file from the next one; `None`: it is not there.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        Stamp::at(&self.path(Which::Main))
    }

    /// `None`: it is not there. A file that is open to others is closed to them.
    pub(super) fn read(&self, which: Which) -> Result<Option<Content>, VaultProblem> {
        let path = self.path(which);
        let before = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(VaultProblem::io(path)(error)),
        };
        let refused = |problem| VaultProblem::Refused {
            path: path.clone(),
            problem,
        };
        // Looked at first: opening a pipe would wait.
        check(&before).map_err(refused)?;
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(VaultProblem::io(path)(error)),
        };
        let metadata = file.metadata().map_err(VaultProblem::io(&path))?;
        check(&metadata).map_err(refused)?;
        let mut bytes = Vec::new();
        (&file)
            .take(FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(VaultProblem::io(&path))?;
        if bytes.len() as u64 > FILE_BYTES {
            return Err(refused("is larger than 16 MiB"));
        }
        for closed in [close_file(&path), close_folder(&self.folder)] {
            if let Err(error) = closed {
                tracing::warn!(%error, "the vault stays open to other users of this computer");
            }
        }
        Ok(Some(Content {
            bytes,
            stamp: Stamp::of(&metadata),
        }))
    }

    /// Waits for the right to write, for at most 2 s.
    pub(super) fn hold(&self) -> Result<Held<'_>, VaultProblem> {
        self.create().map_err(VaultProblem::io(&self.folder))?;
        let path = self.folder.join(LOCK);
        let lock = lock(&path).map_err(VaultProblem::io(&path))?;
        let lock = lock.ok_or(VaultProblem::Busy)?;
        sweep(&self.folder, TEMPORARY_PREFIX);
        Ok(Held {
            place: self,
            _lock: lock,
        })
    }

    fn create(&self) -> io::Result<()> {
        create_folder(&self.folder)?;
        close_folder(&self.folder)
    }
}

impl Held<'_> {
    /// Replaces the file; what it was becomes the backup. The file that is there must be good.
    pub(super) fn replace(&self, content: &[u8]) -> Result<Stamp, VaultProblem> {
        self.write(content, |file| {
            let was = self.place.path(Which::Main);
            let backup = self.place.path(Which::Backup);
            if was.symlink_metadata().is_ok() {
                // A second name for it, put in place in one step.
                let mut beside = file.as_os_str().to_owned();
                beside.push("-backup");
                let beside = PathBuf::from(beside);
                fs::hard_link(&was, &beside).or_else(|_| fs::copy(&was, &beside).map(drop))?;
                fs::rename(&beside, backup)?;
                // It is still there if the backup had been the same file: then that is a no-op.
                let _ = fs::remove_file(&beside);
            }
            Ok(())
        })
    }

    /// Replaces the file and its backup: what is gone is gone from both.
    pub(super) fn replace_both(&self, content: &[u8]) -> Result<Stamp, VaultProblem> {
        let stamp = self.write(content, |_| Ok(()))?;
        self.replace_backup(content)?;
        Ok(stamp)
    }

    fn replace_backup(&self, content: &[u8]) -> Result<(), VaultProblem> {
        let path = self.place.path(Which::Backup);
        let temporary = self.temporary(content).map_err(VaultProblem::io(&path))?;
        let persisted = temporary.persist(&path).map_err(|error| error.error);
        persisted.map_err(VaultProblem::io(&path))?;
        self.sync_folder()
    }

    /// Makes the backup the file again.
    pub(super) fn restore(&self, content: &[u8]) -> Result<Stamp, VaultProblem> {
        self.write(content, |_| Ok(()))
    }

    fn write(
        &self,
        content: &[u8],
        before: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Stamp, VaultProblem> {
        let path = self.place.path(Which::Main);
        let persisted = self.temporary(content).and_then(|temporary| {
            before(temporary.path())?;
            temporary.persist(&path).map_err(|error| error.error)
        });
        let file = persisted.map_err(VaultProblem::io(&path))?;
        self.sync_folder()?;
        let metadata = file.metadata().map_err(VaultProblem::io(&path))?;
        Ok(Stamp::of(&metadata))
    }

    fn temporary(&self, content: &[u8]) -> io::Result<tempfile::NamedTempFile> {
        temporary(&self.place.folder, TEMPORARY_PREFIX, content)
    }

    /// Gives a file another name: `vault.json.corrupt-1700000000`. `None`: it is not there.
    pub(super) fn put_aside(
        &self,
        which: Which,
        why: &str,
    ) -> Result<Option<PathBuf>, VaultProblem> {
        let path = self.place.path(which);
        let seconds = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let mut number = seconds;
        let aside = loop {
            let mut name = path.clone().into_os_string();
            name.push(format!(".{why}-{number}"));
            let name = PathBuf::from(name);
            // Nothing is overwritten, not even what was put aside a moment ago.
            if name.symlink_metadata().is_err() {
                break name;
            }
            number += 1;
        };
        match fs::rename(&path, &aside) {
            Ok(()) => self.sync_folder().map(|()| Some(aside)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(VaultProblem::io(path)(error)),
        }
    }

    fn sync_folder(&self) -> Result<(), VaultProblem> {
        let folder = &self.place.folder;
        sync_folder(folder).map_err(VaultProblem::io(folder))
    }
}

fn check(metadata: &Metadata) -> Result<(), &'static str> {
    if metadata.is_symlink() {
        return Err("is a symbolic link");
    }
    if !metadata.is_file() {
        return Err("is not a regular file");
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::uid(metadata) != nix::unistd::geteuid().as_raw() {
        return Err("belongs to another user");
    }
    Ok(())
}
