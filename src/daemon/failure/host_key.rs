//! Sentences about host keys.

use std::{
    io,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use crate::{
    protocol::{ErrorCode, StageName},
    ssh::{
        HostCertificate, HostCertificateProblem, HostKeyInfo, KnownKey, NotTrusted, Place,
        PromptFailure,
    },
};

use super::ssh::{Told, address};

pub(super) fn unknown(place: &Place, key: &HostKeyInfo, why: NotTrusted) -> Told {
    let why = match why {
        NotTrusted::Policy => {
            "only known keys are trusted here (hostKeyPolicy of the profile, or StrictHostKeyChecking \
             of ssh_config)"
        }
        NotTrusted::NoAnswer(PromptFailure::Unsupported) => {
            "there is no way to ask you about it here"
        }
        NotTrusted::NoAnswer(PromptFailure::TimedOut) => {
            "the question about it was not answered in time"
        }
        NotTrusted::NoAnswer(PromptFailure::Cancelled) => "the question about it was closed",
        NotTrusted::NoAnswer(PromptFailure::HostGone | PromptFailure::Unfit) => {
            "the question about it got no usable answer"
        }
    };
    let at = address(place);
    told(
        ErrorCode::SshHostKeyUnknown,
        key,
        format!(
            "The host key of {at} is not known ({} {}), and {why}. Compare the fingerprint with \
             one you got from the administrator, and add the key to known_hosts.",
            key.key_type, key.fingerprint
        ),
    )
    .hint(format!(
        "On the server, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` shows it. Connecting \
         once with `ssh -o StrictHostKeyChecking=ask -p {} {}@{}` in a terminal (or by the alias \
         that ssh_config has for it) asks about it and adds it.",
        place.port, place.username, place.host
    ))
}

pub(super) fn changed(
    at: &str,
    key: &HostKeyInfo,
    known: &[KnownKey],
    remove_command: &str,
) -> Told {
    let warning = "Someone may be intercepting the connection, or the machine was reinstalled. \
                   Nothing was sent.";
    let recorded = |known: &KnownKey| {
        format!(
            "{} {} on line {} of {}",
            known.key.key_type,
            known.key.fingerprint,
            known.line,
            known.file.display()
        )
    };
    let all: Vec<_> = known.iter().take(MAX_SHOWN).map(recorded).collect();
    let message = match known {
        [one, rest @ ..] if one.is_like(key) => {
            let rest: Vec<_> = rest.iter().take(MAX_SHOWN).map(recorded).collect();
            let others = if rest.is_empty() {
                String::new()
            } else {
                format!(" Also recorded: {}.", super::list(&rest))
            };
            format!(
                "The host key of {at} is not the one recorded on line {} of {}. It was {} and is \
                 now {}.{others} {warning}",
                one.line,
                one.file.display(),
                one.key.fingerprint,
                key.fingerprint
            )
        }
        _ => format!(
            "{at} showed a host key of a type that is not recorded for it: {} {}. Known are only: \
             {}. {warning}",
            key.key_type,
            key.fingerprint,
            super::list(&all)
        ),
    };
    told(ErrorCode::SshHostKeyChanged, key, message).hint(format!(
        "If you know why it changed, remove what is recorded with: {remove_command}"
    ))
}

/// How many recorded keys a sentence can hold.
const MAX_SHOWN: usize = 4;

pub(super) fn certificate(at: &str, certificate: &HostCertificate) -> Told {
    let signer = &certificate.signer.fingerprint;
    let by = match &certificate.authority {
        Some(known) => format!(
            "the authority {signer} on line {} of {}",
            known.line,
            known.file.display()
        ),
        None => signer.clone(),
    };
    let (why, help) = match &certificate.problem {
        HostCertificateProblem::Expired => (
            format!("was valid until {}", moment(certificate.valid_before)),
            "Ask the administrator for a new one, and check this computer's clock.",
        ),
        HostCertificateProblem::NotYetValid => (
            format!("is only valid from {}", moment(certificate.valid_after)),
            "Check this computer's clock, or ask the administrator.",
        ),
        HostCertificateProblem::OtherPrincipal(name) => (
            format!(
                "is made out to {}, not to {name}",
                super::list(&certificate.principals)
            ),
            "Use one of these names as the host, or as HostKeyAlias in ssh_config.",
        ),
        HostCertificateProblem::NotForHosts => (
            "is meant for a user, not for a machine".to_owned(),
            "Tell the administrator.",
        ),
        HostCertificateProblem::CriticalOption(option) => (
            format!("demands \"{option}\", which this program does not know"),
            "Tell the administrator.",
        ),
        HostCertificateProblem::WeakSignature => (
            "is signed with an algorithm that is too weak (SHA-1 or DSA)".to_owned(),
            "Ask the administrator for one that is signed with rsa-sha2-512 or ed25519.",
        ),
        HostCertificateProblem::BadSignature => (
            "is forged or damaged: its signature is wrong".to_owned(),
            "Someone may be intercepting the connection. Ask the administrator.",
        ),
    };
    // A forged certificate spoils a known key, too.
    let key = if certificate.problem == HostCertificateProblem::BadSignature {
        String::new()
    } else {
        let key = &certificate.key;
        format!(
            ", and its key ({} {}) is not known on its own",
            key.key_type, key.fingerprint
        )
    };
    told(
        ErrorCode::SshHostKeyUnknown,
        &certificate.key,
        format!(
            "The certificate of {at} ({:?}, signed by {by}) {why}{key}. Nothing was sent. {help}",
            certificate.id
        ),
    )
}

/// A time of a certificate. Beyond the year 9999 there is none to write.
fn moment(seconds: u64) -> String {
    const LAST: u64 = 253_402_300_799;
    let time = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
    humantime::format_rfc3339_seconds(time).to_string()
}

pub(super) fn conflict(at: &str, key: &HostKeyInfo, other: &HostKeyInfo) -> Told {
    told(
        ErrorCode::SshHostKeyChanged,
        key,
        format!(
            "{at} showed two different host keys at the same time ({} and {}). Someone may be \
             intercepting the connection. Nothing was sent. Ask the administrator.",
            key.fingerprint, other.fingerprint
        ),
    )
}

pub(super) fn revoked(
    at: &str,
    key: &HostKeyInfo,
    authority: Option<&HostKeyInfo>,
    file: &Path,
    line: u64,
) -> Told {
    let what = match authority {
        Some(authority) => format!(
            "The authority that signed the certificate of {at} ({})",
            authority.fingerprint
        ),
        None => format!("The host key of {at} ({})", key.fingerprint),
    };
    told(
        ErrorCode::SshHostKeyRevoked,
        key,
        format!(
            "{what} is revoked by line {line} of {}. Do not connect; ask the administrator.",
            file.display()
        ),
    )
}

pub(super) fn too_short(at: &str, key: &HostKeyInfo) -> Told {
    told(
        ErrorCode::SshProtocolError,
        key,
        format!(
            "{at} proves who it is with an RSA key of only {} bits ({}), which can be broken, so \
             it is refused, as ssh would. Nothing was sent. Ask the administrator for a new host \
             key.",
            key.bits, key.fingerprint
        ),
    )
    .hint("On the server, `ssh-keygen -A` makes the kinds of keys that are missing; then restart sshd.")
}

pub(super) fn rejected(at: &str, key: &HostKeyInfo) -> Told {
    told(
        ErrorCode::SshHostKeyRejected,
        key,
        format!(
            "The host key of {at} ({}) was rejected, so nothing was sent. Connect again to be \
             asked again.",
            key.fingerprint
        ),
    )
}

pub(super) fn unreadable(at: &str, file: &Path, source: &io::Error) -> Told {
    Told::new(
        ErrorCode::SshConfigInvalid,
        StageName::HostKey,
        format!(
            "{} can't be read, so the host key of {at} can't be checked. Mend the file or its \
             permissions. ({source})",
            file.display()
        ),
    )
}

fn told(code: ErrorCode, key: &HostKeyInfo, message: String) -> Told {
    Told::new(code, StageName::HostKey, message).fingerprint(&key.fingerprint)
}
