//! Cases by chance, out of the parts that known_hosts files are made of.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use super::cases::Case;
use super::*;

/// A name, and whether it means the host with its port, or without.
const NAMES: [(&str, bool, bool); 20] = [
    ("[127.0.0.1]:PORT", true, false),
    ("[127.0.0.1]:PORT", true, false),
    ("[127.0.0.1]:PORT", true, false),
    ("[127.0.0.1]:*", true, false),
    ("gpu1,[127.0.0.1]:PORT", true, false),
    ("[127.0.0.?]:PORT,!gpu1", true, false),
    ("*", true, true),
    ("127.*,[127.*", true, true),
    ("#{[127.0.0.1]:PORT}", true, false),
    ("![127.0.0.1]:PORT,*", false, true),
    ("!*,*", false, false),
    ("127.0.0.1", false, true),
    ("127.0.0.1,gpu1", false, true),
    ("#{127.0.0.1}", false, true),
    ("[127.0.0.1]:22", false, false),
    ("127.0.0.1:PORT", false, false),
    ("gpu1", false, false),
    ("|1|bad|bad", false, false),
    ("[localhost]:PORT", false, false),
    (",", false, false),
];

const MARKERS: [&str; 10] = [
    "",
    "",
    "",
    "",
    "",
    "@cert-authority ",
    "@cert-authority  ",
    "@revoked ",
    "@unknown ",
    "#",
];

const KEYS: [&str; 15] = [
    "<ed>",
    "<ed>",
    "<ed> comment",
    "<ec>",
    "<ec>",
    "<rsa>",
    "<x>",
    "<x>",
    "<xec>",
    "<xrsa>",
    "<ca>",
    "<ca>",
    "<ca2>",
    "<cert>",
    "ssh-ed25519 AAAA",
];

#[derive(Debug, Clone)]
struct Line {
    indent: &'static str,
    marker: &'static str,
    names: (&'static str, bool, bool),
    gap: &'static str,
    key: &'static str,
    end: &'static str,
}

impl Line {
    fn text(&self) -> String {
        let Self {
            indent,
            marker,
            names,
            gap,
            key,
            end,
        } = self;
        format!("{indent}{marker}{}{gap}{key}{end}", names.0)
    }

    /// Why this line may make us differ.
    fn reasons(&self) -> Vec<Kept> {
        let (_, full, bare) = self.names;
        let garbage = self.key.ends_with("AAAA");
        match self.marker.trim() {
            "" if bare && !full => vec![Kept::PortlessName],
            "@cert-authority" if full || bare => {
                vec![Kept::AuthorityExpected, Kept::InvalidCertificate]
            }
            "@revoked" if garbage && (full || bare) => vec![Kept::UnreadableRevocation],
            "@revoked" if bare && !full => vec![Kept::PortlessRevocation],
            _ => vec![],
        }
    }
}

/// As many cases as `KNOWN_HOSTS_CASES` says, other ones each time; without it
/// the same ones each time, for a failure must not depend on luck.
pub(super) fn cases(count: usize) -> Vec<Case> {
    let wanted = std::env::var("KNOWN_HOSTS_CASES")
        .ok()
        .and_then(|count| count.parse().ok());
    let mut runner = match wanted {
        Some(_) => TestRunner::new(Config::default()),
        None => TestRunner::deterministic(),
    };
    let line = (
        prop::sample::select(vec!["", "", "", " ", "\t"]),
        prop::sample::select(MARKERS.to_vec()),
        prop::sample::select(NAMES.to_vec()),
        prop::sample::select(vec![" ", " ", "  ", "\t", " \t"]),
        prop::sample::select(KEYS.to_vec()),
        prop::sample::select(vec!["\n", "\n", "\r\n", " \n", "\n\n", "\n# x\n"]),
    )
        .prop_map(|(indent, marker, names, gap, key, end)| Line {
            indent,
            marker,
            names,
            gap,
            key,
            end,
        });
    let policies = [
        HostKeyPolicy::Ask,
        HostKeyPolicy::AcceptNew,
        HostKeyPolicy::Strict,
    ];
    let strategy = (
        prop::sample::select(ALL.to_vec()),
        prop::sample::select(policies.to_vec()),
        prop::collection::vec(line.clone(), 1..5),
        prop::collection::vec(line, 0..2),
    )
        .prop_map(|(server, policy, user, global)| {
            let text = |lines: &[Line]| lines.iter().map(Line::text).collect::<String>();
            Case {
                policy,
                global: text(&global),
                reasons: user.iter().chain(&global).flat_map(Line::reasons).collect(),
                ..Case::new(server, &text(&user))
            }
        });
    (0..wanted.unwrap_or(count))
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}
