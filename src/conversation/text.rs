//! Text that goes to a person or to a model: cut to a size, made fit for display.

/// The longest text of our own in a tool result, in bytes.
const NOTE_BYTES: usize = 4 * 1024;

/// One line for display: white space runs become one space, control and bidirectional characters
/// are dropped, and what is longer than `max_chars` ends in `…`.
pub(super) fn one_line(text: &str, max_chars: usize) -> String {
    let mut line = String::new();
    let mut chars = 0;
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() || c == '\u{85}' {
            gap = chars > 0;
            continue;
        }
        if is_unfit(c) {
            continue;
        }
        if chars + usize::from(gap) + 1 > max_chars {
            // Room for the mark is made by giving up the last character.
            while chars >= max_chars {
                line.pop();
                chars -= 1;
            }
            line.push('…');
            return line;
        }
        if gap {
            line.push(' ');
            chars += 1;
            gap = false;
        }
        line.push(c);
        chars += 1;
    }
    line
}

/// A sentence for the model, at most 4 KiB.
pub(super) fn note(mut text: String) -> String {
    if text.len() > NOTE_BYTES {
        text.truncate(floor(&text, NOTE_BYTES - '…'.len_utf8()));
        text.push('…');
    }
    text
}

/// The last character boundary at or before `index`.
pub(super) fn floor(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// The first character boundary at or after `index`.
pub(super) fn ceil(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index += 1;
    }
    index
}

/// Control characters, and those that make text look other than it is.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_display_holds_no_controls_and_no_breaks() {
        assert_eq!(
            one_line(
                "  a\r\n\tb \u{1b}[31mred\u{202e}\u{61c}!\u{2028}end\0 ",
                200
            ),
            "a b [31mred! end"
        );
    }

    #[test]
    fn a_line_for_display_is_cut_by_characters() {
        assert_eq!(one_line("äöüß", 4), "äöüß");
        assert_eq!(one_line("äöüßx", 4), "äöü…");
        assert_eq!(one_line("äöü ßx", 4), "äöü…");
        assert_eq!(one_line("äö  üßx", 4), "äö …");
    }

    #[test]
    fn a_long_note_is_cut_on_a_character() {
        let cut = note("ä".repeat(4000));
        assert!(cut.len() <= NOTE_BYTES && cut.ends_with("ä…"));
        assert_eq!(note("short".to_owned()), "short");
    }
}
