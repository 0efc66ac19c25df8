use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use russh::keys::{Algorithm, PrivateKey, PublicKey};

use super::*;

fn key() -> PublicKey {
    let mut rng = russh::keys::key::safe_rng();
    let key = PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap();
    PublicKey::new(key.public_key().key_data().clone(), "")
}

fn ecdsa() -> PublicKey {
    let curve = russh::keys::EcdsaCurve::NistP256;
    let mut rng = russh::keys::key::safe_rng();
    let key = PrivateKey::random(&mut rng, Algorithm::Ecdsa { curve }).unwrap();
    PublicKey::new(key.public_key().key_data().clone(), "")
}

fn text(key: &PublicKey) -> String {
    key.to_openssh().unwrap().trim_end().to_owned()
}

struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn judge(&self, content: &str, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let file = self.write("known_hosts", content);
        Records::read(&[file], &HostName::new(host, port), Some(key))
            .unwrap()
            .judge(key)
    }
}

/// What a verdict is about, for tables.
fn short(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Known => "known",
        Verdict::Changed(_) => "changed",
        Verdict::Revoked { .. } => "revoked",
        Verdict::Unknown {
            on_port_22: true, ..
        } => "known on port 22",
        Verdict::Unknown {
            authority_expected: true,
            ..
        } => "authority expected",
        Verdict::Unknown { .. } => "unknown",
    }
}

#[test]
fn verdicts_are_those_of_ssh() {
    let fixture = Fixture::new();
    let (a, b, other_type) = (key(), key(), ecdsa());
    let (ka, kb, ke) = (text(&a), text(&b), text(&other_type));
    for (content, host, port, expected) in [
        // The nine cases that russh's own helper gets wrong.
        (format!("@revoked h {ka}\nh {ka}\n"), "h", 22, "revoked"),
        (format!("!h,h {ka}\n"), "h", 22, "unknown"),
        (format!("h {ke}\n"), "h", 22, "changed"),
        (
            format!("*.example.com {ka}\n"),
            "gpu.example.com",
            22,
            "known",
        ),
        (format!("h {ka}\n"), "H", 22, "known"),
        (format!("H {ka}\n"), "h", 22, "known"),
        (format!("h\t{}\n", ka.replace(' ', "\t")), "h", 22, "known"),
        (format!("  \t h {ka}\n"), "h", 22, "known"),
        (format!("h  {}\n", ka.replace(' ', "  ")), "h", 22, "known"),
        // And the plain ones.
        (String::new(), "h", 22, "unknown"),
        (format!("h {ka}"), "h", 22, "known"),
        (format!("h {kb}\n"), "h", 22, "changed"),
        (format!("h {kb}\nh {ka}\n"), "h", 22, "known"),
        (format!("g,h,i {ka} comment\n"), "h", 22, "known"),
        (format!("[h]:2222 {ka}\n"), "h", 2222, "known"),
        (format!("[h]:2222 {ka}\n"), "h", 22, "unknown"),
        (format!("h {ka}\n"), "h", 2222, "known on port 22"),
        (format!("h {kb}\n"), "h", 2222, "unknown"),
        (format!("h {ka}\n[h]:2222 {kb}\n"), "h", 2222, "changed"),
        (
            format!("@cert-authority * {ka}\n"),
            "h",
            22,
            "authority expected",
        ),
        (
            format!("@cert-authority h {ka}\nh {kb}\n"),
            "h",
            22,
            "changed",
        ),
        (format!("@revoked * {ka}\n"), "h", 22, "revoked"),
        (format!("@revoked * {kb}\nh {ka}\n"), "h", 22, "known"),
        (format!("@revoked other {ka}\nh {ka}\n"), "h", 22, "known"),
        (format!("#h {ka}\n\n# x\nh {kb}\n"), "h", 22, "changed"),
        (format!("h {ka}\r\n"), "h", 22, "known"),
        (format!("h garbage\nh {ka}\n"), "h", 22, "known"),
        ("h ssh-ed25519 garbage\n".into(), "h", 22, "unknown"),
        // Stricter than ssh: a revocation is never overheard.
        ("@revoked h garbage\n".into(), "h", 22, "revoked"),
        (format!("@revoked h {ka}\n"), "h", 2222, "revoked"),
        (format!("@revoked\th {ka}\n"), "h", 22, "revoked"),
    ] {
        assert_eq!(
            short(&fixture.judge(&content, host, port, &a)),
            expected,
            "{host}:{port} with {content:?}"
        );
    }
}

