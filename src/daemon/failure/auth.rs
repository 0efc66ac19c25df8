//! Sentences about proving who we are.

use std::path::Path;

use crate::{
    protocol::{ErrorCode, StageName},
    ssh::{
        AgentProblem, AuthAttempt, AuthOutcome, Cause, KeyProblem, PromptFailure, PromptKind,
        SecretCommandProblem,
    },
};

use super::ssh::Told;

pub(super) fn failed(
    host: &str,
    username: &str,
    tried: &[AuthAttempt],
    allowed: &[String],
    banner: Option<&str>,
) -> Told {
    let banner = banner.map_or_else(String::new, |banner| format!(" (It said: {banner})"));
    let failed = told(
        ErrorCode::SshAuthFailed,
        format!(
            "{host} did not accept user {username} with: {}. It allows: {}. {}{banner}",
            attempts(tried),
            methods(allowed),
            advice(tried, allowed)
        ),
    );
    match by_system(tried, allowed) {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

/// What the system's `ssh` could try, and this program can't.
fn by_system(tried: &[AuthAttempt], allowed: &[String]) -> Option<String> {
    let allows = |method: &str| allowed.iter().any(|allowed| allowed == method);
    let has_security_key = tried
        .iter()
        .any(|attempt| matches!(attempt.outcome, AuthOutcome::LeftToSystem(_)));
    let ways: Vec<_> = [
        (
            allows("gssapi-with-mic"),
            "sign in with Kerberos (GSSAPI; get a ticket with kinit)",
        ),
        (
            allows("hostbased"),
            "let this computer vouch for you (hostbased)",
        ),
        (
            has_security_key && allows("publickey"),
            "use a security key without an agent",
        ),
    ]
    .into_iter()
    .filter(|(is_open, _)| *is_open)
    .map(|(_, way)| way.to_owned())
    .collect();
    (!ways.is_empty()).then(|| {
        format!(
            "The system's ssh can {}: set transport to \"system\" in the profile.",
            super::list(&ways)
        )
    })
}

pub(super) fn too_many_keys(
    host: &str,
    username: &str,
    offered: usize,
    untried: usize,
    tried: &[AuthAttempt],
) -> Told {
    let keys = if offered == 1 {
        "the key".to_owned()
    } else {
        format!("the first {offered} keys")
    };
    let rest = match untried {
        0 => "a password had no chance any more".to_owned(),
        1 => "one more was not tried".to_owned(),
        untried => format!("{untried} more were not tried"),
    };
    told(
        ErrorCode::SshTooManyKeys,
        format!(
            "{host} did not accept {keys} of user {username} ({}), and {rest}, because servers \
             hang up after a few. Choose one key in the profile, or switch on identitiesOnly.",
            attempts(tried)
        ),
    )
}

pub(super) fn methods_disabled(host: &str, preferred: &[String], allowed: &[String]) -> Told {
    let chosen = if preferred.is_empty() {
        "is empty".to_owned()
    } else {
        format!("allows only {}", super::list(preferred))
    };
    Told::new(
        ErrorCode::SshConfigInvalid,
        StageName::Auth,
        format!(
            "PreferredAuthentications in your ssh configuration {chosen}, so there is no way to \
             sign in on {host}. It allows: {}.",
            methods(allowed)
        ),
    )
    .hint("Change PreferredAuthentications, or choose the sign-in method in the profile.")
}

pub(super) fn password_expired(host: &str, username: &str, after: &str) -> Told {
    told(
        ErrorCode::SshPasswordExpired,
        format!(
            "{host} did not answer to the password of {username} within {after}. It has probably \
             expired: sign in with ssh in a terminal once, and change it there."
        ),
    )
}

fn told(code: ErrorCode, message: String) -> Told {
    Told::new(code, StageName::Auth, message)
}

/// The connection went while the login was under way.
pub(super) fn ended(host: &str, cause: &Cause) -> Told {
    let why = match cause {
        Cause::Disconnected {
            message: Some(message),
        } => format!(" (it said: {message})"),
        Cause::ConnectionLost { source } => format!(" ({source})"),
        _ => String::new(),
    };
    told(
        ErrorCode::SshDisconnected,
        format!(
            "{host} ended the connection during the sign-in{why}. Nothing was refused: the answer \
             may have taken longer than the server waits (LoginGraceTime), or it restarts. Connect \
             again."
        ),
    )
}

/// `publickey (~/.ssh/id_ed25519); password, 3 times`; skipped ones with their reason.
fn attempts(tried: &[AuthAttempt]) -> String {
    let mut told: Vec<(String, usize)> = Vec::new();
    for attempt in tried {
        // `none` only asks what is allowed; it is news only when it is all there was.
        if attempt.method == "none" && tried.len() > 1 {
            continue;
        }
        let attempt = one_attempt(attempt);
        match told.last_mut() {
            Some((last, times)) if *last == attempt => *times += 1,
            _ => told.push((attempt, 1)),
        }
    }
    if told.is_empty() {
        return "nothing; there was nothing to try".to_owned();
    }
    let told: Vec<_> = told
        .into_iter()
        .map(|(attempt, times)| match times {
            1 => attempt,
            times => format!("{attempt}, {times} times"),
        })
        .collect();
    told.join("; ")
}

fn one_attempt(attempt: &AuthAttempt) -> String {
    let what = match &attempt.detail {
        Some(detail) => format!("{} ({detail})", attempt.method),
        None => attempt.method.to_owned(),
    };
    match &attempt.outcome {
        AuthOutcome::Rejected => what,
        AuthOutcome::Partial => format!("{what}, accepted as a first step"),
        AuthOutcome::Skipped(reason) | AuthOutcome::LeftToSystem(reason) => {
            format!("{what}, not tried: {reason}")
        }
    }
}

fn methods(allowed: &[String]) -> String {
    if allowed.is_empty() {
        "it did not say".to_owned()
    } else {
        super::list(allowed)
    }
}

fn advice(tried: &[AuthAttempt], allowed: &[String]) -> &'static str {
    let allows = |method: &str| allowed.iter().any(|allowed| allowed == method);
    let tried = |method: &str| {
        tried.iter().any(|attempt| {
            attempt.method == method && matches!(attempt.outcome, AuthOutcome::Rejected)
        })
    };
    if tried("password") {
        "Check the user name and the password."
    } else if allows("publickey") && tried("publickey") {
        "Add one of these keys to ~/.ssh/authorized_keys there, or check the user name."
    } else if tried("keyboard-interactive") {
        "Check the user name and your answers."
    } else if allows("password") || allows("keyboard-interactive") {
        "Save a password in the profile, or choose the sign-in method that the server allows."
    } else if !allowed.is_empty() && allowed.iter().all(|method| only_ssh(method)) {
        "Only the system's ssh can do that."
    } else {
        "Choose a private key that the server knows."
    }
}

/// Methods that this program leaves to OpenSSH.
fn only_ssh(method: &str) -> bool {
    matches!(method, "gssapi-with-mic" | "hostbased")
}

pub(super) fn key(host: &str, path: &Path, problem: &KeyProblem) -> Told {
    let file = path.display();
    let unusable = |message: String| told(ErrorCode::SshKeyUnusable, message);
    match problem {
        KeyProblem::Unreadable(source) => unusable(format!(
            "The key file {file} can't be read. Check its path. ({source})"
        )),
        KeyProblem::NotAFile => unusable(format!("{file} is not a file. Choose the private key.")),
        KeyProblem::TooLarge => unusable(format!(
            "{file} is too large for a key. Choose the private key."
        )),
        KeyProblem::Permissions(mode) => Told::new(
            ErrorCode::SshKeyPermissions,
            StageName::Auth,
            format!(
                "Others may read the private key {file} (its mode is {mode:03o}), so it is not \
                 used, as ssh would not."
            ),
        )
        .hint(format!("chmod 600 {file}")),
        KeyProblem::PublicKey => unusable(format!(
            "{file} is a public key; choose the private key beside it (the name without .pub)."
        )),
        KeyProblem::Unrecognised => {
            unusable(format!("{file} is not a private key in a known format."))
        }
        KeyProblem::OldEncryption => unusable(format!(
            "{file} is encrypted in an old way that this program can't read."
        ))
        .hint(format!("Convert it with: ssh-keygen -p -f {file}")),
        KeyProblem::SecurityKey => unusable(format!(
            "{file} belongs to a security key. Add it to your SSH agent and choose the agent."
        ))
        .hint(
            "The system's ssh can use it without an agent: set transport to \"system\" in the \
             profile.",
        ),
        KeyProblem::UnsupportedType => unusable(format!(
            "{file} is a kind of key that this program can't use. Choose an Ed25519 key."
        )),
        KeyProblem::PassphraseNeeded => {
            unusable(format!("{file} is encrypted; its passphrase is needed."))
        }
        KeyProblem::PassphraseWrong => unusable(format!(
            "The passphrase does not open {file}. Enter it again."
        )),
        KeyProblem::Damaged => {
            unusable(format!("{file} is damaged. Restore it or make a new key."))
        }
        KeyProblem::OnlySha1 => unusable(format!(
            "{file} is an RSA key, and {host} accepts it only with SHA-1 signatures, which are \
             not safe any more. Use an Ed25519 key."
        )),
        KeyProblem::Sha1Wanted => unusable(format!(
            "{file} is an RSA key, and PubkeyAcceptedAlgorithms in your ssh configuration allows \
             it only with SHA-1 signatures, which are not safe any more. Allow rsa-sha2-512 there."
        )),
        KeyProblem::NotAccepted => unusable(format!(
            "{file} is of a kind that PubkeyAcceptedAlgorithms in your ssh configuration leaves \
             out, or {host} does. Choose another key, or add its kind there."
        )),
    }
}

pub(super) fn agent(host: &str, problem: &AgentProblem) -> Told {
    let why = match problem {
        AgentProblem::NoSocket => {
            "SSH_AUTH_SOCK is not set. Start Puffin from a terminal, or choose a key file."
                .to_owned()
        }
        AgentProblem::Disabled => {
            "IdentityAgent is none. Name its socket there, or choose a key file.".to_owned()
        }
        AgentProblem::Unreachable { path, source } => format!(
            "it can't be reached at {}. Is it running? ({source})",
            path.display()
        ),
        AgentProblem::Silent => "it does not answer. Unlock it, or choose a key file.".to_owned(),
        AgentProblem::Empty => {
            "it holds no keys. Add one with ssh-add, or choose a key file.".to_owned()
        }
        AgentProblem::NoMatch => "it does not hold the chosen key. Add it with ssh-add.".to_owned(),
        AgentProblem::Broken(problem) => {
            format!("it does not work; choose a key file instead. ({problem})")
        }
    };
    told(
        ErrorCode::SshAgentUnavailable,
        format!("The sign-in on {host} needs your SSH agent, and {why}"),
    )
}

/// The layer is this computer: the server has not been shown anything.
pub(super) fn secret_command(
    host: &str,
    kind: &PromptKind,
    program: &str,
    problem: &SecretCommandProblem,
) -> Told {
    let what = match kind {
        PromptKind::Passphrase { path } => format!("the passphrase of {}", path.display()),
        PromptKind::Password | PromptKind::KeyboardInteractive => "the password".to_owned(),
    };
    let why = match problem {
        SecretCommandProblem::NotStarted(source) => {
            format!("can't be started. Is it installed, and on the search path? ({source})")
        }
        SecretCommandProblem::Failed { status, said } => format!(
            "failed ({status}{}). Run it in a terminal to see why.",
            said.as_deref()
                .map(|said| format!("; it said: {said}"))
                .unwrap_or_default()
        ),
        SecretCommandProblem::TooLong(limit) => format!(
            "did not end within {}, and was stopped. Is it waiting for something to be typed?",
            format_args!("{} s", limit.as_secs().max(1))
        ),
        SecretCommandProblem::TooMuch(bytes) => {
            format!("wrote more than {bytes} bytes. It has to write the secret alone.")
        }
        SecretCommandProblem::NotText => {
            "wrote something that is not text (UTF-8). It has to write the secret alone.".to_owned()
        }
        SecretCommandProblem::NotOneLine => {
            "wrote more than one line. It has to write the secret alone; sh can cut it: \
             [\"sh\", \"-c\", \"… | head -n 1\"]."
                .to_owned()
        }
        SecretCommandProblem::Empty => {
            "wrote nothing. Run it in a terminal to see what it does.".to_owned()
        }
    };
    told(
        ErrorCode::SshSecretCommandFailed,
        format!(
            "The profile's command on this computer that gives {what} for {host}, {program}, {why}"
        ),
    )
}

pub(super) fn unanswerable(host: &str, kind: &PromptKind, failure: PromptFailure) -> Told {
    let what = match kind {
        PromptKind::Passphrase { path } => format!("the passphrase of {}", path.display()),
        PromptKind::Password => "a password".to_owned(),
        PromptKind::KeyboardInteractive => "an answer from you".to_owned(),
    };
    let (code, message) = match failure {
        PromptFailure::Unsupported => (
            ErrorCode::SshPromptUnavailable,
            match kind {
                PromptKind::Passphrase { .. } | PromptKind::Password => format!(
                    "{host} needs {what}, and there is no way to ask you here. Save it in the \
                     profile."
                ),
                PromptKind::KeyboardInteractive => format!(
                    "{host} needs {what}, and there is no way to ask you here. Connect where you \
                     can be asked."
                ),
            },
        ),
        PromptFailure::Cancelled => (
            ErrorCode::SshPromptCancelled,
            format!(
                "{host} needs {what}; the question was closed, so nobody is signed in. Connect \
                 again to be asked again."
            ),
        ),
        PromptFailure::TimedOut => (
            ErrorCode::SshPromptTimeout,
            format!("{host} needs {what}; the question was not answered in time. Connect again."),
        ),
        PromptFailure::HostGone => (
            ErrorCode::HostUnavailable,
            format!("{host} needs {what}, and nobody is there to ask. Restart Puffin."),
        ),
        PromptFailure::Unfit => (
            ErrorCode::SshPromptUnavailable,
            format!("{host} needs {what}; the answer that came does not fit the question."),
        ),
    };
    told(code, message)
}
