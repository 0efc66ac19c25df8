//! Tool names as servers accept them: `[A-Za-z0-9_-]{1,64}`, with a way back.

use std::collections::{HashMap, HashSet};

/// The tools of one request. A name that a server would refuse travels under another one.
#[derive(Debug, Clone, Default)]
pub(in crate::llm) struct Names {
    to_wire: HashMap<String, String>,
    from_wire: HashMap<String, String>,
}

const LONGEST: usize = 64;

impl Names {
    pub(in crate::llm) fn new<'a>(names: impl IntoIterator<Item = &'a str> + Clone) -> Self {
        // Names that can stay as they are have the first claim.
        let mut taken: HashSet<String> = names
            .clone()
            .into_iter()
            .filter(|name| is_fit(name))
            .map(str::to_owned)
            .collect();
        let mut map = Self::default();
        for name in names {
            if is_fit(name) || map.to_wire.contains_key(name) {
                continue;
            }
            let base = fit(name);
            let mut wire = base.clone();
            let mut number = 2;
            while !taken.insert(wire.clone()) {
                let suffix = format!("_{number}");
                // What is fit is ASCII, so characters are bytes.
                wire = base.chars().take(LONGEST - suffix.len()).collect();
                wire.push_str(&suffix);
                number += 1;
            }
            map.from_wire.insert(wire.clone(), name.to_owned());
            map.to_wire.insert(name.to_owned(), wire);
        }
        map
    }

    /// The name to send. Names that are not among the request's tools, from older rounds of a
    /// conversation, are made fit without a way back.
    pub(super) fn to_wire(&self, name: &str) -> String {
        if let Some(wire) = self.to_wire.get(name) {
            return wire.clone();
        }
        fit(name)
    }

    /// The host's name of what the model called.
    pub(super) fn original(&self, wire: &str) -> String {
        self.from_wire
            .get(wire)
            .map_or(wire, String::as_str)
            .to_owned()
    }
}

/// One `_` for each character that is not allowed.
fn fit(name: &str) -> String {
    let fit: String = name
        .chars()
        .map(|c| if is_fit_char(c) { c } else { '_' })
        .take(LONGEST)
        .collect();
    if fit.is_empty() {
        "tool".to_owned()
    } else {
        fit
    }
}

fn is_fit(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len()) && name.chars().all(is_fit_char)
}

fn is_fit_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfit_name_is_mapped_there_and_back_without_clashes() {
        let names = Names::new(["fs.read", "fs_read", "fs read", "Größe", "", "ok-1"]);
        for name in ["fs.read", "fs_read", "fs read", "Größe", "", "ok-1"] {
            let wire = names.to_wire(name);
            assert!(is_fit(&wire), "{wire}");
            assert_eq!(names.original(&wire), name);
        }
        assert_eq!(names.to_wire("fs_read"), "fs_read");
        assert_eq!(names.to_wire("gone.tool"), "gone_tool");
        assert_eq!(names.original("unheard_of"), "unheard_of");
    }

    #[test]
    fn long_names_stay_apart_after_they_are_cut() {
        let (a, b) = ("x".repeat(70), "x".repeat(71));
        let names = Names::new([a.as_str(), b.as_str()]);
        assert_ne!(names.to_wire(&a), names.to_wire(&b));
        assert!(is_fit(&names.to_wire(&b)));

        let many: Vec<String> = (0..200).map(|n| "x".repeat(70 + n)).collect();
        let names = Names::new(many.iter().map(String::as_str));
        for name in &many {
            let wire = names.to_wire(name);
            assert!(is_fit(&wire), "{wire}");
            assert_eq!(names.original(&wire), *name);
        }
    }
}
