//! Programs that profiles start: only those that this user saved on this machine.
//!
//! A profile may come with a checked-out project, and its proxy command would run on this
//! machine. So every command that is saved through us is noted in the user's own data folder,
//! and one that is not noted there is not run. Everything here blocks.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::error::Error;
use super::private::{append_to, create_folder};
use super::profile::Profile;

const FILE: &str = "approved_commands";

/// More is read of no such file.
const FILE_BYTES: u64 = 4 << 20;

/// What this user approved of, for one project.
#[derive(Debug, Clone)]
pub struct Approvals {
    file: PathBuf,
    /// `None`: profiles live in memory, so they can only come from this user.
    project: Option<PathBuf>,
}

impl Approvals {
    /// Touches no file.
    #[must_use]
    pub fn new(data_dir: &Path, project: Option<PathBuf>) -> Self {
        Self {
            file: data_dir.join(FILE),
            project,
        }
    }

    /// Whether a profile starts any program, so that there is anything to ask here. Touches
    /// no file.
    #[must_use]
    pub fn concern(profile: &Profile) -> bool {
        commands(profile).next().is_some()
    }

    /// Notes the commands of a profile that the user has just saved.
    ///
    /// # Errors
    /// [`Error::Io`]; then the commands will not be run.
    pub fn approve(&self, profile: &Profile) -> Result<(), Error> {
        let Some(project) = &self.project else {
            return Ok(());
        };
        let known = self.read()?;
        let new: String = commands(profile)
            .map(|(field, command)| line(project, profile, &field, command))
            .filter(|line| !known.lines().any(|known| known == line))
            .map(|line| line + "\n")
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        self.append(&new).map_err(Error::io(&self.file))
    }

    /// The first field of a profile that would run a command this user did not save.
    ///
    /// # Errors
    /// [`Error::Io`] when that can't be known.
    pub fn unapproved(&self, profile: &Profile) -> Result<Option<String>, Error> {
        let Some(project) = &self.project else {
            return Ok(None);
        };
        let known = self.read()?;
        let is_unknown = |(field, command): &(String, &str)| {
            let line = line(project, profile, field, command);
            !known.lines().any(|known| known == line)
        };
        Ok(commands(profile).find(is_unknown).map(|(field, _)| field))
    }

    fn read(&self) -> Result<String, Error> {
        let mut text = String::new();
        let read =
            File::open(&self.file).and_then(|file| file.take(FILE_BYTES).read_to_string(&mut text));
        match read {
            Ok(_) => Ok(text),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(Error::io(&self.file)(error)),
        }
    }

    /// One write, so that two processes never mix their lines.
    fn append(&self, lines: &str) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            create_folder(folder)?;
        }
        let mut file = append_to(&self.file)?;
        file.write_all(lines.as_bytes())?;
        file.sync_all()
    }
}

/// Every command of a profile, with its field.
fn commands(profile: &Profile) -> impl Iterator<Item = (String, &str)> {
    let jumps = profile.ssh.jump_hosts.iter().enumerate();
    let jumps = jumps.map(|(index, jump)| (format!("ssh.jumpHosts[{index}]"), jump));
    jumps
        .chain([("ssh".to_owned(), &profile.ssh)])
        .filter_map(|(at, ssh)| Some((format!("{at}.proxyCommand"), ssh.proxy_command.as_deref()?)))
}

fn line(project: &Path, profile: &Profile, field: &str, command: &str) -> String {
    json!({
        "project": project.to_string_lossy(),
        "configId": profile.id,
        "field": field,
        "command": command,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SshProfile;

    fn profile(command: &str) -> Profile {
        let mut profile = Profile {
            id: "gpu".to_owned(),
            ..Profile::default()
        };
        profile.ssh.jump_hosts.push(SshProfile {
            proxy_command: Some(command.to_owned()),
            ..SshProfile::default()
        });
        profile
    }

    #[test]
    fn only_what_was_saved_here_for_this_project_and_place_is_approved() {
        let data = tempfile::tempdir().unwrap();
        let approvals = |project: &str| Approvals::new(data.path(), Some(project.into()));
        let here = approvals("/here");
        let field = Some("ssh.jumpHosts[0].proxyCommand".to_owned());
        assert_eq!(here.unapproved(&profile("a\nb")).unwrap(), field);
        here.approve(&profile("a\nb")).unwrap();
        here.approve(&profile("a\nb")).unwrap();
        assert_eq!(here.unapproved(&profile("a\nb")).unwrap(), None);
        assert_eq!(here.unapproved(&profile("a")).unwrap(), field);
        assert_eq!(
            approvals("/there").unapproved(&profile("a\nb")).unwrap(),
            field
        );
        let other = Profile {
            id: "other".to_owned(),
            ..profile("a\nb")
        };
        assert_eq!(here.unapproved(&other).unwrap(), field);
        assert_eq!(here.unapproved(&Profile::default()).unwrap(), None);
        assert!(Approvals::concern(&other) && !Approvals::concern(&Profile::default()));
        let text = std::fs::read_to_string(data.path().join(FILE)).unwrap();
        assert_eq!(text.lines().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("remote-llm");
        Approvals::new(&folder, Some("/here".into()))
            .approve(&profile("a"))
            .unwrap();
        for (path, mode) in [(folder.join(FILE), 0o600), (folder, 0o700)] {
            let metadata = std::fs::metadata(path).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, mode);
        }
    }
}
