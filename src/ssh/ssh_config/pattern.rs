//! Names and comma lists with `*`, `?` and `!`, as OpenSSH's match.c has them.

use crate::ssh::known_hosts::glob;

/// A sub-pattern that is longer spoils the whole list, as in OpenSSH.
const MAX_PATTERN: usize = 1023;

/// Whether one pattern fits; case counts.
pub(super) fn fits(text: &str, pattern: &str) -> bool {
    glob(pattern.as_bytes(), text.as_bytes())
}

/// What a list of patterns says about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    /// Nothing in the list fits.
    Unnamed,
    /// A negated pattern fits.
    No,
}

pub(super) fn list(text: &str, patterns: &str) -> Verdict {
    let mut verdict = Verdict::Unnamed;
    let mut rest = patterns;
    while !rest.is_empty() {
        let (pattern, after) = rest.split_once(',').unwrap_or((rest, ""));
        rest = after;
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        if pattern.len() >= MAX_PATTERN {
            return Verdict::Unnamed;
        }
        if fits(text, pattern) {
            if negated {
                return Verdict::No;
            }
            verdict = Verdict::Yes;
        }
    }
    verdict
}

/// As [`list`], for host names: in any case.
pub(super) fn host_list(host: &str, patterns: &str) -> Verdict {
    list(&host.to_ascii_lowercase(), &patterns.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_fit_as_in_openssh() {
        for (text, patterns, expected) in [
            ("a", "a", Verdict::Yes),
            ("a", "b,a", Verdict::Yes),
            ("a", "", Verdict::Unnamed),
            ("", ",a", Verdict::Yes),
            ("", "a,", Verdict::Unnamed),
            ("a", "!a", Verdict::No),
            ("a", "*,!a", Verdict::No),
            ("b", "*,!a", Verdict::Yes),
            ("b", "!a", Verdict::Unnamed),
            ("A", "a", Verdict::Unnamed),
        ] {
            assert_eq!(list(text, patterns), expected, "{text} {patterns}");
        }
        assert_eq!(host_list("GPU.example", "*.EXAMPLE"), Verdict::Yes);
        assert_eq!(
            list("a", &format!("a,{}", "x".repeat(1023))),
            Verdict::Unnamed
        );
    }
}
