//! Files that want to do harm.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::ssh::Environment;
use crate::ssh::ssh_config::disk::{Disk, Files, Unread};
use crate::ssh::ssh_config::found::Found;
use crate::ssh::ssh_config::parse::{self, Owner, Root};
use crate::ssh::ssh_config::{Problem, Query, alias, default, dump, parse_block};

/// Files that are nowhere.
#[derive(Default)]
struct Imagined(HashMap<PathBuf, String>);

impl Files for Imagined {
    fn read(&mut self, file: &Path, _: bool) -> Result<String, Unread> {
        let text = self.0.get(file).cloned();
        text.ok_or_else(|| Unread::Io(io::ErrorKind::NotFound.into()))
    }

    fn list(&mut self, pattern: &str) -> Result<Vec<PathBuf>, Problem> {
        Ok(vec![PathBuf::from(pattern)])
    }
}

fn root(file: &Path) -> [Root<'_>; 1] {
    [Root {
        file,
        owner: Owner::User,
    }]
}

fn resolve(file: &Path, files: &mut dyn Files) -> Result<Found, Problem> {
    let query = Query {
        host: "gpu1".to_owned(),
        port: None,
        user: None,
    };
    let environment = Environment::default();
    parse::resolve(
        &query,
        &environment,
        &root(file),
        &default::compiled(),
        files,
    )
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut files = Imagined(HashMap::from([(PathBuf::from("/c"), text.clone())]));
        let _ = resolve(Path::new("/c"), &mut files);
        let _ = parse_block(&text, &Environment::default());
        let _ = parse_block(&format!("Host a\n{text}"), &Environment::default());
        alias::of_text(&text);
        let _ = dump::read(&bytes);
    }

    #[test]
    fn any_value_is_survived(
        keyword in prop::sample::select(vec![
            "Host", "Match", "Include", "HostName", "Port", "IdentityFile", "ProxyJump", "Ciphers",
            "ConnectTimeout", "IdentityAgent", "UserKnownHostsFile", "SendEnv", "ProxyCommand", "Match host",
        ]),
        value in "[a-z0-9%${}~\\[\\]@:/,!*?\"'\\\\ =#+^.üä-]{0,24}",
    ) {
        let _ = parse_block(&format!("Host a\n{keyword} {value}\n"), &Environment::default());
    }
}

#[test]
fn files_that_include_each_other_end() {
    let mut files = Imagined(HashMap::from([
        (PathBuf::from("/a"), "Include /b\n".to_owned()),
        (PathBuf::from("/b"), "Include /a\n".to_owned()),
    ]));
    let problem = resolve(Path::new("/a"), &mut files);
    assert!(matches!(problem, Err(Problem::TooMuch(_))), "{problem:?}");
}

#[test]
fn files_that_include_each_other_many_times_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    // Without a bound these would be 2^16 files.
    let include = format!("Include {}\n", file.display());
    std::fs::write(&file, include.repeat(2)).unwrap();
    let mut disk = Disk::new(None);
    let names = alias::collect(&root(&file), &Environment::default(), &mut disk);
    assert_eq!(names, Ok(vec![]));
    let problem = resolve(&file, &mut Disk::new(None));
    assert!(matches!(problem, Err(Problem::TooMuch(_))), "{problem:?}");
}

#[test]
fn a_file_of_many_lines_is_read() {
    use std::fmt::Write as _;
    let mut text = String::new();
    for number in 0..100_000 {
        let _ = write!(
            text,
            "Host host{number} *x*y*z*\n  Port {}\n",
            number % 60_000 + 1
        );
    }
    text.push_str("Host gpu1\nPort 7\n");
    let mut files = Imagined(HashMap::from([(PathBuf::from("/c"), text)]));
    assert_eq!(resolve(Path::new("/c"), &mut files).unwrap().port, 7);
}

#[test]
fn long_values_and_lists_end() {
    for line in [
        format!("Match host {}", "*a".repeat(100_000)),
        format!("Host {}", "*a".repeat(2_000)),
        format!("ProxyJump {}", "a,".repeat(100_000)),
        format!("Ciphers -{}", "*,".repeat(100_000)),
        format!("IdentityFile {}", "%h".repeat(100_000)),
        format!("UserKnownHostsFile {}", "a ".repeat(100_000)),
        "IdentityFile /x\n".repeat(10_000),
        (0..200).map(|n| format!("IdentityFile /{n}\n")).collect(),
        "\"".repeat(100_001),
    ] {
        let _ = parse_block(&format!("Host a\n{line}\n"), &Environment::default());
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_file_says_nothing_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for file in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
        assert_eq!(resolve(file, &mut Disk::new(None)).unwrap().port, 22);
    }
}

#[test]
fn a_file_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let problem = resolve(&path, &mut Disk::new(None));
    assert!(matches!(problem, Err(Problem::TooMuch(_))), "{problem:?}");
}
