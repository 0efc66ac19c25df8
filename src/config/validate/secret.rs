//! What a secret may be that is to be kept.

use secrecy::{ExposeSecret as _, SecretString};

use super::{HEADER_VALUE_LENGTH, header_name, require};
use crate::config::error::Error;
use crate::config::secrets::SecretField;
use crate::config::text::is_hidden;

/// Longest password or passphrase; the vault takes no more either.
const LENGTH: usize = 64 << 10;

/// Checks what was given for `field`, before it is kept: one that could not be sent is told of where
/// it is entered, and not when it is used.
///
/// # Errors
/// [`Error::Invalid`], which quotes nothing of it.
pub fn validate_secret(field: &SecretField, secret: &SecretString) -> Result<(), Error> {
    let at = field.place();
    let secret = secret.expose_secret();
    match field {
        SecretField::ApiKey => header_value(&at, secret),
        SecretField::Header(name) => {
            header_name(&at, name)?;
            header_value(&at, secret)
        }
        SecretField::Password
        | SecretField::Passphrase
        | SecretField::HopPassword(_)
        | SecretField::HopPassphrase(_) => require(
            secret.len() <= LENGTH,
            &at,
            "must not be longer than 64 KiB",
        ),
    }
}

fn header_value(at: &str, value: &str) -> Result<(), Error> {
    require(
        value.len() <= HEADER_VALUE_LENGTH && !value.contains(is_hidden),
        at,
        "must be one line of at most 8192 bytes, without a line end or other control characters",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_sent_is_refused_with_its_field_and_not_quoted() {
        let header = |name: &str| SecretField::Header(name.into());
        for (field, secret, expected) in [
            (SecretField::ApiKey, "canary\n", "llm.apiKey"),
            (SecretField::ApiKey, "canary\u{202e}", "llm.apiKey"),
            (header("x-key"), "canary\r\nX: y", "llm.secretHeaders.x-key"),
            (header("x key"), "canary", "llm.secretHeaders.x key"),
            (header("host"), "canary", "llm.secretHeaders.host"),
            (
                SecretField::HopPassword(1),
                &"canary".repeat(11_000),
                "ssh.jumpHosts[1].password",
            ),
        ] {
            let error = validate_secret(&field, &secret.into()).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
            match error {
                Error::Invalid { field, .. } => assert_eq!(field, expected),
                other => panic!("{other:?}"),
            }
        }
        for (field, secret) in [
            (SecretField::ApiKey, "sk-1 2"),
            (SecretField::ApiKey, ""),
            (header("authorization"), "Basic eDp5"),
            (SecretField::Password, "two\nlines"),
        ] {
            validate_secret(&field, &secret.into()).unwrap();
        }
    }
}
