//! The same files for the real `ssh` and for our own reading, and a comparison of all
//! that comes out.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::ssh::ssh_config::directive::{self, Effect};
use crate::ssh::ssh_config::disk::Disk;
use crate::ssh::ssh_config::dump;
use crate::ssh::ssh_config::found::Found;
use crate::ssh::ssh_config::parse::{self, Owner, Root};
use crate::ssh::ssh_config::value::Values;
use crate::ssh::ssh_config::{Problem, Query, settings, warning};
use crate::ssh::{Environment, LocalUser};

/// The real `ssh`, if it is there. As with the real peers of `tests/it`, a missing one is
/// said on stderr, and is a failure where `PUFFIN_REQUIRE_PEERS` is 1.
pub(super) fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("ssh"))
        .find(|file| file.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("PUFFIN_REQUIRE_PEERS").is_none_or(|value| value != "1"),
            "real peer ssh is required and missing"
        );
        std::io::stderr()
            .write_all(b"SKIPPED real peer ssh: ssh is not installed; ./check installs it\n")
            .unwrap();
    }
    found
}

/// This account, with a few variables.
pub(super) fn environment() -> Environment {
    let account = nix::unistd::User::from_uid(nix::unistd::getuid())
        .unwrap()
        .unwrap();
    let variables = [
        ("HOME", account.dir.to_str().unwrap()),
        ("PATH", "/usr/bin:/bin"),
        ("PUFFIN_TEST_DIR", "/keys/of me"),
        ("PUFFIN_TEST_EMPTY", ""),
        ("SSH_AUTH_SOCK", "/run/agent.sock"),
    ];
    Environment {
        home: Some(account.dir.clone()),
        local_user: LocalUser {
            name: Some(account.name),
            id: Some(account.uid.to_string()),
            home: Some(account.dir.clone()),
        },
        local_host_name: nix::unistd::gethostname().unwrap().into_string().unwrap(),
        variables: variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ..Environment::default()
    }
}

pub(super) fn query(host: &str) -> Query {
    Query {
        host: host.to_owned(),
        port: None,
        user: None,
    }
}

/// A folder of files for one case after another, and who judges them.
pub(super) struct Oracle {
    program: PathBuf,
    pub(super) environment: Environment,
    folder: TempDir,
    defaults: Values,
}

impl Oracle {
    pub(super) fn new(program: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut oracle = Self {
            program,
            environment: environment(),
            folder,
            defaults: Values::default(),
        };
        let (_, dump) = oracle.ask(Path::new("none"), &query("host"));
        oracle.defaults = dump.unwrap().values;
        oracle
    }

    /// Writes a file; `{dir}` in its text stands for the folder.
    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let text = text.replace("{dir}", self.folder.path().to_str().unwrap());
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    fn ask(&self, file: &Path, query: &Query) -> (String, Option<dump::Dump>) {
        let mut command = Command::new(&self.program);
        command.args(["-G", "-N", "-F"]).arg(file);
        if let Some(port) = query.port {
            command.args(["-p", &port.to_string()]);
        }
        if let Some(user) = &query.user {
            command.args(["-l", user]);
        }
        let output = command
            .args(["--", &query.host])
            .env_clear()
            .envs(self.environment.variables.iter())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let dump = output
            .status
            .success()
            .then(|| dump::read(&output.stdout).unwrap_or_else(|| panic!("{output:?}")));
        (String::from_utf8_lossy(&output.stderr).into_owned(), dump)
    }

    fn read(&self, file: &Path, query: &Query) -> Result<Found, Problem> {
        let roots = [Root {
            file,
            owner: Owner::User,
        }];
        let mut disk = Disk::new(self.environment.local_user.id.as_deref());
        parse::resolve(query, &self.environment, &roots, &self.defaults, &mut disk)
    }

    /// Whether `ssh` takes the text and we do not.
    pub(super) fn is_stricter(&self, text: &str, query: &Query) -> bool {
        let file = self.write("config", text);
        let (_, dump) = self.ask(&file, query);
        dump.is_some() && self.read(&file, query).is_err()
    }

    /// Whether we take the text and `ssh` does not.
    pub(super) fn is_laxer(&self, text: &str, query: &Query) -> bool {
        let file = self.write("config", text);
        let (_, dump) = self.ask(&file, query);
        dump.is_none() && self.read(&file, query).is_ok()
    }

    /// Fails unless our own reading of the text equals that of `ssh`. Returns whether the
    /// two took it (and did not both refuse it).
    pub(super) fn judge(&self, text: &str, query: &Query) -> bool {
        let file = self.write("config", text);
        let (said, dump) = self.ask(&file, query);
        let ours = self.read(&file, query);
        let case = format!("{query:?} with\n{text}\n(ssh: {said})");
        let (dump, ours) = match (dump, ours) {
            (None, Err(_)) => return false,
            // ssh -G expands some values, too.
            (None, Ok(ours)) if settings::settle(&ours, &self.environment).is_err() => {
                return false;
            }
            (None, Ok(ours)) => panic!("only ssh refuses {case}: {ours:?}"),
            (Some(_), Err(problem)) => panic!("only we refuse {case}: {problem}"),
            (Some(dump), Ok(ours)) => (dump, ours),
        };
        let theirs = Found {
            original: query.host.clone(),
            host: dump.host,
            port: dump.port,
            user: Some(dump.user),
            values: {
                let mut values = dump.values.without(&self.defaults);
                values.0.remove("ignoreunknown");
                settings::split_alike(&mut values, &ours, &self.environment);
                values
            },
            is_expanded: true,
            is_keepalive_off: ours.is_keepalive_off,
            keeps_host_key_order: ours.keeps_host_key_order,
            is_canonicalized: true,
            commands: Vec::new(),
            notes: Vec::new(),
        };
        assert_eq!(raw(&ours), raw(&theirs), "{case}");
        let none = Values::default();
        assert_eq!(
            warning::sentences(
                &Found {
                    is_canonicalized: true,
                    ..ours.clone()
                },
                &none
            ),
            warning::sentences(&theirs, &none),
            "{case}"
        );
        let final_ours = settings::settle(&ours, &self.environment);
        let final_theirs = settings::settle(&theirs, &self.environment);
        assert_eq!(final_ours, final_theirs, "{case}");
        true
    }
}

/// What both print before anything is expanded.
fn raw(found: &Found) -> Found {
    let values = found.values.0.iter().filter(|(key, _)| {
        let is_honoured =
            directive::find(key).is_some_and(|directive| directive.effect == Effect::Honoured);
        // ssh -G expands two of these, and prints a jump in its own form.
        let is_changed = matches!(
            key.as_str(),
            "userknownhostsfile" | "identityagent" | "proxyjump"
        );
        is_honoured && !is_changed
    });
    let values = values.map(|(key, value)| (key.clone(), value.clone()));
    Found {
        values: Values(values.collect()),
        is_expanded: false,
        is_canonicalized: false,
        commands: Vec::new(),
        notes: Vec::new(),
        ..found.clone()
    }
}
