//! The files, read within bounds.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::include;
use super::problem::Problem;

/// A file that is longer was not written by people.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// All that is read for one host.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
const MAX_READS: usize = 2048;

/// Where ssh_config comes from.
pub(super) trait Files {
    /// A file's text; with `is_private`, only if nobody else could have written it.
    fn read(&mut self, file: &Path, is_private: bool) -> Result<String, Unread>;

    /// The files that a pattern of Include stands for.
    fn list(&mut self, pattern: &str) -> Result<Vec<PathBuf>, Problem>;
}

/// Why there is no text.
#[derive(Debug)]
pub(super) enum Unread {
    /// The file is not there, or not for us.
    Io(io::Error),
    /// OpenSSH would stop here.
    Problem(Problem),
}

/// The real files.
#[derive(Debug)]
pub(super) struct Disk {
    /// Who we are: files of somebody else are refused.
    user: Option<u32>,
    bytes: u64,
    reads: usize,
}

impl Disk {
    pub(super) fn new(user: Option<&str>) -> Self {
        Self {
            user: user.and_then(|id| id.parse().ok()),
            bytes: 0,
            reads: 0,
        }
    }

    fn open(&mut self, file: &Path, is_private: bool) -> Result<Option<File>, Unread> {
        // A pipe would block as it is opened.
        let kind = std::fs::metadata(file).map_err(Unread::Io)?.file_type();
        if !kind.is_file() {
            return Ok(None);
        }
        let open = File::open(file).map_err(Unread::Io)?;
        let metadata = open.metadata().map_err(Unread::Io)?;
        if is_private && self.is_open_to_others(&metadata) {
            return Err(Unread::Problem(Problem::Permissions(file.to_owned())));
        }
        Ok(Some(open))
    }

    #[cfg(unix)]
    fn is_open_to_others(&self, metadata: &Metadata) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let is_foreign =
            metadata.uid() != 0 && self.user.is_some_and(|user| user != metadata.uid());
        is_foreign || metadata.mode() & 0o022 != 0
    }

    #[cfg(not(unix))]
    fn is_open_to_others(&self, _: &Metadata) -> bool {
        false
    }
}

impl Files for Disk {
    fn read(&mut self, file: &Path, is_private: bool) -> Result<String, Unread> {
        let too_much = |what: &str| Unread::Problem(Problem::too_much(what));
        self.reads += 1;
        if self.reads > MAX_READS {
            return Err(too_much("ssh_config includes too many files"));
        }
        let Some(open) = self.open(file, is_private)? else {
            return Ok(String::new());
        };
        let mut content = Vec::new();
        open.take(MAX_FILE + 1)
            .read_to_end(&mut content)
            .map_err(Unread::Io)?;
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(length);
        if length > MAX_FILE || self.bytes > MAX_BYTES {
            return Err(too_much(&format!("{} is too long", file.display())));
        }
        Ok(String::from_utf8_lossy(&content).into_owned())
    }

    fn list(&mut self, pattern: &str) -> Result<Vec<PathBuf>, Problem> {
        include::expand(pattern).ok_or_else(|| {
            Problem::too_much(&format!("Include {pattern} stands for too many files"))
        })
    }
}
