//! Sentences for what can go wrong between here and the machine.

use std::path::Path;

use crate::{
    protocol::{ErrorCode, ErrorData, ErrorObject, StageName},
    ssh::{
        AgentProblem, AuthAttempt, AuthOutcome, Cause, CertificateProblem, Error, KeyProblem,
        NotTrusted, Place, PromptFailure, PromptKind,
    },
};

/// Why the machine can't be used.
pub(in crate::daemon) fn ssh(error: &Error) -> ErrorObject {
    let told = tell(&error.place, &error.cause);
    let mut data = ErrorData::new(told.code, error.is_transient());
    data.hop = Some(error.place.hop + 1);
    data.host = Some(address(&error.place));
    data.stage = told.stage;
    data.hint = told.hint;
    data.fingerprint = told.fingerprint;
    super::with_data(data, told.message)
}

struct Told {
    code: ErrorCode,
    /// `None`: a connection that was there ended, which can be at any time.
    stage: Option<StageName>,
    message: String,
    hint: Option<String>,
    fingerprint: Option<String>,
}

impl Told {
    fn new(code: ErrorCode, stage: impl Into<Option<StageName>>, message: String) -> Self {
        Self {
            code,
            stage: stage.into(),
            message,
            hint: None,
            fingerprint: None,
        }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    fn fingerprint(self, fingerprint: &str) -> Self {
        Self {
            fingerprint: Some(fingerprint.to_owned()),
            ..self
        }
    }
}

/// `gpu1:22`, with the brackets of an IPv6 address.
fn address(place: &Place) -> String {
    if place.host.contains(':') {
        format!("[{}]:{}", place.host, place.port)
    } else {
        format!("{}:{}", place.host, place.port)
    }
}

#[expect(clippy::too_many_lines, reason = "one arm a cause, each a sentence")]
fn tell(place: &Place, cause: &Cause) -> Told {
    use ErrorCode as Code;
    use StageName as At;
    let host = &place.host;
    let at = address(place);
    let seconds = |after: &std::time::Duration| format!("{} s", after.as_secs().max(1));
    match cause {
        Cause::NoRoute => Told::new(
            Code::SshConfigInvalid,
            At::Resolve,
            "The profile names no machine. Fill in its host.".to_owned(),
        ),
        Cause::Resolve { source } => Told::new(
            Code::SshUnreachable,
            At::Resolve,
            format!("No address found for {host} on this computer. Check the spelling. ({source})"),
        ),
        Cause::ResolveTimeout { after } => Told::new(
            Code::SshConnectionTimeout,
            At::Resolve,
            format!(
                "No address found for {host} within {}. Is this computer online?",
                seconds(after)
            ),
        ),
        Cause::Refused { source } => Told::new(
            Code::SshUnreachable,
            At::Tcp,
            format!(
                "{at} refused the connection: nothing listens there. Check the port, and whether \
                 sshd is running. ({source})"
            ),
        ),
        Cause::Unanswered { after } => Told::new(
            Code::SshConnectionTimeout,
            At::Tcp,
            format!(
                "{at} did not accept a connection within {}. Is the machine on, and are you on \
                 the right network or VPN?",
                seconds(after)
            ),
        ),
        Cause::Unreachable { source } => Told::new(
            Code::SshUnreachable,
            At::Tcp,
            format!(
                "This computer knows no way to {at}. Are you on the right network or VPN? ({source})"
            ),
        ),
        Cause::Tcp { source } => Told::new(
            Code::SshUnreachable,
            At::Tcp,
            format!("Connecting to {at} did not work. Check host and port. ({source})"),
        ),
        Cause::NotReachedThrough { via, cause } => {
            let inner = tell(via, cause);
            Told {
                stage: Some(At::Tcp),
                message: format!("{} could not reach {at}. {}", via.host, inner.message),
                ..inner
            }
        }
        Cause::ConnectTimeout { after } => Told::new(
            Code::SshConnectionTimeout,
            At::SshHandshake,
            format!(
                "{at} was not connected within {}. Try again, or raise the connect timeout.",
                seconds(after)
            ),
        ),
        Cause::NotSsh { said } => Told::new(
            Code::SshProtocolError,
            At::SshHandshake,
            format!(
                "Something answers on {at}, but it is not an SSH server (it said: {said}). Check \
                 the port."
            ),
        ),
        Cause::HandshakeClosed { said } => Told::new(
            Code::SshDisconnected,
            At::SshHandshake,
            match said {
                Some(said) => format!(
                    "{at} closed the connection before the sign-in (it said: {said}). It may be \
                     overloaded or have banned this address for a while; wait a minute."
                ),
                None => format!(
                    "{at} closed the connection before the sign-in. It may be overloaded, have \
                     banned this address for a while, or not be an SSH server."
                ),
            },
        ),
        Cause::HandshakeTimeout { after } => Told::new(
            Code::SshConnectionTimeout,
            At::SshHandshake,
            format!(
                "{at} accepted the connection, but nothing answered as an SSH server within {}. \
                 Check the port.",
                seconds(after)
            ),
        ),
        Cause::NoCommonAlgorithm {
            kind,
            ours: _,
            theirs,
        } => Told::new(
            Code::SshProtocolError,
            At::SshHandshake,
            format!(
                "{at} and this program share no {kind} algorithm; it offers {}. The server is \
                 probably too old: update it, or allow a newer algorithm there.",
                theirs.join(", ")
            ),
        ),

        Cause::HostKeyUnknown {
            key,
            reason: _,
            known_as: _,
            why,
        } => Told::new(
            Code::SshHostKeyUnknown,
            At::HostKey,
            format!(
                "The host key of {at} is not known ({} {}), and {}.",
                key.key_type,
                key.fingerprint,
                match why {
                    NotTrusted::Policy => "the profile's policy trusts only known keys",
                    NotTrusted::NoAnswer(PromptFailure::Unsupported) =>
                        "there is no way to ask you about it here",
                    NotTrusted::NoAnswer(PromptFailure::TimedOut) =>
                        "the question about it was not answered in time",
                    NotTrusted::NoAnswer(PromptFailure::Cancelled) =>
                        "the question about it was closed",
                    NotTrusted::NoAnswer(PromptFailure::HostGone | PromptFailure::Unfit) =>
                        "the question about it got no usable answer",
                }
            ),
        )
        .hint(format!(
            "Compare the fingerprint with `ssh-keygen -lf` on the server, then add the key: \
             ssh-keyscan -p {} {host} >> ~/.ssh/known_hosts",
            place.port
        ))
        .fingerprint(&key.fingerprint),
        Cause::HostKeyChanged {
            key,
            known,
            remove_command,
        } => {
            let recorded = known.first().map_or_else(String::new, |known| {
                format!(
                    " recorded on line {} of {}. It was {} and is now {}",
                    known.line,
                    known.file.display(),
                    known.key.fingerprint,
                    key.fingerprint
                )
            });
            Told::new(
                Code::SshHostKeyChanged,
                At::HostKey,
                format!(
                    "The host key of {at} is not the one{recorded}. Someone may be intercepting \
                     the connection, or the machine was reinstalled. Nothing was sent."
                ),
            )
            .hint(format!(
                "If you know why it changed, remove the old key with: {remove_command}"
            ))
            .fingerprint(&key.fingerprint)
        }
        Cause::HostKeyConflict { key, other } => Told::new(
            Code::SshHostKeyChanged,
            At::HostKey,
            format!(
                "{at} showed two different host keys at the same time ({} and {}). Someone may \
                 be intercepting the connection. Nothing was sent.",
                key.fingerprint, other.fingerprint
            ),
        )
        .fingerprint(&key.fingerprint),
        Cause::HostKeyRevoked { key, file, line } => Told::new(
            Code::SshHostKeyRevoked,
            At::HostKey,
            format!(
                "The host key of {at} ({}) is revoked by line {line} of {}. Do not connect; ask \
                 the administrator.",
                key.fingerprint,
                file.display()
            ),
        )
        .fingerprint(&key.fingerprint),
        Cause::HostKeyRejected { key } => Told::new(
            Code::SshHostKeyRejected,
            At::HostKey,
            format!(
                "The host key of {at} ({}) was rejected, so nothing was sent.",
                key.fingerprint
            ),
        )
        .fingerprint(&key.fingerprint),
        Cause::KnownHostsUnreadable { file, source } => Told::new(
            Code::SshConfigInvalid,
            At::HostKey,
            format!(
                "{} can't be read, so no host key can be checked. Mend the file or its \
                 permissions. ({source})",
                file.display()
            ),
        ),

        Cause::AuthFailed {
            username,
            tried,
            allowed,
            banner,
        } => Told::new(
            Code::SshAuthFailed,
            At::Auth,
            format!(
                "{host} did not accept user {username} with: {}. It allows: {}.{}",
                attempts(tried),
                methods(allowed),
                banner
                    .as_ref()
                    .map_or_else(String::new, |banner| format!(" (It said: {banner})"))
            ),
        )
        .hint(auth_hint(tried, allowed)),
        Cause::TooManyKeys {
            username,
            offered,
            untried,
            tried,
            allowed: _,
        } => Told::new(
            Code::SshAuthFailed,
            At::Auth,
            format!(
                "{host} did not accept user {username} with the first {offered} keys ({}); \
                 {untried} more were not tried, because servers hang up after a few.",
                attempts(tried)
            ),
        )
        .hint("Choose one key in the profile, or switch on identitiesOnly."),
        Cause::KeyUnusable { path, problem } => key(host, path, problem),
        Cause::NoAgent { problem } => Told::new(Code::SshKeyUnusable, At::Auth, agent(problem)),
        Cause::PasswordExpired { username, after } => Told::new(
            Code::SshAuthFailed,
            At::Auth,
            format!(
                "{host} did not answer to the password of {username} within {}. It has probably \
                 expired: sign in with ssh in a terminal once, and change it there.",
                seconds(after)
            ),
        ),
        Cause::AuthTimeout { after } => Told::new(
            Code::SshConnectionTimeout,
            At::Auth,
            format!(
                "{host} did not finish the sign-in within {}. Try again.",
                seconds(after)
            ),
        ),
        Cause::Unanswerable { kind, failure } => unanswerable(host, kind, *failure),

        Cause::DestinationRefused { destination } => Told::new(
            Code::ApiUnavailable,
            At::Forward,
            format!(
                "Connected to {host}, but nothing listens on {destination}, seen from {host}. \
                 Start the LLM server there, or check the address."
            ),
        ),
        Cause::ForwardingDenied { destination } => Told::new(
            Code::SshForwardDenied,
            At::Forward,
            format!(
                "Connected to {host}, but it may not open {destination}: its SSH server forbids \
                 this forwarding."
            ),
        )
        .hint("In sshd_config there: AllowTcpForwarding, PermitOpen, or restrictions of the key."),
        Cause::ForwardingUnsupported { destination } => Told::new(
            Code::SshForwardDenied,
            At::Forward,
            format!(
                "Connected to {host}, but its SSH server can't forward to {destination}. Use a \
                 TCP address instead of a socket."
            ),
        ),
        Cause::ServerFull { destination } => Told::new(
            Code::SshChannelError,
            At::Forward,
            format!(
                "Connected to {host}, but its SSH server has no room for another channel to \
                 {destination}. Try again in a moment."
            ),
        ),
        Cause::ChannelTimeout { destination, after } => Told::new(
            Code::ApiUnavailable,
            At::Forward,
            format!(
                "Connected to {host}, but {destination} did not answer within {}, seen from \
                 {host}. Check the address and the firewall there.",
                seconds(after)
            ),
        ),

        Cause::Disconnected { message } => Told::new(
            Code::SshDisconnected,
            None::<At>,
            match message {
                Some(message) => {
                    format!("{host} ended the SSH connection (it said: {message}). Try again.")
                }
                None => format!("{host} ended the SSH connection. Try again."),
            },
        ),
        Cause::KeepaliveTimeout => Told::new(
            Code::SshDisconnected,
            None::<At>,
            format!("{host} stopped answering. Check the network, then try again."),
        ),
        Cause::ConnectionLost { source } => Told::new(
            Code::SshDisconnected,
            None::<At>,
            format!("The connection to {host} was lost. Try again. ({source})"),
        ),
        Cause::Closed => Told::new(
            Code::SshDisconnected,
            None::<At>,
            format!("The connection to {host} was closed here. Connect again."),
        ),
        Cause::Protocol { source } => Told::new(
            Code::SshProtocolError,
            At::SshHandshake,
            format!("{at} did not speak SSH as expected. ({source})"),
        ),
    }
}

/// `publickey (~/.ssh/id_ed25519), password`; skipped ones with their reason.
fn attempts(tried: &[AuthAttempt]) -> String {
    let told: Vec<_> = tried
        .iter()
        // `none` only asks what is allowed; it is news only when it is all there was.
        .filter(|attempt| attempt.method != "none" || tried.len() == 1)
        .map(|attempt| {
            let what = match &attempt.detail {
                Some(detail) => format!("{} ({detail})", attempt.method),
                None => attempt.method.to_owned(),
            };
            match &attempt.outcome {
                AuthOutcome::Rejected => what,
                AuthOutcome::Partial => format!("{what}, accepted as a first step"),
                AuthOutcome::Skipped(reason) => format!("{what}, not tried: {reason}"),
            }
        })
        .collect();
    if told.is_empty() {
        "nothing; there was nothing to try".to_owned()
    } else {
        told.join("; ")
    }
}

fn methods(allowed: &[String]) -> String {
    if allowed.is_empty() {
        "it did not say".to_owned()
    } else {
        super::list(allowed)
    }
}

fn auth_hint(tried: &[AuthAttempt], allowed: &[String]) -> String {
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
    } else if allows("password") || allows("keyboard-interactive") {
        "Save a password in the profile, or choose the sign-in method that the server allows."
    } else {
        "Choose a private key that the server knows."
    }
    .to_owned()
}

