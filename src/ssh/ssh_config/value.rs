//! Values by directive, as `ssh -G` prints them, and which of several counts.

use std::collections::BTreeMap;

use super::directive::{Choices, Directive, Form};
use super::jump;
use super::line::Line;
use super::pattern;
use super::problem::Fault;
use super::token;
use crate::ssh::Variables;

/// Files that IdentityFile (or CertificateFile) may name in all.
const MAX_FILES: usize = 100;

/// Names that SendEnv may collect.
const MAX_NAMES: usize = 1024;

/// What is set, by the directive's name in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::ssh) struct Values(pub(super) BTreeMap<String, Vec<String>>);

impl Values {
    pub(super) fn all(&self, key: &str) -> Option<&[String]> {
        self.0.get(key).map(Vec::as_slice)
    }

    /// The value of a directive with one value.
    pub(super) fn one(&self, key: &str) -> Option<&str> {
        self.all(key)?.first().map(String::as_str)
    }

    pub(super) fn is(&self, key: &str, value: &str) -> bool {
        self.one(key) == Some(value)
    }

    /// Sets what is not set yet.
    pub(super) fn set(&mut self, key: &str, value: Vec<String>) {
        self.0.entry(key.to_owned()).or_insert(value);
    }

    /// Drops what is as it would be without any file.
    pub(super) fn without(mut self, defaults: &Self) -> Self {
        self.0
            .retain(|key, value| defaults.0.get(key) != Some(value));
        self
    }

    fn add(&mut self, key: String, value: String) {
        self.0.entry(key).or_default().push(value);
    }
}

/// What a value is judged by.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// OpenSSH's own values, with its lists of algorithms.
    pub(super) defaults: &'a Values,
    pub(super) variables: &'a Variables,
}

/// Judges a line's value and, if its block counts, takes it in.
pub(super) fn take(
    values: &mut Values,
    context: Context<'_>,
    directive: &Directive,
    line: &Line<'_>,
    counts: bool,
) -> Result<(), Fault> {
    let title = directive.title;
    let key = directive.key();
    match directive.form {
        Form::Host | Form::Match | Form::Include | Form::Gone => Ok(()),
        Form::Command => {
            // A ProxyJump that leads anywhere came first.
            let is_late = key == "proxycommand"
                && values
                    .one("proxyjump")
                    .is_some_and(|jump| !jump.eq_ignore_ascii_case("none"));
            if counts && !is_late {
                values.set(&key, vec![line.command().to_owned()]);
            }
            Ok(())
        }
        Form::Jump => {
            let text = line.command();
            let text = text.split('#').next().unwrap_or_default().trim_end();
            if jump::parse(text).is_none() {
                return Err(invalid(title, text));
            }
            if counts && values.all("proxycommand").is_none() {
                values.set(&key, vec![text.to_owned()]);
            }
            Ok(())
        }
        Form::Words { most } => words(values, directive, line, most, counts),
        Form::Names => names(values, directive, line, counts),
        Form::Anything { several, usual } => {
            if line.words.first().is_none_or(String::is_empty) {
                return Err(Fault::Missing(title));
            }
            let text = line.words.join(" ");
            let text = choose(usual, &text).unwrap_or(text);
            match (counts, several) {
                (false, _) => {}
                (true, true) => values.add(key, text),
                (true, false) => values.set(&key, vec![text]),
            }
            Ok(())
        }
        Form::Files => {
            let file = only_word(title, &line.words)?;
            let files = values.all(&key).unwrap_or_default();
            if counts && files.len() >= MAX_FILES {
                return Err(Fault::TooMany(title, MAX_FILES));
            }
            if counts && !files.contains(file) {
                values.add(key, file.clone());
            }
            Ok(())
        }
        Form::Word
        | Form::Choice(_)
        | Form::Number
        | Form::Time
        | Form::Port
        | Form::Algorithms(_)
        | Form::Capitals
        | Form::Agent => {
            let word = only_word(title, &line.words)?;
            let value = read_word(directive, word, context)?;
            if counts && let Some(value) = value {
                values.set(&key, vec![value]);
            }
            Ok(())
        }
    }
}

fn choose(choices: Choices, word: &str) -> Option<String> {
    let (_, value) = choices
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))?;
    Some((*value).to_owned())
}

fn invalid(directive: &'static str, value: &str) -> Fault {
    Fault::Value {
        directive,
        value: value.to_owned(),
    }
}

fn only_word<'a>(title: &'static str, words: &'a [String]) -> Result<&'a String, Fault> {
    match words {
        [] => Err(Fault::Missing(title)),
        [word, ..] if word.is_empty() => Err(Fault::Missing(title)),
        [word] => Ok(word),
        [_, _, ..] => Err(Fault::Extra(title)),
    }
}

