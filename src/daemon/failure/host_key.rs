//! Sentences about host keys.

use std::{io, path::Path};

use crate::{
    protocol::{ErrorCode, StageName},
    ssh::{HostKeyInfo, KnownKey, NotTrusted, Place, PromptFailure},
};

use super::ssh::{Told, address};

pub(super) fn unknown(place: &Place, key: &HostKeyInfo, why: NotTrusted) -> Told {
    let why = match why {
        NotTrusted::Policy => "the profile's policy trusts only known keys",
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
         once with `ssh -p {} {}@{}` in a terminal adds it.",
        place.port, place.username, place.host
    ))
}

pub(super) fn changed(
    at: &str,
    key: &HostKeyInfo,
    known: &[KnownKey],
    remove_command: &str,
) -> Told {
    let recorded = known.first().map_or_else(String::new, |known| {
        format!(
            " recorded on line {} of {}. It was {} and is now {}",
            known.line,
            known.file.display(),
            known.key.fingerprint,
            key.fingerprint
        )
    });
    told(
        ErrorCode::SshHostKeyChanged,
        key,
        format!(
            "The host key of {at} is not the one{recorded}. Someone may be intercepting the \
             connection, or the machine was reinstalled. Nothing was sent."
        ),
    )
    .hint(format!(
        "If you know why it changed, remove the old key with: {remove_command}"
    ))
}

pub(super) fn conflict(at: &str, key: &HostKeyInfo, other: &HostKeyInfo) -> Told {
    told(
        ErrorCode::SshHostKeyChanged,
        key,
        format!(
            "{at} showed two different host keys at the same time ({} and {}). Someone may be \
             intercepting the connection. Nothing was sent.",
            key.fingerprint, other.fingerprint
        ),
    )
}

pub(super) fn revoked(at: &str, key: &HostKeyInfo, file: &Path, line: u64) -> Told {
    told(
        ErrorCode::SshHostKeyRevoked,
        key,
        format!(
            "The host key of {at} ({}) is revoked by line {line} of {}. Do not connect; ask the \
             administrator.",
            key.fingerprint,
            file.display()
        ),
    )
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

pub(super) fn unreadable(file: &Path, source: &io::Error) -> Told {
    Told::new(
        ErrorCode::SshConfigInvalid,
        StageName::HostKey,
        format!(
            "{} can't be read, so no host key can be checked. Mend the file or its permissions. \
             ({source})",
            file.display()
        ),
    )
}

fn told(code: ErrorCode, key: &HostKeyInfo, message: String) -> Told {
    Told::new(code, StageName::HostKey, message).fingerprint(&key.fingerprint)
}
