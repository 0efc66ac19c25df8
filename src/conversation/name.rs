//! Tool names as the model may see them.
//!
//! Servers accept `[a-zA-Z0-9_-]{1,64}` only. Any other name the host declared is shown to the model
//! under a stand-in (`fs.read` → `fs_read`) and turned back on the way in.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// The longest name a model is shown, in characters (all ASCII).
const MAX_LEN: usize = 64;

/// The declared tools' names, both ways.
///
/// The same declarations always give the same stand-ins, so a server's prefix cache stays warm.
#[derive(Debug, Default)]
pub(super) struct Names {
    shown: HashMap<String, String>,
    own: HashMap<String, String>,
    in_order: Vec<String>,
}

impl Names {
    /// Names that need no stand-in keep theirs, whatever was declared before them.
    pub(super) fn new<'a>(declared: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mut taken: HashSet<String> = declared
            .clone()
            .filter(|name| is_plain(name))
            .map(str::to_owned)
            .collect();
        let mut names = Self::default();
        for own in declared {
            let shown = if is_plain(own) {
                own.to_owned()
            } else {
                let free = unused(&stand_in(own), &taken);
                taken.insert(free.clone());
                free
            };
            names.own.insert(shown.clone(), own.to_owned());
            names.shown.insert(own.to_owned(), shown);
            names.in_order.push(own.to_owned());
        }
        names
    }

    /// The name to show. An undeclared one (an older prompt's, or the model's invention) is only
    /// made acceptable.
    pub(super) fn shown<'a>(&'a self, own: &'a str) -> Cow<'a, str> {
        match self.shown.get(own) {
            Some(shown) => Cow::Borrowed(shown),
            None if is_plain(own) => Cow::Borrowed(own),
            None => Cow::Owned(stand_in(own)),
        }
    }

    /// The declared name behind one the model used: the stand-in, or the real one it may know from
    /// elsewhere. `None` if no such tool is declared.
    pub(super) fn own<'a>(&'a self, used: &'a str) -> Option<&'a str> {
        self.own
            .get(used)
            .map(String::as_str)
            .or_else(|| self.shown.contains_key(used).then_some(used))
    }

    /// The names the model was shown, as declared.
    pub(super) fn all_shown(&self) -> impl Iterator<Item = &str> {
        self.in_order
            .iter()
            .filter_map(|own| self.shown.get(own))
            .map(String::as_str)
    }
}

fn is_plain(name: &str) -> bool {
    (1..=MAX_LEN).contains(&name.len()) && name.bytes().all(is_plain_byte)
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// One `_` for each character that is not allowed.
fn stand_in(name: &str) -> String {
    let plain: String = name
        .chars()
        .take(MAX_LEN)
        .map(|c| {
            if c.is_ascii() && is_plain_byte(c as u8) {
                c
            } else {
                '_'
            }
        })
        .collect();
    if plain.is_empty() {
        "tool".to_owned()
    } else {
        plain
    }
}

fn unused(wanted: &str, taken: &HashSet<String>) -> String {
    let mut candidate = wanted.to_owned();
    let mut number = 2;
    while taken.contains(&candidate) {
        let suffix = format!("_{number}");
        // A stand-in is ASCII, so characters are bytes.
        candidate = wanted.chars().take(MAX_LEN - suffix.len()).collect();
        candidate.push_str(&suffix);
        number += 1;
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(declared: &[&str]) -> Vec<String> {
        let names = Names::new(declared.iter().copied());
        for own in declared {
            let shown = names.shown(own).into_owned();
            assert_eq!(names.own(&shown), Some(*own), "{shown} leads back");
        }
        names.all_shown().map(str::to_owned).collect()
    }

    #[test]
    fn plain_names_are_shown_as_they_are() {
        assert_eq!(shown(&["read", "Web-Search_2"]), ["read", "Web-Search_2"]);
    }

    #[test]
    fn other_names_get_distinct_stand_ins_that_lead_back() {
        assert_eq!(
            shown(&["fs.read", "fs_read", "fs read", "", "größe"]),
            ["fs_read_2", "fs_read", "fs_read_3", "tool", "gr__e"]
        );
    }

    #[test]
    fn long_names_are_cut_and_stay_distinct() {
        let (one, two) = ("x".repeat(70), "x".repeat(80));
        let shown = shown(&[&one, &two]);
        assert_eq!(shown, ["x".repeat(64), format!("{}_2", "x".repeat(62))]);
    }

    #[test]
    fn the_real_name_is_understood_from_the_model_and_an_unknown_one_is_not() {
        let names = Names::new(["fs.read"].into_iter());
        assert_eq!(names.own("fs.read"), Some("fs.read"));
        assert_eq!(names.own("fs.write"), None);
        assert_eq!(names.shown("old.tool"), "old_tool");
    }
}
