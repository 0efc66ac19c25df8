//! Folders and files of the user's alone, and what makes changes of them last.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// How long another process may hold a lock.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks whether it still does.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Changes with every write of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode,
        }
    }

    /// `None`: there is no such file, or it can't be looked at.
    pub(super) fn at(path: &Path) -> Option<Self> {
        path.symlink_metadata()
            .ok()
            .map(|metadata| Self::of(&metadata))
    }
}

/// Waits until no other process has this file locked, for at most 2 s; `None`: it still is. The
/// lock goes with the file that is returned.
pub(super) fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = append_to(path)?;
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if since.elapsed() < PATIENCE => {
                std::thread::sleep(BETWEEN_LOOKS);
            }
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Makes a folder, and those above it, if it is not there.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file to append to it, made if it is not there.
pub(super) fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A new file in a folder, written and on the disk, for its owner only; who renames it puts it in
/// place in one step.
pub(super) fn temporary(
    folder: &Path,
    prefix: &str,
    content: &[u8],
) -> io::Result<tempfile::NamedTempFile> {
    let mut temporary = tempfile::Builder::new()
        .prefix(prefix)
        .tempfile_in(folder)?;
    temporary.write_all(content)?;
    temporary.as_file().sync_all()?;
    Ok(temporary)
}

/// Removes the temporary files that killed processes left in a folder. Only who holds the lock under
/// which such files are made may call it: those of others are being written. Best effort.
pub(super) fn sweep(folder: &Path, prefix: &str) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(prefix)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::debug!(%error, "a temporary file could not be removed");
        }
    }
}

/// Makes a rename or removal in a folder survive a power cut.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all())
}

#[cfg(not(unix))]
pub(super) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Takes a folder's permissions from all but its owner, with a warning if others had any.
pub(super) fn close_folder(path: &Path) -> io::Result<()> {
    close(path, 0o700)
}

/// The same for a file.
pub(super) fn close_file(path: &Path) -> io::Result<()> {
    close(path, 0o600)
}

#[cfg(unix)]
fn close(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = path.metadata()?.permissions();
    if permissions.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        tracing::warn!(
            path = %path.display(),
            "was open to other users of this computer; it was closed to them"
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn close(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}
