//! What a file is that may hold a private key.

use secrecy::SecretString;

use super::is_clean;
use crate::ssh::auth::{KeySeen, sniff};

/// The input is the file.
pub fn key_file(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let seen = sniff(SecretString::from(text));
    // Only the content counts, so looking twice sees the same.
    assert_eq!(sniff(SecretString::from(text)), seen);
    match seen {
        // No passphrase is asked for, and no signature made, without one of these words.
        KeySeen::Open | KeySeen::Locked { .. } => {
            assert!(text.contains("PRIVATE KEY-----") || text.contains("PuTTY-User-Key-File-"));
        }
        KeySeen::Useless(why) => {
            assert!(is_clean(&why));
            assert!(!(text.len() > 64 && why.contains(text)), "a key is quoted");
        }
    }
}
