//! From bytes to frames; does no I/O and knows nothing of what the frames say.
//!
//! [`line`] cuts, [`sse`] and [`ndjson`] say what the lines are, and [`limits`] how much of them is
//! taken in. Nothing here names another part of the house: the bench compiles it by itself.

pub(super) mod limits;
pub(super) mod line;
pub(super) mod ndjson;
pub(super) mod sse;

/// The pieces between some places.
#[cfg(test)]
fn cut<'a>(bytes: &'a [u8], cuts: &[proptest::sample::Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut start = 0;
    let piece = |end| bytes.get(std::mem::replace(&mut start, end)..end).unwrap();
    ends.into_iter().map(piece).collect()
}
