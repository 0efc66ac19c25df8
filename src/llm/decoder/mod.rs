//! From bytes to frames; does no I/O and knows nothing of what the frames say.
//!
//! [`line`] cuts, [`sse`] and [`ndjson`] say what the lines are, and [`limits`] how much of them is
//! taken in. Nothing here names another part of the house: the bench compiles it by itself.

pub(super) mod limits;
pub(super) mod line;
pub(super) mod ndjson;
pub(super) mod sse;