fn key(host: &str, path: &Path, problem: &KeyProblem) -> Told {
    let file = path.display();
    let unusable = |message: String| Told::new(ErrorCode::SshKeyUnusable, StageName::Auth, message);
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
        )),
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
        KeyProblem::Certificate(problem) => unusable(format!(
            "The certificate of {file} {}.",
            match problem {
                CertificateProblem::Unreadable => "can't be read".to_owned(),
                CertificateProblem::OtherKey => "belongs to another key".to_owned(),
                CertificateProblem::NotForUsers => "is not one for users".to_owned(),
                CertificateProblem::Expired => "has expired; have it renewed".to_owned(),
                CertificateProblem::NotYetValid =>
                    "is not valid yet; check this computer's clock".to_owned(),
                CertificateProblem::OtherPrincipal(user) => format!("is not made out to {user}"),
                CertificateProblem::UnsupportedType =>
                    "is of a kind that only an agent can use".to_owned(),
            }
        )),
    }
}

fn agent(problem: &AgentProblem) -> String {
    match problem {
        AgentProblem::NoSocket => "No SSH agent: SSH_AUTH_SOCK is not set. Start Puffin from a \
             terminal, or choose a key file."
            .to_owned(),
        AgentProblem::Unreachable { path, source } => format!(
            "The SSH agent at {} can't be reached. Is it running? ({source})",
            path.display()
        ),
        AgentProblem::Silent => {
            "The SSH agent does not answer. Unlock it, or choose a key file.".to_owned()
        }
        AgentProblem::Empty => {
            "The SSH agent holds no keys. Add one with ssh-add, or choose a key file.".to_owned()
        }
        AgentProblem::NoMatch => {
            "The SSH agent does not hold the chosen key. Add it with ssh-add.".to_owned()
        }
        AgentProblem::Broken(problem) => {
            format!("The SSH agent does not work; choose a key file instead. ({problem})")
        }
    }
}