#[test]
fn a_changed_key_is_reported_with_its_line_counting_comments() {
    let fixture = Fixture::new();
    let (shown, recorded) = (key(), key());
    let verdict = fixture.judge(
        &format!("# one\n\n# three\nh {}\n", text(&recorded)),
        "h",
        22,
        &shown,
    );
    assert_eq!(
        verdict,
        Verdict::Changed(vec![KnownKey {
            key: describe(&recorded),
            file: fixture.path("known_hosts"),
            line: 4,
        }])
    );
}

#[test]
fn other_names_of_the_key_are_told() {
    let fixture = Fixture::new();
    let shown = key();
    let verdict = fixture.judge(&format!("10.0.0.7,old {}\n", text(&shown)), "h", 22, &shown);
    assert_eq!(
        verdict,
        Verdict::Unknown {
            authority_expected: false,
            on_port_22: false,
            known_as: vec![KnownAs {
                names: "10.0.0.7,old".into(),
                file: fixture.path("known_hosts"),
                line: 1,
            }],
        }
    );
}

#[test]
fn all_files_are_heard_and_a_missing_one_says_nothing() {
    let fixture = Fixture::new();
    let shown = key();
    let user = fixture.write("user", format!("h {}\n", text(&shown)));
    let global = fixture.write("global", format!("@revoked h {}\n", text(&shown)));
    let missing = fixture.path("missing");
    let name = HostName::new("h", 22);
    let judge =
        |files: &[PathBuf]| short(&Records::read(files, &name, None).unwrap().judge(&shown));
    assert_eq!(judge(&[missing.clone(), user.clone()]), "known");
    assert_eq!(judge(&[user, missing, global]), "revoked");
    assert_eq!(judge(&["/dev/null".into()]), "unknown");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let fixture = Fixture::new();
    let directory = fixture.directory.path().to_owned();
    assert!(matches!(
        Records::read(&[directory], &HostName::new("h", 22), None),
        Err(Cause::KnownHostsUnreadable { .. })
    ));
}

