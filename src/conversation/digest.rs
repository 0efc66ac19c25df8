//! SHA-256, in hex.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

pub(super) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
}
