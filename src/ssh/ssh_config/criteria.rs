//! Which blocks count: the lines `Host` and `Match`.

use super::line::delimited;
use super::pattern::{self, Verdict};
use super::problem::Fault;

/// What is known while the files are read.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// The name as it was given.
    pub(super) original: &'a str,
    /// The name that `Match host` sees.
    pub(super) host: &'a str,
    pub(super) user: &'a str,
    pub(super) local_user: &'a str,
    /// The files are read again, with the name that they led to.
    pub(super) is_final: bool,
}

/// What a `Match` line came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matched {
    pub(super) counts: bool,
    /// It asks that the files be read again.
    pub(super) wants_final: bool,
    /// It would count if a command said so.
    pub(super) needs_command: bool,
}

/// `Host`: one pattern has to fit, and no negated one.
pub(super) fn host(words: &[String], name: &str) -> Result<bool, Fault> {
    let mut counts = false;
    for word in words {
        if word.is_empty() {
            return Err(Fault::Missing("Host"));
        }
        match word.strip_prefix('!') {
            Some(pattern) if pattern::fits(name, pattern) => return Ok(false),
            Some(_) => {}
            None => counts |= pattern::fits(name, word),
        }
    }
    Ok(counts)
}

/// `Match`: every attribute has to hold. A command is never run; it does not hold.
pub(super) fn matches(rest: &str, known: &Known<'_>) -> Result<Matched, Fault> {
    let mut rest = Some(rest);
    let mut matched = Matched::default();
    let mut holds = true;
    let mut needs_command = false;
    let mut attributes = 0_usize;
    while let Some(written) = delimited(&mut rest) {
        if written.is_empty() {
            break;
        }
        if written.starts_with('#') {
            rest = None;
            break;
        }
        let (negated, attribute) = match written.strip_prefix('!') {
            Some(attribute) => (true, attribute.to_ascii_lowercase()),
            None => (false, written.to_ascii_lowercase()),
        };
        if attribute == "all" {
            let argument = delimited(&mut rest);
            let is_alone = argument
                .as_deref()
                .is_none_or(|argument| argument.is_empty() || argument.starts_with('#'));
            if attributes > 1 || !is_alone {
                return Err(Fault::MatchAll(written.into_owned()));
            }
            matched.counts = holds && !needs_command && !negated;
            matched.needs_command = holds && needs_command && !negated;
            return Ok(matched);
        }
        attributes += 1;
        if matches!(attribute.as_str(), "canonical" | "final") {
            matched.wants_final |= attribute == "final";
            holds &= known.is_final != negated;
            continue;
        }
        let Some(argument) = delimited(&mut rest)
            .filter(|argument| !argument.is_empty() && !argument.starts_with('#'))
        else {
            return Err(Fault::MatchMissing(attribute));
        };
        let verdict = match attribute.as_str() {
            "host" => pattern::host_list(known.host, &argument),
            "originalhost" => pattern::host_list(known.original, &argument),
            "user" => pattern::list(known.user, &argument),
            "localuser" => pattern::list(known.local_user, &argument),
            "exec" => {
                needs_command = true;
                continue;
            }
            _ => return Err(Fault::Attribute(attribute)),
        };
        holds &= (verdict == Verdict::Yes) != negated;
    }
    if attributes == 0 {
        return Err(Fault::MatchEmpty);
    }
    if rest.is_some_and(|rest| !rest.is_empty()) {
        return Err(Fault::Extra("Match"));
    }
    matched.counts = holds && !needs_command;
    matched.needs_command = holds && needs_command;
    Ok(matched)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rest: &str) -> Result<bool, Fault> {
        let known = Known {
            original: "alias",
            host: "gpu.example",
            user: "ai",
            local_user: "me",
            is_final: false,
        };
        matches(rest, &known).map(|matched| matched.counts)
    }

    #[test]
    fn a_match_line_holds_if_all_of_it_holds() {
        for (rest, expected) in [
            ("all", true),
            ("!all", false),
            ("all # x", true),
            ("host *.example", true),
            ("host=*.EXAMPLE,x", true),
            ("!host *.example", false),
            ("host *,!gpu*", false),
            ("originalhost alias user ai localuser me", true),
            ("originalhost alias user root", false),
            ("user \"ai\" # x", true),
            ("final", false),
            ("!final host *", true),
            ("canonical all", false),
            ("exec true", false),
            ("!exec true", false),
        ] {
            assert_eq!(counts(rest), Ok(expected), "{rest}");
        }
        for rest in [
            "host",
            "host # x",
            "nonsense x",
            "all host x",
            "host a user b all",
            "#",
        ] {
            assert!(counts(rest).is_err(), "{rest}");
        }
    }

    #[test]
    fn a_negated_pattern_spoils_a_host_line() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (line, expected) in [
            ("a b*", true),
            ("b* !box", false),
            ("!box b*", false),
            ("!a", false),
            ("BOX", false),
        ] {
            assert_eq!(host(&words(line), "box"), Ok(expected), "{line}");
        }
    }
}