/// One word in the form in which `ssh -G` prints it; `None` leaves the directive unset.
fn read_word(
    directive: &Directive,
    word: &str,
    context: Context<'_>,
) -> Result<Option<String>, Fault> {
    let title = directive.title;
    let bad = || invalid(title, word);
    Ok(Some(match directive.form {
        Form::Choice(choices) => choose(choices, word).ok_or_else(bad)?,
        Form::Number => number(word).ok_or_else(bad)?.to_string(),
        Form::Time if word == "none" => return Ok(None),
        Form::Time => seconds(word).ok_or_else(bad)?.to_string(),
        Form::Port => jump::port(word).ok_or_else(bad)?.to_string(),
        Form::Algorithms(algorithm) => {
            let default = context.defaults.one(&directive.key()).unwrap_or_default();
            if !algorithm.accepts(word, default) {
                return Err(bad());
            }
            word.to_owned()
        }
        Form::Agent => {
            if let Some(name) = word.strip_prefix('$')
                && !name.starts_with('{')
                && !is_variable(name)
            {
                return Err(bad());
            }
            token::variables(word, context.variables).map_err(Fault::Text)?;
            word.to_owned()
        }
        Form::Capitals => word.to_ascii_uppercase(),
        Form::Word
        | Form::Host
        | Form::Match
        | Form::Include
        | Form::Command
        | Form::Jump
        | Form::Files
        | Form::Words { .. }
        | Form::Names
        | Form::Anything { .. }
        | Form::Gone => word.to_owned(),
    }))
}

fn words(
    values: &mut Values,
    directive: &Directive,
    line: &Line<'_>,
    most: usize,
    counts: bool,
) -> Result<(), Fault> {
    let title = directive.title;
    if line.words.iter().any(String::is_empty) {
        return Err(Fault::Missing(title));
    }
    let has_none = line
        .words
        .iter()
        .any(|word| word.eq_ignore_ascii_case("none"));
    if has_none && line.words.len() > 1 {
        return Err(Fault::Alone(title, "none"));
    }
    let key = directive.key();
    if counts && values.all(&key).is_none() && !line.words.is_empty() {
        if line.words.len() > most {
            return Err(Fault::TooMany(title, most));
        }
        values.set(&key, line.words.clone());
    }
    Ok(())
}

fn names(
    values: &mut Values,
    directive: &Directive,
    line: &Line<'_>,
    counts: bool,
) -> Result<(), Fault> {
    for word in &line.words {
        if word.is_empty() || word.contains('=') {
            return Err(invalid(directive.title, word));
        }
        if !counts {
            continue;
        }
        let key = directive.key();
        match word.strip_prefix('-') {
            Some(taken_back) => {
                if let Some(names) = values.0.get_mut(&key) {
                    names.retain(|name| !pattern::fits(name, taken_back));
                }
            }
            None if values
                .all(&key)
                .is_some_and(|names| names.len() >= MAX_NAMES) =>
            {
                return Err(Fault::TooMany(directive.title, MAX_NAMES));
            }
            None => values.add(key, word.clone()),
        }
    }
    Ok(())
}

/// A whole number from 0 to what C's int holds.
fn number(text: &str) -> Option<i32> {
    let digits = text.trim_start_matches([' ', '\t']);
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// `90`, `1m30s`, `2w`: seconds.
fn seconds(text: &str) -> Option<i32> {
    let mut rest = text;
    let mut total: i32 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        rest = rest.trim_start_matches([' ', '\t']);
        rest = rest.strip_prefix('+').unwrap_or(rest);
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let mut after = after.chars();
        let unit = match after.next() {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => 60,
            Some('h' | 'H') => 60 * 60,
            Some('d' | 'D') => 24 * 60 * 60,
            Some('w' | 'W') => 7 * 24 * 60 * 60,
            Some(_) => return None,
        };
        let amount: i32 = digits.parse().ok()?;
        total = total.checked_add(amount.checked_mul(unit)?)?;
        rest = after.as_str();
    }
    Some(total)
}

/// A name that a variable of the environment can have.
pub(super) fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_read_as_in_openssh() {
        for (text, expected) in [
            ("90", Some(90)),
            ("1m30s", Some(90)),
            ("2W", Some(1_209_600)),
            ("1m30", Some(90)),
            (" +5", Some(5)),
            ("0", Some(0)),
            ("", None),
            ("-5", None),
            ("5x", None),
            ("m", None),
            ("99999999999", None),
            ("2147483647s1s", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        assert_eq!(number("3"), Some(3));
        assert_eq!(number("-3"), None);
        assert_eq!(number("3s"), None);
    }
}
