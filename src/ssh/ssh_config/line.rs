//! Takes a line of ssh_config apart: the keyword, and what follows it as words.

use std::borrow::Cow;

use super::problem::Fault;

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// A line that says something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// In lower case.
    pub(super) keyword: String,
    /// All after the keyword, as it is written: for commands and `Match`.
    pub(super) rest: &'a str,
    pub(super) words: Vec<String>,
}

impl<'a> Line<'a> {
    /// `None` for a blank line or a comment.
    pub(super) fn read(text: &'a str) -> Result<Option<Self>, Fault> {
        // OpenSSH's strings end there.
        let text = text.split('\0').next().unwrap_or_default();
        let mut rest = Some(trimmed(text));
        let mut keyword = delimited(&mut rest);
        if keyword.as_deref() == Some("") {
            keyword = delimited(&mut rest);
        }
        let Some(keyword) =
            keyword.filter(|keyword| !keyword.is_empty() && !keyword.starts_with('#'))
        else {
            return Ok(None);
        };
        let keyword = keyword.to_ascii_lowercase();
        let rest = rest.unwrap_or_default().trim_start_matches(BLANKS);
        if rest.is_empty() {
            return Err(Fault::NoArgument(keyword));
        }
        let words = words(rest)?;
        Ok(Some(Self {
            keyword,
            rest,
            words,
        }))
    }

    /// The rest as a command: a shell takes it apart, not we.
    pub(super) fn command(&self) -> &'a str {
        self.rest.trim_start_matches([' ', '\t', '\r', '\n', '='])
    }
}

/// Without the blanks and form feeds at the end; a line keeps its first character.
fn trimmed(text: &str) -> &str {
    let kept = text.trim_end_matches([' ', '\t', '\r', '\n', '\u{c}']);
    if kept.is_empty() {
        text.chars()
            .next()
            .and_then(|first| text.get(..first.len_utf8()))
            .unwrap_or_default()
    } else {
        kept
    }
}

/// Takes the next word up to blanks or one `=`; a quoted part ends its word. `None`
/// at the end, and for a quote that is never closed.
pub(super) fn delimited<'a>(rest: &mut Option<&'a str>) -> Option<Cow<'a, str>> {
    let text = (*rest)?;
    let Some(end) = text.find([' ', '\t', '\r', '\n', '"', '=']) else {
        *rest = None;
        return Some(Cow::Borrowed(text));
    };
    let (word, after) = text.split_at(end);
    if let Some(quoted) = after.strip_prefix('"') {
        let Some((quoted, after)) = quoted.split_once('"') else {
            *rest = None;
            return None;
        };
        *rest = Some(after.trim_start_matches(BLANKS));
        return Some(if word.is_empty() {
            Cow::Borrowed(quoted)
        } else {
            Cow::Owned(format!("{word}{quoted}"))
        });
    }
    let was_equals = after.starts_with('=');
    let mut after = after
        .get(1..)
        .unwrap_or_default()
        .trim_start_matches(BLANKS);
    if !was_equals && let Some(value) = after.strip_prefix('=') {
        after = value.trim_start_matches(BLANKS);
    }
    *rest = Some(after);
    Some(Cow::Borrowed(word))
}

/// Splits as a shell would, a little: single and double quotes, few escapes, and a
/// `#` that begins a word ends the line.
fn words(text: &str) -> Result<Vec<String>, Fault> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(first) = characters.peek().copied() {
        match first {
            ' ' | '\t' => {
                characters.next();
                continue;
            }
            '#' => break,
            _ => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(character) = characters.next() {
            match (character, quote) {
                ('\\', _) => match characters.peek().copied() {
                    Some(escaped @ ('\'' | '"' | '\\')) => {
                        characters.next();
                        word.push(escaped);
                    }
                    Some(' ') if quote.is_none() => {
                        characters.next();
                        word.push(' ');
                    }
                    Some(_) | None => word.push('\\'),
                },
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(character),
                (end, Some(begin)) if end == begin => quote = None,
                (character, _) => word.push(character),
            }
        }
        if quote.is_some() {
            return Err(Fault::Quotes);
        }
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<(String, Vec<String>)>, Fault> {
        Line::read(text).map(|line| line.map(|line| (line.keyword, line.words)))
    }

    #[test]
    fn keyword_and_words_are_taken_apart() {
        for (text, keyword, words) in [
            ("Port 22", "port", vec!["22"]),
            ("  PORT\t22 \r\n", "port", vec!["22"]),
            ("Port=22", "port", vec!["22"]),
            ("Port = 22", "port", vec!["22"]),
            ("Port == 22", "port", vec!["=", "22"]),
            ("\"Port\" 22", "port", vec!["22"]),
            ("Po\"rt\" 22", "port", vec!["22"]),
            ("=Port 22", "port", vec!["22"]),
            ("Host a b # c", "host", vec!["a", "b"]),
            ("Host a#b", "host", vec!["a#b"]),
            ("Host \"a b\" 'c d'", "host", vec!["a b", "c d"]),
            (
                r#"Host a\ b \"c "d\ e""#,
                "host",
                vec!["a b", "\"c", r"d\ e"],
            ),
            (r"Host a\nb \", "host", vec![r"a\nb", r"\"]),
            ("User ü\u{c}", "user", vec!["ü"]),
            ("User a\0b", "user", vec!["a"]),
        ] {
            let words = words.into_iter().map(str::to_owned).collect();
            assert_eq!(read(text), Ok(Some((keyword.to_owned(), words))), "{text}");
        }
    }

    #[test]
    fn lines_that_say_nothing_and_lines_that_are_wrong() {
        for text in [
            "",
            " ",
            "\n",
            "\t\r\n",
            "# Port",
            "  # Port",
            "#Port 22",
            "\"Port 22",
        ] {
            assert_eq!(read(text), Ok(None), "{text:?}");
        }
        for text in ["Port", "Port ", "Port =", " Port\n"] {
            assert_eq!(
                read(text),
                Err(Fault::NoArgument("port".into())),
                "{text:?}"
            );
        }
        for text in ["User 'a", "User a\"b", "ProxyCommand echo it's"] {
            assert_eq!(read(text), Err(Fault::Quotes), "{text:?}");
        }
    }
}
