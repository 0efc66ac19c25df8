//! Include: which files a pattern stands for, as glob(3) finds them.

use std::path::{Path, PathBuf};

/// Files that one pattern may stand for.
const MAX_FILES: usize = 1024;

/// Folders that are looked into for one pattern.
const MAX_FOLDERS: usize = 4096;

/// The files in order; a pattern that fits nothing stands for none. `None` if there are
/// far too many.
pub(super) fn expand(pattern: &str) -> Option<Vec<PathBuf>> {
    let (mut found, rest) = match pattern.strip_prefix('/') {
        Some(rest) => (vec![PathBuf::from("/")], rest),
        None => (vec![PathBuf::new()], pattern),
    };
    let mut folders = 0;
    for part in rest.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        if has_wildcard(part) {
            for folder in &found {
                folders += 1;
                next.extend(fitting(folder, part));
                if folders > MAX_FOLDERS || next.len() > MAX_FILES {
                    return None;
                }
            }
        } else {
            let name = unescaped(part);
            next.extend(
                found
                    .iter()
                    .map(|folder| folder.join(&name))
                    .filter(|path| path.symlink_metadata().is_ok()),
            );
        }
        found = next;
    }
    Some(found)
}

fn has_wildcard(part: &str) -> bool {
    part.contains(['*', '?', '['])
}

/// The entries of a folder that fit, in the order of their bytes.
fn fitting(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let place = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let Ok(entries) = place.read_dir() else {
        return Vec::new();
    };
    let pattern: Vec<char> = pattern.chars().collect();
    let mut names: Vec<_> = entries
        .take(MAX_FILES * 16)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            let name: Vec<char> = name.chars().collect();
            // A dot at the beginning has to be written.
            (name.first() != Some(&'.') || pattern.first() == Some(&'.')) && fits(&pattern, &name)
        })
        .collect();
    names.sort_unstable();
    names.into_iter().map(|name| folder.join(name)).collect()
}

fn unescaped(part: &str) -> String {
    let mut name = String::new();
    let mut characters = part.chars();
    while let Some(character) = characters.next() {
        name.push(match character {
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        });
    }
    name
}

/// Whether a name fits; the last `*` takes one character more whenever the rest does not fit.
fn fits(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&'*') {
            p += 1;
            retry = Some((p, n));
            continue;
        }
        if p == pattern.len() && n == name.len() {
            return true;
        }
        let step = name
            .get(n)
            .and_then(|character| one(pattern.get(p..)?, *character));
        match (step, retry) {
            (Some(length), _) => {
                p += length;
                n += 1;
            }
            (None, Some((after_star, swallowed))) if swallowed < name.len() => {
                retry = Some((after_star, swallowed + 1));
                p = after_star;
                n = swallowed + 1;
            }
            (None, _) => return false,
        }
    }
}

/// How much of the pattern stands for this one character, if it fits.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match pattern {
        [] => None,
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == character).then_some(2),
        ['[', rest @ ..] => match set(rest, character) {
            Some((true, length)) => Some(length + 1),
            Some((false, _)) => None,
            // A bracket that is never closed is a bracket.
            None => (character == '[').then_some(1),
        },
        [plain, ..] => (*plain == character).then_some(1),
    }
}

/// Whether a character is in a set such as `a-z]`, and how long that is.
fn set(pattern: &[char], character: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.first(), Some('!' | '^'));
    let begin = usize::from(negated);
    let mut at = begin;
    let mut found = false;
    loop {
        let first = *pattern.get(at)?;
        if first == ']' && at > begin {
            return Some((found != negated, at + 1));
        }
        let first = if first == '\\' {
            at += 1;
            *pattern.get(at)?
        } else {
            first
        };
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some('-'), Some(last)) if *last != ']' => {
                found |= (first..=*last).contains(&character);
                at += 3;
            }
            _ => {
                found |= first == character;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        let characters = |text: &str| text.chars().collect::<Vec<_>>();
        fits(&characters(pattern), &characters(name))
    }

    #[test]
    fn patterns_fit_as_in_glob() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("[0-9]?-*", "10-a", true),
            ("[!0-9]*", "10-a", false),
            ("[]a]", "]", true),
            ("[a", "[a", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            ("a**b", "axb", true),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_found_in_order_and_hidden_ones_only_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a", ".c", "d*"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let expand = |pattern: &str| {
            let found = expand(&format!("{}/{pattern}", folder.path().display())).unwrap();
            let names = found
                .iter()
                .map(|path| path.strip_prefix(folder.path()).unwrap());
            names
                .map(|name| name.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(expand("*"), ["a", "b", "d*"]);
        assert_eq!(expand(".*"), [".c"]);
        assert_eq!(expand(r"d\*"), ["d*"]);
        assert_eq!(expand("nothing"), Vec::<String>::new());
        assert_eq!(expand("nothing/*"), Vec::<String>::new());
    }
}
