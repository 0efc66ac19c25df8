//! What real servers sent, byte by byte.

use std::path::PathBuf;

pub(super) fn capture(name: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/llm");
    let path = root.join(format!("{name}.res.txt"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}
