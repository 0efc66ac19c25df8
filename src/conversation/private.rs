//! Folders and files for the user alone.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a folder, and those above it, if it is not there.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    close_to_others(path, 0o700)
}

/// Opens a file to read it and to append to it, made if it is not there.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).read(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    close_to_others(path, 0o600)?;
    Ok(file)
}

/// Takes the permissions of all but the owner, if they have any.
#[cfg(unix)]
pub(super) fn close_to_others(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if path.metadata()?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            "was open to other users of this computer; it was closed to them"
        );
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
pub(super) fn close_to_others(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}
