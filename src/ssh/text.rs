//! Text from servers, made safe to show and to log.
//!
//! Control characters, terminal escapes and bidirectional overrides are written
//! out as escapes, and a text ends after 2 KiB.

/// The longest server text that is ever kept.
const MAX_BYTES: usize = 2048;

/// One line of server text.
pub(super) fn sanitize(text: &str) -> String {
    clean(text, false)
}

/// Server text that may have several lines, such as a 2FA instruction.
pub(super) fn sanitize_lines(text: &str) -> String {
    clean(text, true)
}

/// As [`sanitize`], for bytes of unknown encoding.
pub(super) fn sanitize_bytes(text: &[u8]) -> String {
    sanitize(&String::from_utf8_lossy(text))
}

/// One word for a POSIX shell, whatever is in it.
pub(super) fn single_quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn clean(text: &str, keep_newlines: bool) -> String {
    let mut out = String::new();
    // The blank after a prompt's colon is the server's wish; the line's end is not.
    for c in text.trim_end_matches(['\r', '\n']).chars() {
        if out.len() >= MAX_BYTES {
            out.push('…');
            break;
        }
        match c {
            '\n' if keep_newlines => out.push('\n'),
            '\r' if keep_newlines => {}
            '\t' => out.push(' '),
            c if is_dangerous(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_bidirectional_overrides_are_written_out() {
        for (given, expected) in [
            ("plain", "plain"),
            ("Passwort für ai:", "Passwort für ai:"),
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{9b}b", "a\\u{9b}b"),
            ("two\nlines", "two\\u{a}lines"),
            ("tab\there \r\n", "tab here "),
        ] {
            assert_eq!(sanitize(given), expected);
        }
        assert_eq!(sanitize_lines("1. push\r\n2. call\n"), "1. push\n2. call");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert!(sanitize(&"x".repeat(1 << 20)).len() < MAX_BYTES + 8);
        assert!(sanitize(&"\x1b".repeat(1 << 20)).len() < MAX_BYTES + 16);
    }
}
