//! Where the fuzz targets of `fuzz/` enter: whatever bytes a server sends, what is asserted here
//! holds. The same inputs, `tests/data/fuzz`, are played by an ordinary test.

mod answers;
mod frames;
mod models;
mod refusals;
#[cfg(test)]
mod tests;

pub use self::{
    answers::{deltas, tool_calls},
    frames::{ndjson, sse},
    models::models,
    refusals::refusal,
};

/// What no text for people may have in it.
const SECRET: &str = "sk-canary-12345";

/// Bytes, and a number that decides how they are cut: their first byte.
fn cut(input: &[u8]) -> Option<(&[u8], usize)> {
    let (size, bytes) = input.split_first()?;
    Some((bytes, usize::from(*size).max(1)))
}

/// Whether a text can be shown: one line, no control characters, bounded, no secret.
fn is_clean(text: &str) -> bool {
    text.len() <= 4096 && !text.chars().any(char::is_control) && !text.contains(SECRET)
}