fn unanswerable(host: &str, kind: &PromptKind, failure: PromptFailure) -> Told {
    let what = match kind {
        PromptKind::Passphrase { path } => format!("the passphrase of {}", path.display()),
        PromptKind::Password => "a password".to_owned(),
        PromptKind::KeyboardInteractive => "an answer from you".to_owned(),
    };
    let (code, message) = match failure {
        PromptFailure::Unsupported => (
            ErrorCode::SshAuthFailed,
            format!(
                "{host} needs {what}, and there is no way to ask you here. Save it in the profile."
            ),
        ),
        PromptFailure::Cancelled => (
            ErrorCode::SshAuthFailed,
            format!("{host} needs {what}; the question was closed, so nobody is signed in."),
        ),
        PromptFailure::TimedOut => (
            ErrorCode::SshConnectionTimeout,
            format!("{host} needs {what}; the question was not answered in time. Connect again."),
        ),
        PromptFailure::HostGone => (
            ErrorCode::HostUnavailable,
            format!("{host} needs {what}, and nobody is there to ask."),
        ),
        PromptFailure::Unfit => (
            ErrorCode::SshAuthFailed,
            format!("{host} needs {what}; the answer that came does not fit the question."),
        ),
    };
    Told::new(code, StageName::Auth, message)
}
