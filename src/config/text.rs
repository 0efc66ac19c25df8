//! Text of profiles, which may have come with a project: what could make it read as something else.

/// Longest name that is shown, in characters.
const SHOWN: usize = 64;

/// Control characters, those that turn the direction of writing, and line separators: with them, what
/// is shown to a person who is to trust a profile is not what would be run.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name out of a file or of a file, fit to be shown and logged.
pub(super) fn shown(name: &str) -> String {
    let mut shown = String::new();
    for c in name.chars().take(SHOWN) {
        if is_hidden(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_written_out_and_names_are_bounded() {
        for (name, expected) in [
            ("X-Team", "X-Team"),
            ("größe", "größe"),
            ("a\u{1b}[31m\n", "a\\u{1b}[31m\\u{a}"),
            ("a\u{202e}b\u{2028}", "a\\u{202e}b\\u{2028}"),
        ] {
            assert_eq!(shown(name), expected);
        }
        assert_eq!(shown(&"x".repeat(1000)).len(), SHOWN);
    }
}
