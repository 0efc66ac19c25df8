//! The two numbers of a context overflow, from fields or from prose.

use super::shape::Said;

/// (tokens the prompt needs, tokens there are)
pub(super) fn of_overflow(said: &Said) -> (Option<u64>, Option<u64>) {
    const NEEDED: &[&str] = &[
        "prompt contains at least ",
        "prompt contains ",
        "resulted in ",
        "request (",
        "requested tokens (",
        "you requested ",
        "requested about ",
        "given: ",
        "input length (",
    ];
    const AVAILABLE: &[&str] = &[
        "maximum context length is ",
        "context size (",
        "context window of ",
        "context length of ",
        "context length (",
        "must be <= ",
        "maximum allowed length (",
    ];
    let text = said.message.to_lowercase();
    let first = |phrases: &[&str]| {
        phrases
            .iter()
            .find_map(|phrase| number_after(&text, phrase))
    };
    (
        said.prompt_tokens.or_else(|| first(NEEDED)),
        said.context.or_else(|| first(AVAILABLE)),
    )
}

fn number_after(text: &str, phrase: &str) -> Option<u64> {
    let (_, rest) = text.split_once(phrase)?;
    let digits: String = rest
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == ',')
        .filter(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}
