//! Who may know whom, as `src/lib.rs` draws it, checked on the text of the sources.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ROOMS: [&str; 7] = [
    "config",
    "conversation",
    "daemon",
    "llm",
    "protocol",
    "rpc",
    "ssh",
];

/// Which other rooms a room may name.
fn may_know(room: &str) -> &'static [&'static str] {
    match room {
        "daemon" => &["config", "conversation", "llm", "protocol", "rpc", "ssh"],
        "conversation" => &["llm"],
        _ => &[],
    }
}

/// A source file without its comments and tests.
struct Source {
    path: PathBuf,
    /// The room it is in; empty for `main.rs` and `lib.rs`.
    room: String,
    lines: Vec<(usize, String)>,
}

impl Source {
    fn read(path: PathBuf, source_root: &Path) -> Self {
        let text = std::fs::read_to_string(&path).unwrap();
        let relative = path.strip_prefix(source_root).unwrap().to_owned();
        let room = match relative.components().count() {
            1 => String::new(),
            _ => relative.iter().next().unwrap().to_str().unwrap().to_owned(),
        };
        let mut lines = Vec::new();
        let mut in_test = false;
        for (number, line) in text.lines().enumerate() {
            // Tests stand at the bottom of a file.
            in_test |= line.trim_start().starts_with("#[cfg(test)]");
            let code = line.split("//").next().unwrap_or_default();
            if !in_test && !code.trim().is_empty() {
                lines.push((number + 1, code.to_owned()));
            }
        }
        Self {
            path: relative,
            room,
            lines,
        }
    }

    fn is(&self, path: &str) -> bool {
        self.path == Path::new(path)
    }

    /// Lines that contain one of these words, as `file:line: text`.
    fn lines_with(&self, needles: &[&str]) -> Vec<String> {
        self.lines
            .iter()
            .filter(|(_, line)| needles.iter().any(|needle| line.contains(needle)))
            .map(|(number, line)| format!("src/{}:{number}: {}", self.path.display(), line.trim()))
            .collect()
    }

    /// Rooms named after `crate::`, also inside braces.
    fn rooms_named(&self) -> BTreeSet<String> {
        let text: String = self.lines.iter().map(|(_, line)| line.as_str()).collect();
        let mut named = BTreeSet::new();
        for after in text.split("crate::").skip(1) {
            let list = match after.strip_prefix('{') {
                Some(inner) => top_level(inner),
                None => vec![after.to_owned()],
            };
            for item in list {
                let name: String = item
                    .trim_start()
                    .chars()
                    .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                    .collect();
                if ROOMS.contains(&name.as_str()) {
                    named.insert(name);
                }
            }
        }
        named
    }
}

/// The items of a brace list, up to its closing brace.
fn top_level(inner: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut depth = 0_i32;
    for letter in inner.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            _ => {}
        }
        if let Some(item) = items.last_mut().filter(|_| letter != ',' || depth > 0) {
            item.push(letter);
        }
    }
    items
}

fn sources() -> Vec<Source> {
    fn walk(directory: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "tests") {
                    walk(&path, into);
                }
            } else if path.extension().is_some_and(|end| end == "rs")
                && path.file_name().is_some_and(|name| name != "tests.rs")
            {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| Source::read(path, &root))
        .collect()
}

fn forbid(what: &str, needles: &[&str], allowed: impl Fn(&Source) -> bool) {
    let found: Vec<_> = sources()
        .iter()
        .filter(|source| !allowed(source))
        .flat_map(|source| source.lines_with(needles))
        .collect();
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn rooms_know_only_whom_they_may() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.room.is_empty() {
            continue;
        }
        assert!(
            ROOMS.contains(&source.room.as_str()),
            "{} is in a room that `src/lib.rs` does not have",
            source.path.display()
        );
        for named in source.rooms_named() {
            if named != source.room && !may_know(&source.room).contains(&named.as_str()) {
                wrong.push(format!("src/{} names {named}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_main_reads_the_environment() {
    forbid(
        "the environment is read outside main.rs",
        // `env::consts` is what the compiler knows.
        &[
            "std::env;",
            "std::env::{",
            "env::var",
            "env::args",
            "env::current_",
            "env::temp_dir",
            "home_dir()",
        ],
        |source| source.is("main.rs"),
    );
}

#[test]
fn only_main_names_stderr_and_ends_the_process() {
    forbid(
        "stderr or the end of the process outside main.rs",
        &["stderr(", "eprint", "process::exit", "process::abort"],
        // The pipes of a child have the same names.
        |source| source.is("main.rs") || source.is("ssh/child.rs"),
    );
}

#[test]
fn only_the_stdio_thread_names_stdin_and_stdout() {
    forbid(
        "stdin or stdout outside rpc/reader.rs and main.rs",
        &["stdout()", "stdin()", "println!", "print!("],
        // The last one is a test.
        |source| {
            ["rpc/reader.rs", "main.rs", "ssh/child.rs", "fuzz_inputs.rs"]
                .iter()
                .any(|path| source.is(path))
        },
    );
}

#[test]
fn libraries_stay_behind_the_doors_of_their_rooms() {
    for (library, room) in [
        ("russh", "ssh"),
        ("jsonrpsee", "rpc"),
        ("hyper", "llm"),
        ("rusqlite", "conversation"),
    ] {
        let paths = [format!("{library}::"), format!("{library}_")];
        let needles: Vec<&str> = paths.iter().map(String::as_str).collect();
        forbid(
            &format!("{library} outside src/{room}"),
            &needles,
            |source| source.room == room,
        );
    }
}

#[test]
fn a_braced_import_is_seen() {
    assert_eq!(
        top_level("ssh::{self, Pool}, llm::Server}; use crate::config;"),
        ["ssh::{self, Pool}", " llm::Server"]
    );
}
