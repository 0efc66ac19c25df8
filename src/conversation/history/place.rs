//! Where a project's conversations are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::conversation::digest::sha256;
use crate::conversation::private::{close_to_others, create_folder, open};

/// Where a project's conversations are.
#[derive(Debug, Clone)]
pub enum Place {
    /// Nowhere: they end with the daemon.
    Memory,
    /// In a file of their own below the user's data.
    Project {
        /// Ours, below the user's data.
        data_dir: PathBuf,
        project: PathBuf,
    },
}

impl Place {
    /// The file, made if it is not there, for its owner only; `None`: in memory. SQLite gives the
    /// files beside it the same mode.
    pub(super) fn file(&self) -> io::Result<Option<PathBuf>> {
        let Self::Project { data_dir, project } = self else {
            return Ok(None);
        };
        let folder = data_dir.join("history");
        create_folder(&folder)?;
        let file = folder.join(name(project));
        open(&file)?;
        close_to_others(&file, 0o600)?;
        Ok(Some(file))
    }
}

/// Puts a damaged file, and what SQLite keeps beside it, out of the way; nothing is deleted.
/// Returns the new name.
pub(super) fn set_aside(file: &Path) -> io::Result<String> {
    let seconds = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let ending = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let aside = ending(file, &format!(".corrupt-{seconds}"));
    fs::rename(file, &aside)?;
    for beside in ["-wal", "-shm"] {
        match fs::rename(ending(file, beside), ending(&aside, beside)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned()))
}

/// One name for a project, however one gets there: `myproject-1f2e3d4c5b6a7988.sqlite3`.
fn name(project: &Path) -> String {
    let project = fs::canonicalize(project).unwrap_or_else(|_| project.to_path_buf());
    let mut digest = sha256(project.as_os_str().as_encoded_bytes());
    digest.truncate(16);
    let readable: String = project
        .file_name()
        .map_or_else(Default::default, std::ffi::OsStr::to_string_lossy)
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(32)
        .collect();
    format!("{readable}-{digest}.sqlite3")
}
