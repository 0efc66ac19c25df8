//! Profiles that this user saved or approved of, on this machine.
//!
//! A profile's file lies in the project, and may have come with it. So the digest of what was
//! saved through us is noted in the user's own data folder; a profile with another digest is not
//! used until the user has looked at it. Everything here blocks, and what writes is called with the
//! profiles' lock held.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::Error;
use super::private::{close_file, close_folder, create_folder, sweep, sync_folder, temporary};
use super::profile::Profile;

/// Below the data folder; one small file for each profile.
const FOLDER: &str = "approved";
const TEMPORARY_PREFIX: &str = ".tmp";

/// More is read of no such file.
const FILE_BYTES: u64 = 64 << 10;

/// What this user approved of, for the profiles of one project.
#[derive(Debug)]
pub(super) struct Approvals {
    folder: PathBuf,
    given: PathBuf,
    /// As the file system knows it: the same project by another path is the same project. Looked
    /// up when it is needed first.
    project: OnceLock<PathBuf>,
}

/// What is noted of a profile. Its place and name are for whoever reads the file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    project: String,
    config_id: String,
    /// While a profile is being written: what it was, and what it will be.
    digests: Vec<String>,
}

impl Approvals {
    /// Touches no file.
    pub(super) fn new(data_dir: &Path, project: PathBuf) -> Self {
        Self {
            folder: data_dir.join(FOLDER),
            given: project,
            project: OnceLock::new(),
        }
    }

    fn project(&self) -> &Path {
        self.project.get_or_init(|| {
            // One that is not there has no profiles either.
            fs::canonicalize(&self.given).unwrap_or_else(|_| self.given.clone())
        })
    }

    /// Whether the profile `id` was approved of as it is now.
    ///
    /// # Errors
    /// [`Error::Io`] when that can't be known.
    pub(super) fn has(&self, id: &str, digest: &str) -> Result<bool, Error> {
        Ok(self.read(id)?.iter().any(|known| known == digest))
    }

    /// Approves of a profile that `write` puts in place; where that answers `false`, or fails,
    /// nothing changes. Whenever the process is killed, the profile that is there then, the old
    /// one or the new one, is as trusted as it was.
    ///
    /// # Errors
    /// [`Error::Io`], and those of `write`.
    pub(super) fn approve(
        &self,
        id: &str,
        digest: String,
        write: impl FnOnce() -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let before = self.read(id)?;
        if before == [digest.as_str()] {
            return write();
        }
        let is_known = !before.is_empty();
        if is_known {
            let both = before.iter().cloned().chain([digest.clone()]);
            self.write(id, both.collect())?;
        }
        let written = write();
        match written {
            Ok(true) => self.write(id, vec![digest])?,
            Ok(false) | Err(_) if is_known => self.write(id, before)?,
            Ok(false) | Err(_) => {}
        }
        written
    }

    /// Forgets a profile that is gone.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn forget(&self, id: &str) -> Result<(), Error> {
        let path = self.file(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(path)(error)),
            _ => Ok(()),
        }
    }

    /// Where the profile `id` is noted.
    pub(super) fn file(&self, id: &str) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(self.project().as_os_str().as_encoded_bytes());
        // No path holds it, so no two pairs are the same bytes.
        hash.update([0]);
        hash.update(id.to_ascii_lowercase());
        self.folder.join(format!("{}.json", hex(hash)))
    }

    fn read(&self, id: &str) -> Result<Vec<String>, Error> {
        let path = self.file(id);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(FILE_BYTES).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(path)(error)),
        }
        // Whoever may write here could approve of anything.
        let folders = [self.folder.parent(), Some(&*self.folder)];
        let closed = folders.into_iter().flatten().map(close_folder);
        for closed in closed.chain([close_file(&path)]) {
            if let Err(error) = closed {
                tracing::warn!(%error, "approvals stay open to other users of this computer");
            }
        }
        // One that says nothing approves of nothing.
        let note: Option<Note> = serde_json::from_slice(&bytes).ok();
        Ok(note
            .filter(|note| note.config_id == id)
            .map(|note| note.digests)
            .unwrap_or_default())
    }

    fn write(&self, id: &str, digests: Vec<String>) -> Result<(), Error> {
        let path = self.file(id);
        let note = Note {
            project: self.project().to_string_lossy().into_owned(),
            config_id: id.to_owned(),
            digests,
        };
        self.replace(&path, &note).map_err(Error::io(&path))
    }

    fn replace(&self, path: &Path, note: &Note) -> io::Result<()> {
        create_folder(&self.folder)?;
        close_folder(&self.folder)?;
        sweep(&self.folder, TEMPORARY_PREFIX);
        let temporary = temporary(&self.folder, TEMPORARY_PREFIX, &serde_json::to_vec(note)?)?;
        temporary.persist(path).map_err(|error| error.error)?;
        sync_folder(&self.folder)
    }
}

