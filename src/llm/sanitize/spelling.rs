//! How a server may spell what it was sent: as it stands, or escaped for where it puts it.

use std::fmt::Write as _;

use secrecy::{ExposeSecret, SecretString};

/// Other spellings of a secret, where they differ from it: in JSON, in JSON inside JSON, in HTML
/// and in an address.
pub(super) fn spellings(secret: &SecretString) -> Vec<SecretString> {
    let plain = secret.expose_secret();
    let json = in_json(plain);
    let others = [in_json(&json), in_html(plain), in_address(plain), json];
    others
        .into_iter()
        .filter(|spelling| spelling != plain)
        .map(SecretString::from)
        .collect()
}

fn in_json(text: &str) -> String {
    // A string can't fail to be written.
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let inner = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"'));
    inner.unwrap_or(text).to_owned()
}

fn in_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

fn in_address(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                // Writing to a string does not fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
