//! Names that may have been meant by a name that nothing has.

use std::cmp::Reverse;

use crate::llm::model::Discovery;

/// More are no help.
const MOST: usize = 5;

/// Longer names are compared as far as this, in characters.
const LENGTH: usize = 96;

/// More models are not looked at.
const MODELS: usize = 2_000;

/// How a name is near, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    /// One is part of the other: a tag, a folder or an owner is missing.
    Part,
    /// A few slips apart.
    Slips(usize),
    /// A model of the same family, with so many characters of the name.
    Family(Reverse<usize>),
}

impl Discovery {
    /// At most five ids that may have been meant by this one, the likeliest first.
    #[must_use]
    pub fn near(&self, wanted: &str) -> Vec<&str> {
        let ids = self.models.iter().map(|model| model.id.as_str());
        let mut near: Vec<_> = ids
            .take(MODELS)
            .filter_map(|id| Some((nearness(wanted, id)?, id)))
            .collect();
        near.sort_by_key(|(nearness, _)| *nearness);
        near.into_iter().take(MOST).map(|(_, id)| id).collect()
    }
}

fn nearness(wanted: &str, id: &str) -> Option<Nearness> {
    let (wanted, id) = (plain(wanted), plain(id));
    if wanted.is_empty() || id.is_empty() {
        return None;
    }
    let shorter = wanted.len().min(id.len());
    if shorter >= 3 && (contains(&id, &wanted) || contains(&wanted, &id)) {
        return Some(Nearness::Part);
    }
    let slips = distance(&wanted, &id);
    if slips <= (shorter / 3).clamp(1, 4) {
        return Some(Nearness::Slips(slips));
    }
    let family = family(&wanted);
    let common = wanted.iter().zip(&id).take_while(|(a, b)| a == b).count();
    (family.len() >= 3 && family == self::family(&id)).then_some(Nearness::Family(Reverse(common)))
}

/// The characters that count.
fn plain(name: &str) -> Vec<char> {
    name.trim()
        .chars()
        .take(LENGTH)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

fn contains(whole: &[char], part: &[char]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// `qwen` of `org/qwen2.5-7b:latest`.
fn family(name: &[char]) -> &[char] {
    let start = name.iter().rposition(|c| *c == '/').map_or(0, |at| at + 1);
    let name = name.get(start..).unwrap_or_default();
    let end = name.iter().position(|c| !c.is_alphabetic());
    name.get(..end.unwrap_or(name.len())).unwrap_or_default()
}

/// How many characters to add, take away or change (Levenshtein's distance).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (above, y) in row.iter_mut().skip(1).zip(b) {
            let changed = diagonal + usize::from(x != y);
            diagonal = *above;
            left = changed.min(left + 1).min(diagonal + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{ApiType, Model, ServerInfo, ServerKind};
    use proptest::prelude::*;

    fn server(ids: &[&str]) -> Discovery {
        let model = |id: &&str| Model {
            id: (*id).to_owned(),
            ..Model::default()
        };
        let server = ServerInfo {
            kind: ServerKind::Generic,
            version: None,
        };
        Discovery {
            api: ApiType::Auto.choose(&server),
            server,
            models: ids.iter().map(model).collect(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn what_was_meant_comes_first() {
        let server = server(&[
            "llama3.1:8b",
            "qwen2.5-coder:7b",
            "qwen3:30b",
            "qwen3:4b",
            "org/smol-135m",
            "gpt-oss:20b",
        ]);
        for (wanted, near) in [
            ("qwen3", &["qwen3:30b", "qwen3:4b", "qwen2.5-coder:7b"][..]),
            ("qwen3:4", &["qwen3:4b", "qwen3:30b", "qwen2.5-coder:7b"]),
            ("Qwen3-4B", &["qwen3:4b", "qwen3:30b", "qwen2.5-coder:7b"]),
            ("lama3.1:8b", &["llama3.1:8b"]),
            ("smol-135m", &["org/smol-135m"]),
            ("llama4:17b", &["llama3.1:8b"]),
            ("gptoss:20b", &["gpt-oss:20b"]),
            ("mistral:7b", &[]),
            ("", &[]),
        ] {
            assert_eq!(server.near(wanted), near, "{wanted}");
        }
    }

    #[test]
    fn no_more_than_five_are_told() {
        let ids: Vec<_> = (0..20).map(|number| format!("qwen:{number}")).collect();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        assert_eq!(server(&ids).near("qwen").len(), 5);
    }

    proptest! {
        #[test]
        fn the_distance_is_one(a in "[ab]{0,8}", b in "[ab]{0,8}") {
            let (a, b) = (plain(&a), plain(&b));
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &b) <= a.len().max(b.len()));
            prop_assert!(distance(&a, &b) >= a.len().abs_diff(b.len()));
        }
    }
}