/// Of all that a profile says, in hexadecimal: SHA-256 over its JSON with sorted names.
pub(super) fn digest(profile: &Profile) -> String {
    let mut hash = Sha256::new();
    // Plain data without maps keyed by anything but strings always serialises.
    let mut value = serde_json::to_value(profile).unwrap_or_default();
    value.sort_all_objects();
    hash.update(value.to_string());
    hex(hash)
}

fn hex(hash: Sha256) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approvals(data: &Path) -> Approvals {
        Approvals::new(data, "/project".into())
    }

    fn digests(approvals: &Approvals) -> Vec<String> {
        approvals.read("gpu").unwrap()
    }

    #[test]
    fn only_the_last_content_of_this_project_and_profile_is_approved_of() {
        let data = tempfile::tempdir().unwrap();
        let here = approvals(data.path());
        let approve = |digest: &str| here.approve("gpu", digest.to_owned(), || Ok(true)).unwrap();
        assert!(!here.has("gpu", "a").unwrap());
        approve("a");
        assert!(here.has("gpu", "a").unwrap());
        approve("b");
        assert!(!here.has("gpu", "a").unwrap(), "an old one came back");
        assert!(here.has("gpu", "b").unwrap());
        assert!(!here.has("other", "b").unwrap());
        let there = Approvals::new(data.path(), "/elsewhere".into());
        assert!(!there.has("gpu", "b").unwrap());
        here.forget("gpu").unwrap();
        here.forget("gpu").unwrap();
        assert!(!here.has("gpu", "b").unwrap());
    }

    #[test]
    fn while_a_profile_is_written_the_old_and_the_new_one_are_approved_of() {
        let data = tempfile::tempdir().unwrap();
        let here = approvals(data.path());
        here.approve("gpu", "a".into(), || Ok(true)).unwrap();
        let both = |was: &str| {
            assert_eq!(digests(&here), [was, "b"]);
            Ok(true)
        };
        here.approve("gpu", "b".into(), || both("a")).unwrap();
        assert_eq!(digests(&here), ["b"]);
        let missing = || Error::NotFound { id: "gpu".into() };
        for id in ["gpu", "new"] {
            let failed = here.approve(id, "c".into(), || Err(missing()));
            assert!(failed.is_err());
            assert!(!here.approve(id, "c".into(), || Ok(false)).unwrap());
            assert!(!here.has(id, "c").unwrap(), "it was never there");
        }
        assert_eq!(digests(&here), ["b"]);
    }

    #[test]
    fn a_file_that_says_nothing_or_something_else_approves_of_nothing() {
        let data = tempfile::tempdir().unwrap();
        let here = approvals(data.path());
        here.approve("gpu", "a".into(), || Ok(true)).unwrap();
        for text in [
            "",
            "{",
            "[]",
            r#"{"project":"/project","configId":"x","digests":["a"]}"#,
        ] {
            fs::write(here.file("gpu"), text).unwrap();
            assert!(!here.has("gpu", "a").unwrap(), "{text}");
        }
        here.approve("gpu", "b".into(), || Ok(true)).unwrap();
        assert!(here.has("gpu", "b").unwrap());
    }

    #[test]
    fn the_digest_is_of_everything_and_of_no_order() {
        let text = r#"{"id": "a", "name": "A", "ssh": {"host": "h", "later": {"x": 1, "y": [2]}},
            "llm": {"apiEndpoint": "http://localhost", "headers": {"X-A": "1"}}}"#;
        let read = |text: &str| {
            let value = serde_json::from_str(text).unwrap();
            digest(&super::super::from_json(value).unwrap().0)
        };
        let whole = read(text);
        assert_eq!(
            whole,
            read(&text.replace(r#""x": 1, "y": [2]"#, r#""y": [2], "x": 1"#))
        );
        for (from, to) in [
            (r#""name": "A""#, r#""name": "B""#),
            (r#""host": "h""#, r#""host": "g""#),
            ("[2]", "[3]"),
            ("X-A", "X-B"),
            ("localhost", "localhost:1"),
        ] {
            assert_ne!(whole, read(&text.replace(from, to)), "{from}");
        }
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let data = tempfile::tempdir().unwrap();
        let here = approvals(data.path());
        here.approve("gpu", "a".into(), || Ok(true)).unwrap();
        File::create(here.folder.join(".tmpAbCdEf")).unwrap();
        here.approve("gpu", "b".into(), || Ok(true)).unwrap();
        let left = fs::read_dir(&here.folder).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [here.file("gpu")]);
    }

    #[cfg(unix)]
    #[test]
    fn its_files_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let data = tempfile::tempdir().unwrap();
        let here = approvals(&data.path().join("remote-llm"));
        here.approve("gpu", "a".into(), || Ok(true)).unwrap();
        for (path, mode) in [(here.file("gpu"), 0o600), (here.folder.clone(), 0o700)] {
            let metadata = fs::metadata(&path).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, mode);
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        }
        let above = data.path().join("remote-llm");
        fs::set_permissions(&above, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(here.has("gpu", "a").unwrap());
        for (path, mode) in [
            (here.file("gpu"), 0o600),
            (here.folder.clone(), 0o700),
            (above, 0o700),
        ] {
            let metadata = fs::metadata(path).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, mode);
        }
    }
}
