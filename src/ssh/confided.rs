//! What a server was told in confidence, and must not come back in what it says.

use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};

use super::text::{sanitize, sanitize_lines};

/// Shorter ones are parts of ordinary words: they are taken out only where they stand alone.
const SHORT: usize = 8;
/// Shorter ones are no secrets, but choices: "1" of a second factor's list, which would have holes.
const SECRET: usize = 4;

/// The passwords and hidden answers that went over a connection.
///
/// A server that repeats one, in the sentence with which it hangs up or anywhere else, would bring it
/// into errors, logs and reports.
#[derive(Debug, Default)]
pub(super) struct Confided(Mutex<Vec<SecretString>>);

impl Confided {
    /// Called before it is sent.
    pub(super) fn add(&self, secret: &SecretString) {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |known: &SecretString| known.expose_secret() == secret.expose_secret();
        if secret.expose_secret().len() >= SECRET && !secrets.iter().any(is_known) {
            secrets.push(secret.clone());
            // One may be a part of another.
            secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        }
    }

    /// One line of what the server says, fit to be shown.
    pub(super) fn clean(&self, text: &str) -> String {
        sanitize(&self.without(text))
    }

    /// The same for text that may have several lines.
    pub(super) fn clean_lines(&self, text: &str) -> String {
        sanitize_lines(&self.without(text))
    }

    fn without(&self, text: &str) -> String {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = text.to_owned();
        for secret in secrets.iter() {
            text = replace(&text, secret.expose_secret());
        }
        text
    }
}

fn replace(text: &str, secret: &str) -> String {
    const REDACTED: &str = "[redacted]";
    let joins = |c: Option<char>| secret.len() < SHORT && c.is_some_and(char::is_alphanumeric);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(secret) {
        let inside = joins(before.chars().next_back().or(out.chars().next_back()))
            || joins(after.chars().next());
        out.push_str(before);
        out.push_str(if inside { secret } else { REDACTED });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_confided_does_not_come_back() {
        let confided = Confided::default();
        for secret in [
            "hunter2",
            "correct horse",
            "correct horse 2",
            "nono",
            "1",
            "",
        ] {
            confided.add(&secret.into());
        }
        for (said, shown) in [
            ("bad password hunter2", "bad password [redacted]"),
            ("hunter2: nono!", "[redacted]: [redacted]!"),
            ("nonono known", "nonono known"),
            ("1. push", "1. push"),
            ("<correct horse 2>", "<[redacted]>"),
            ("xcorrect horsex", "x[redacted]x"),
            ("plain\u{1b}", "plain\\u{1b}"),
        ] {
            assert_eq!(confided.clean(said), shown);
        }
        assert_eq!(confided.clean_lines("1\nhunter2"), "1\n[redacted]");
        assert!(!format!("{confided:?}").contains("hunter2"));
    }
}
