//! Where the fuzz targets of `fuzz/` enter: whatever stands in a profile's file or a vault's, what is
//! asserted here holds. The same inputs, `tests/data/fuzz`, are played by an ordinary test.

use serde_json::Value;

#[cfg(all(unix, not(target_os = "macos")))]
pub use super::keychain::secret_service::dbus::fuzzing::bus;
pub use super::vault::fuzzing::vault;
use super::{Warning, from_json, validate};

/// What stands in the inputs where a secret would.
const SECRET: &str = "canary-12345";

/// The input is the file.
pub fn profile(input: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    let (mut profile, warnings) = match from_json(value) {
        Ok(read) => read,
        Err(error) => return assert!(is_clean(&error.to_string()), "{error}"),
    };
    check(&warnings);
    // It is given the file's name.
    profile.id = "fuzz".to_owned();
    match validate(&profile) {
        Ok(warnings) => check(&warnings),
        Err(error) => return assert!(is_clean(&error.to_string()), "{error}"),
    }
    // What is valid is written, and read again as the same.
    let written = serde_json::to_value(&profile);
    let again = written.ok().and_then(|written| from_json(written).ok());
    let again = again.map(|(again, _)| again);
    assert_eq!(again.as_ref(), Some(&profile));
    let shown = format!("{:?}", profile.ssh);
    assert!(
        !shown.contains("password: Some"),
        "a secret may be in {shown}"
    );
}

fn check(warnings: &[Warning]) {
    for warning in warnings {
        assert!(
            is_clean(&warning.field) && is_clean(&warning.message),
            "{warning:?}"
        );
        assert!(!warning.message.contains(SECRET), "{warning:?}");
    }
}

/// Whether a text can be shown: one line, no control characters, bounded.
fn is_clean(text: &str) -> bool {
    text.len() <= 4096 && !text.chars().any(char::is_control)
}