#[test]
fn recorded_types_are_asked_for_first() {
    let fixture = Fixture::new();
    let file = fixture.write(
        "known_hosts",
        format!("[h]:2222 {}\nh {}\n", text(&ecdsa()), text(&key())),
    );
    let types = |port| {
        Records::read(std::slice::from_ref(&file), &HostName::new("h", port), None)
            .unwrap()
            .preference()
            .keys
            .iter()
            .map(|t| t.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(types(2222), ["ecdsa-sha2-nistp256"]);
    assert_eq!(types(22), ["ssh-ed25519"]);
    assert_eq!(types(2223), [""; 0]);
}

#[test]
fn a_revoked_key_does_not_make_its_type_come_first() {
    let fixture = Fixture::new();
    let (old, new, other) = (text(&key()), text(&key()), text(&ecdsa()));
    let types = |lines: String| {
        let file = fixture.write("known_hosts", lines);
        Records::read(&[file], &HostName::new("h", 22), None)
            .unwrap()
            .preference()
            .keys
            .iter()
            .map(|t| t.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    let both = ["ssh-ed25519", "ecdsa-sha2-nistp256"];
    assert_eq!(types(format!("h {old}\nh {other}\n")), both);
    let revoked = format!("h {old}\nh {other}\n@revoked * {old}\n");
    assert_eq!(types(revoked), both[1..]);
    // The first one of a type decides.
    let revoked = format!("h {old}\nh {new}\n@revoked * {new}\n");
    assert_eq!(types(revoked), both[..1]);
}

#[test]
fn an_appended_key_is_found_again_and_only_added_once() {
    let fixture = Fixture::new();
    let file = fixture.path("new/dir/known_hosts");
    let (a, b) = (key(), key());
    let name = HostName::new("Gpu1", 2222);
    assert_eq!(append(&file, &name, &a).unwrap(), Appended::Recorded);
    assert_eq!(append(&file, &name, &a).unwrap(), Appended::Recorded);
    assert_eq!(append(&file, &name, &b).unwrap(), Appended::Contradicted);
    // Somebody edits the file and forgets the last line feed.
    let content = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, content.trim_end()).unwrap();
    append(&file, &HostName::new("other", 22), &b).unwrap();

    let content = std::fs::read_to_string(&file).unwrap();
    assert_eq!(content.lines().count(), 2);
    assert!(content.ends_with('\n'));
    assert!(
        content.lines().all(|line| line.starts_with("|1|")),
        "{content}"
    );
    let records = Records::read(std::slice::from_ref(&file), &name, None).unwrap();
    assert_eq!(records.judge(&a), Verdict::Known);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
    }
}

proptest! {
    #[test]
    fn any_file_is_survived(content: Vec<u8>) {
        let fixture = Fixture::new();
        let file = fixture.write("known_hosts", content);
        let shown = key();
        Records::read(&[file], &HostName::new("h", 22), Some(&shown)).unwrap().judge(&shown);
    }
}

/// The lines that ssh-keygen finds, with their markers.
fn oracle(file: &Path, host: &str) -> Vec<(u64, Marker)> {
    let output = Command::new("ssh-keygen")
        .args(["-l", "-F", host, "-f"])
        .arg(file)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.strip_prefix("# Host ")?.split_once(" found: line "))
        .map(|(_, found)| {
            let (line, marker) = found.split_once(' ').unwrap_or((found, ""));
            let marker = match marker.trim() {
                "CA" => Marker::Authority,
                "REVOKED" => Marker::Revoked,
                _ => Marker::None,
            };
            (line.trim().parse().unwrap(), marker)
        })
        .collect()
}

/// Files of odd layout, searched by `ssh-keygen -F` and by us.
#[test]
fn generated_files_are_read_as_ssh_keygen_reads_them() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        eprintln!("skipped: no ssh-keygen");
        return;
    }
    let cases = std::env::var("KNOWN_HOSTS_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(200);
    let keys = [text(&key()), text(&key()), text(&ecdsa())];
    let hashed = |host: &str| pattern::hash(host, &[9; 20]).unwrap();
    let names: Vec<String> = [
        "h",
        "H",
        "g",
        "h,g",
        "g,h",
        "!h,h",
        "h,!h",
        "*",
        "?",
        "h*",
        "*.example",
        "!*",
        "*,!h",
        "[h]:2222",
        "[H]:2222",
        "[h]:*",
        "[*]:2222",
        "h.example",
        "H.Example",
        ",h",
        "h,",
        ",",
        "h,,g",
        "!",
        "!g,h",
        "hh",
        "|1|bad",
        "[h]",
        "[h]:22",
        "h h",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([
        hashed("h"),
        hashed("[h]:2222"),
        hashed("H"),
        format!("{},h", hashed("h")),
    ])
    .collect();
    let line = (
        prop::sample::select(vec!["", "", "", " ", "\t", " \t "]),
        prop::sample::select(vec![
            "",
            "",
            "",
            "",
            "@revoked ",
            "@cert-authority ",
            "@cert-authority  ",
            "@other ",
            "@revoked \t",
            "#",
            "@ ",
        ]),
        prop::sample::select(names),
        prop::sample::select(vec![" ", "  ", "\t", " \t", ""]),
        prop::sample::select(
            keys.iter()
                .cloned()
                .chain([
                    keys[0].replace(' ', "\t "),
                    format!("{} comment # x", keys[1]),
                    keys[0].replace("ssh-ed25519", "ssh-rsa"),
                    keys[0].replace("ssh-ed25519", "ED25519"),
                    keys[0].replace('A', ""),
                    format!("{}=", keys[0]),
                    "1024 35 123456".into(),
                    "ssh-ed25519".into(),
                    String::new(),
                ])
                .collect::<Vec<_>>(),
        ),
        prop::sample::select(vec!["\n", "\n", "\n", "\r\n", " \n", "\n\n"]),
    )
        .prop_map(|(indent, marker, names, gap, key, end)| {
            format!("{indent}{marker}{names}{gap}{key}{end}")
        });
    let files = prop::collection::vec(line, 1..12).prop_map(|lines| lines.concat());
    let fixture = Fixture::new();
    let found = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&files, |content| {
            let file = fixture.write("generated", &content);
            for (host, port) in [("h", 22), ("h", 2222), ("h.example", 22)] {
                let name = HostName::new(host, port);
                let ours: Vec<_> = Records::read(std::slice::from_ref(&file), &name, None)
                    .unwrap()
                    .entries
                    .iter()
                    .filter(|entry| !entry.by_bare_name && entry.key.is_some())
                    .map(|entry| (entry.line, entry.marker))
                    .collect();
                found.set(found.get() + ours.len());
                prop_assert_eq!(&ours, &oracle(&file, &name.full), "{}", name.full);
            }
            Ok(())
        })
        .unwrap();
    // The comparison was not one of empty lists.
    assert!(found.get() > cases as usize / 4, "{}", found.get());
}
