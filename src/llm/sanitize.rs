//! Text written by a server, made fit to be shown and logged: one line, no control characters,
//! bounded, without our own secrets.

mod spelling;

use std::fmt::Write as _;

use secrecy::{ExposeSecret, SecretString};

/// Longest server text kept, in bytes.
pub(crate) const SHOWN: usize = 2048;

/// Knows what must never be repeated.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    secrets: Vec<SecretString>,
}

impl Redactor {
    /// Knows these, also as they are escaped; empty ones are none.
    pub fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let mut secrets: Vec<_> = secrets
            .into_iter()
            .filter(|secret| !secret.expose_secret().is_empty())
            .flat_map(|secret| [spelling::spellings(&secret), vec![secret]].concat())
            .collect();
        // The longest first, so that no secret is cut open by one inside it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        Self { secrets }
    }

    /// Takes the secrets out, and changes nothing else.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = replace(&text, secret.expose_secret());
        }
        text
    }

    /// Redacts and [`sanitize`]s.
    pub(crate) fn clean(&self, text: &str) -> String {
        sanitize(&self.redact(text))
    }

    /// The beginning of a text, to show what kind of thing it is.
    pub(crate) fn excerpt(&self, text: &str) -> String {
        const EXCERPT: usize = 200;
        // Redacted before it is cut: half a secret would not be recognised.
        let mut text = self.clean(text);
        if text.len() > EXCERPT {
            text.truncate(cut(&text, EXCERPT).len());
            text.push('…');
        }
        text
    }
}

/// The beginning of a text, at most `limit` bytes and no half character.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A short dummy key ("x", "none") is replaced only where it stands alone: elsewhere it is part
/// of an ordinary word.
fn replace(text: &str, secret: &str) -> String {
    const REDACTED: &str = "[redacted]";
    if secret.len() >= 8 {
        return text.replace(secret, REDACTED);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(secret) {
        let (before, after) = rest.split_at(start);
        let after = after.get(secret.len()..).unwrap_or_default();
        let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let inside = joins(before.chars().next_back().or(out.chars().next_back()))
            || joins(after.chars().next());
        out.push_str(before);
        out.push_str(if inside { secret } else { REDACTED });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// One line of at most [`SHOWN`] bytes: blanks collapsed; control, bidi and line-separator
/// characters escaped as `\u{…}`.
pub(crate) fn sanitize(text: &str) -> String {
    let mut out = String::new();
    let mut blank = false;
    for c in text.chars() {
        if out.len() >= SHOWN {
            while out.len() > SHOWN - '…'.len_utf8() {
                out.pop();
            }
            out.push('…');
            break;
        }
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            blank = !out.is_empty();
            continue;
        }
        if std::mem::take(&mut blank) {
            out.push(' ');
        }
        if is_unsafe(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Control and bidi characters and line separators: what is shown reads as something else.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_bidi_controls_are_made_visible() {
        assert_eq!(
            sanitize("a\u{1b}[31m\r\n  b\u{202e}c\u{2028}\u{9b}\u{feff}\0"),
            "a\\u{1b}[31m b\\u{202e}c\\u{2028}\\u{9b}\\u{feff}\\u{0}"
        );
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        for unit in ["é", "🦀", "\u{1b}", "a"] {
            let text = sanitize(&unit.repeat(9000));
            assert!(text.len() <= SHOWN && text.ends_with('…'));
        }
    }

    #[test]
    fn a_key_echoed_by_the_server_is_redacted() {
        let redactor = Redactor::new(["sk-lab-12345".into(), "sk-lab-12345-long".into()]);
        assert_eq!(
            redactor.clean("bad keys xsk-lab-12345y, sk-lab-12345-long"),
            "bad keys x[redacted]y, [redacted]"
        );
    }

    #[test]
    fn a_key_echoed_with_escapes_is_redacted() {
        let key = "sk-\"lab\" <&>\\12345";
        let redactor = Redactor::new([key.into()]);
        let in_json = serde_json::json!(key).to_string();
        let echoes = [
            serde_json::json!({ "key": in_json }).to_string(),
            in_json,
            "sk-&quot;lab&quot; &lt;&amp;&gt;\\12345".to_owned(),
            "sk-%22lab%22%20%3C%26%3E%5C12345".to_owned(),
        ];
        for echo in echoes {
            let shown = redactor.redact(&echo);
            assert!(!shown.contains("lab"), "{shown}");
        }
    }

    #[test]
    fn a_short_dummy_key_is_redacted_as_a_word_only() {
        let redactor = Redactor::new(["x".into(), "".into()]);
        assert_eq!(
            redactor.clean("key x: xx exceeds"),
            "key [redacted]: xx exceeds"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_raw_control_character_survives(text in "\\PC*|.*|[\\x00-\\x9f]*") {
            let shown = sanitize(&text);
            assert!(shown.len() <= SHOWN + 16 && !shown.chars().any(is_unsafe));
        }
    }
}
