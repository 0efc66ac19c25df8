//! Sentences for what can go wrong between here and the machine.

use crate::{
    protocol::{ErrorCode, ErrorData, ErrorObject, StageName},
    ssh::{Cause, Error, Place},
};

use super::{auth, forward, host_key, system};

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

/// What is said about a cause, before the place and the code's number are added.
pub(super) struct Told {
    code: ErrorCode,
    /// `None`: a connection that was there ended, which can be at any time.
    stage: Option<StageName>,
    message: String,
    hint: Option<String>,
    fingerprint: Option<String>,
}

impl Told {
    pub(super) fn new(
        code: ErrorCode,
        stage: impl Into<Option<StageName>>,
        message: String,
    ) -> Self {
        Self {
            code,
            stage: stage.into(),
            message,
            hint: None,
            fingerprint: None,
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    pub(super) fn fingerprint(self, fingerprint: &str) -> Self {
        Self {
            fingerprint: Some(fingerprint.to_owned()),
            ..self
        }
    }
}

/// `gpu1:22`, with the brackets of an IPv6 address.
pub(super) fn address(place: &Place) -> String {
    if place.host.contains(':') && !place.host.starts_with('[') {
        format!("[{}]:{}", place.host, place.port)
    } else {
        format!("{}:{}", place.host, place.port)
    }
}

#[expect(clippy::too_many_lines, reason = "one arm a cause, each a sentence")]
pub(super) fn tell(place: &Place, cause: &Cause) -> Told {
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
        Cause::SshConfig { problem } => Told::new(
            Code::SshConfigInvalid,
            At::Resolve,
            format!(
                "ssh_config can't be used for {host}: {problem}. Mend it, or switch ssh_config \
                 off in the profile."
            ),
        ),
        Cause::TooManyHops { hops } => Told::new(
            Code::SshConfigInvalid,
            At::Resolve,
            format!(
                "The way to {host} has more than {hops} machines: ProxyJump in ssh_config goes \
                 round in circles. Give the first machine `ProxyJump none`."
            ),
        ),
        Cause::NoUsername => Told::new(
            Code::SshConfigInvalid,
            At::Resolve,
            format!("Nobody says as which user to sign in to {host}. Fill in the user name."),
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
        Cause::ProxyCommandNotStarted { source } => Told::new(
            Code::SshProxyCommandFailed,
            At::Tcp,
            format!(
                "The proxy command for {at} can't be started, because the shell that runs it \
                 can't be. Check that SHELL names one that is there. ({source})"
            ),
        ),
        Cause::ThroughProxyCommand { cause } => tell(place, cause).hint(format!(
            "The way to {host} is a proxy command. Run it in a terminal: an SSH server greets with \
             a line that begins with SSH-2.0."
        )),
        Cause::ProxyCommandEnded { status, said } => Told::new(
            Code::SshProxyCommandFailed,
            At::SshHandshake,
            format!(
                "The proxy command for {at} ended before {host} answered ({}{}). Run it in a \
                 terminal to see why.",
                status.as_deref().unwrap_or("without a status"),
                said.as_deref()
                    .map(|said| format!("; it said: {said}"))
                    .unwrap_or_default()
            ),
        ),
        Cause::SecretCommand {
            kind,
            program,
            problem,
        } => auth::secret_command(host, kind, program, problem),
        Cause::NoSystemSsh => Told::new(
            Code::SshSystemFailed,
            At::Tcp,
            format!(
                "The profile wants the system's ssh for {at}, and there is none on this \
                 computer's search path. Install OpenSSH's client, or choose the transport `auto`."
            ),
        ),
        Cause::SystemNotStarted { source } => Told::new(
            Code::SshSystemFailed,
            At::Tcp,
            format!(
                "The system's ssh can't be started for {at}. Try `ssh -V` in a terminal, or choose \
                 the transport `auto`. ({source})"
            ),
        ),
        Cause::SystemSsh { problem, said } => system::failed(&at, *problem, said),
        Cause::BindAddress { address, source } => Told::new(
            Code::SshConfigInvalid,
            At::Tcp,
            format!(
                "Can't connect to {at} from the local address {address} (BindAddress): this \
                 computer does not have it, or not for this kind of address. Mend it in ssh_config. \
                 ({source})"
            ),
        ),
        Cause::NotReachedThrough { via, cause } => forward::not_reached(via, &at, cause),
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
        Cause::NoUsableAlgorithm {
            kind,
            names,
            usable,
        } => Told::new(
            Code::SshConfigInvalid,
            At::SshHandshake,
            format!(
                "{} for {host} names only {}, which this program does not know or finds too weak. \
                 Change it in the ssh_config file.",
                kind.directive(),
                super::list(names)
            ),
        )
        .hint(format!("What would work: {}.", usable.join(", "))),

        Cause::HostKeyUnknown {
            key,
            reason: _,
            known_as: _,
            why,
        } => host_key::unknown(place, key, *why),
        Cause::HostKeyChanged {
            key,
            known,
            remove_command,
        } => host_key::changed(&at, key, known, remove_command),
        Cause::HostKeyConflict { key, other } => host_key::conflict(&at, key, other),
        Cause::HostCertificateInvalid { certificate } => host_key::certificate(&at, certificate),
        Cause::HostKeyRevoked {
            key,
            authority,
            file,
            line,
        } => host_key::revoked(&at, key, authority.as_deref(), file, *line),
        Cause::HostKeyTooShort { key } => host_key::too_short(&at, key),
        Cause::HostKeyRejected { key } => host_key::rejected(&at, key),
        Cause::KnownHostsUnreadable { file, source } => host_key::unreadable(&at, file, source),

        Cause::AuthFailed {
            username,
            tried,
            allowed,
            banner,
        } => auth::failed(host, username, tried, allowed, banner.as_deref()),
        Cause::TooManyKeys {
            username,
            offered,
            untried,
            tried,
            allowed: _,
        } => auth::too_many_keys(host, username, *offered, *untried, tried),
        Cause::MethodsDisabled { preferred, allowed } => {
            auth::methods_disabled(host, preferred, allowed)
        }
        Cause::KeyUnusable { path, problem } => auth::key(host, path, problem),
        Cause::NoAgent { problem } => auth::agent(host, problem),
        Cause::PasswordExpired { username, after } => {
            auth::password_expired(host, username, &seconds(after))
        }
        Cause::AuthTimeout { after } => Told::new(
            Code::SshConnectionTimeout,
            At::Auth,
            format!(
                "{host} did not finish the sign-in within {}. Try again.",
                seconds(after)
            ),
        ),
        Cause::Unanswerable { kind, failure } => auth::unanswerable(host, kind, *failure),

        Cause::EndedDuringLogin { cause } => auth::ended(host, cause),
        Cause::DestinationRefused { destination, said } => {
            forward::refused(host, destination, said.as_deref())
        }
        Cause::ForwardingDenied { destination } => forward::denied(place, destination),
        Cause::ForwardingUnsupported { destination } => forward::unsupported(place, destination),
        Cause::SystemUnixSocket { destination } => Told::new(
            Code::SshForwardDenied,
            At::Forward,
            format!(
                "Connected to {host}, but the system's ssh is not used for the socket \
                 {destination}. Use a TCP address, or the transport `auto`."
            ),
        ),
        Cause::ServerFull { destination } => forward::full(host, destination),
        Cause::ChannelTimeout { destination, after } => {
            forward::silent(host, destination, &seconds(after))
        }

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
            format!(
                "{at} did not speak SSH as expected. Try again; if it stays so, report it with the \
                 server's version. ({source})"
            ),
        ),
    }
}
