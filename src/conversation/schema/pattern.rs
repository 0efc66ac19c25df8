//! Patterns of ECMA 262, in an engine that takes linear time.
//!
//! Look-around and back references cannot be had in linear time; such a pattern is refused.

use regex::{Regex, RegexBuilder};

/// The largest pattern, compiled, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// # Errors
/// What is wrong with it.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(&translate(pattern))
        .size_limit(MAX_BYTES)
        .build();
    built.map_err(|error| {
        // Several lines with a picture; the last one says it.
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.trim_start_matches("error: ").to_owned()
    })
}

/// What the two dialects write alike and mean differently.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut marks = pattern.chars();
    let mut in_class = false;
    while let Some(mark) = marks.next() {
        match mark {
            '\\' => match marks.next() {
                // ASCII only, in ECMA 262.
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[A-Za-z0-9_]"),
                Some('W') => out.push_str("[^A-Za-z0-9_]"),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
            // A class in a class and its operators are Rust's alone.
            '[' | '&' | '~' if in_class => out.extend(['\\', mark]),
            _ => {
                in_class = (in_class || mark == '[') && mark != ']';
                out.push(mark);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        compile(pattern).unwrap().is_match(text)
    }

    #[test]
    fn classes_mean_what_they_mean_in_ecma_262() {
        assert!(matches("^\\d+$", "42") && !matches("^\\d+$", "\u{664}\u{662}"));
        assert!(matches("^[\\w-]+$", "a-b_1") && !matches("^\\w$", "\u{e9}"));
        assert!(matches("^[^\\D]$", "1") && matches("\\W", "\u{e9}"));
        assert!(matches("^[[a]$", "[") && matches("^[a&&b]$", "&") && matches("^[a~~b]+$", "~"));
        assert!(matches("^\\/\\[\\u0041\\]$", "/[A]"));
    }

    #[test]
    fn what_takes_more_than_linear_time_is_refused_in_a_sentence() {
        assert!(compile("(?=a)").unwrap_err().contains("look-around"));
        assert!(compile("(a)\\1").unwrap_err().contains("backreferences"));
        assert!(compile("(").unwrap_err().contains("unclosed group"));
        assert!(
            compile("(a{1000}){1000}")
                .unwrap_err()
                .contains("size limit")
        );
    }
}
