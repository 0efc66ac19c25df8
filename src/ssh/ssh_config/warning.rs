//! What people should know about settings that are not what `ssh` would make of them.

use super::directive::{self, Effect};
use super::found::Found;
use super::problem::shown;
use super::value::Values;
use crate::ssh::text::sanitize;

/// The sentences. `system` is what the system-wide file alone sets: what every
/// distribution writes there is nobody's wish.
pub(super) fn sentences(found: &Found, system: &Values) -> Vec<String> {
    let values = &found.values;
    let mut sentences = found.notes.clone();
    for (file, line) in &found.commands {
        sentences.push(format!(
            "{}:{line}: Match exec was not run, so what follows it does not count",
            shown(file)
        ));
    }
    let host = sanitize(&found.original);
    let ignored = ignored(values, system);
    if !ignored.is_empty() {
        sentences.push(format!(
            "ssh_config sets these for {host}, and they have no effect here: {}.",
            ignored.join(", ")
        ));
    }
    if values.is("compression", "yes") {
        sentences.push(format!(
            "ssh_config asks for Compression for {host}; connections are never compressed here."
        ));
    }
    let from_user = |key: &str| values.all(key).is_some() && values.all(key) != system.all(key);
    for (key, what, is_on) in [
        (
            "gssapiauthentication",
            "GSSAPIAuthentication",
            values.is("gssapiauthentication", "yes"),
        ),
        ("pkcs11provider", "PKCS11Provider", true),
        ("securitykeyprovider", "SecurityKeyProvider", true),
    ] {
        if is_on && from_user(key) {
            sentences.push(format!(
                "ssh_config sets {what} for {host}, which is not possible here; \
                 transport: \"system\" can do it."
            ));
        }
    }
    let canonicalize = values.one("canonicalizehostname").unwrap_or("false");
    if canonicalize != "false" && !found.is_canonicalized {
        sentences.push(format!(
            "ssh_config sets CanonicalizeHostname for {host}, and without ssh that is not done."
        ));
    }
    sentences
}

fn ignored(values: &Values, system: &Values) -> Vec<String> {
    values
        .0
        .iter()
        .filter_map(|(key, value)| match directive::find(key) {
            Some(directive) => {
                let is_usual = || {
                    let usual = system.all(key).unwrap_or_default();
                    value.iter().all(|value| usual.contains(value))
                };
                let is_told = match directive.effect {
                    Effect::Ignored => true,
                    Effect::IgnoredOften => !is_usual(),
                    Effect::Honoured | Effect::Silent => false,
                };
                is_told.then(|| directive.title.to_owned())
            }
            // Younger than we are.
            None => Some(sanitize(key)),
        })
        .collect()
}
