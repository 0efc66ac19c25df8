//! The command lines of `ssh`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ssh::target::{
    AddressFamily, AuthMethod, Destination, Environment, Hop, HostKeyPolicy, Target,
};
#[cfg(unix)]
use crate::ssh::text::single_quoted;

/// What the master says on its standard output when it is signed in.
pub(super) const CONNECTED: &str = "connected";

/// Whom ssh may ask for passwords, passphrases and codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    Nobody,
    /// Through SSH_ASKPASS.
    APerson,
}

/// A command line without the program itself.
type Arguments = Vec<String>;

/// The connection itself: signs in and then only serves `socket`.
pub(super) fn master(
    target: &Target,
    environment: &Environment,
    socket: &Path,
    asking: Asking,
) -> Arguments {
    let mut arguments = vec![
        "-N".to_owned(),
        "-M".to_owned(),
        "-S".to_owned(),
        escape(&socket.display().to_string()),
    ];
    set(&mut arguments, "ControlPersist", "no");
    set(&mut arguments, "PermitLocalCommand", "yes");
    set(&mut arguments, "LocalCommand", &format!("echo {CONNECTED}"));
    set(&mut arguments, "LogLevel", "DEBUG1");
    arguments.extend(connection(target, environment, asking));
    arguments
}

/// A stream through the master. Should that be gone, nothing else is tried.
pub(super) fn stream(socket: &Path, to: &Destination) -> Arguments {
    let mut arguments = ["-F", "none", "-S"].map(str::to_owned).to_vec();
    arguments.push(escape(&socket.display().to_string()));
    set(&mut arguments, "ControlMaster", "no");
    set(&mut arguments, "ProxyCommand", "false");
    set(&mut arguments, "LogLevel", "DEBUG1");
    // Whatever becomes of -W, a command is never run there.
    arguments.extend(["-N".to_owned(), "-W".to_owned(), to.to_string()]);
    arguments.extend(["--", "master"].map(str::to_owned));
    arguments
}

/// Asks whether the master still serves its connection.
pub(super) fn check(socket: &Path) -> Arguments {
    let mut arguments = ["-F", "none", "-S"].map(str::to_owned).to_vec();
    arguments.push(escape(&socket.display().to_string()));
    arguments.extend(["-O", "check", "--", "master"].map(str::to_owned));
    arguments
}

/// A stream with a connection of its own.
pub(super) fn lone_stream(
    target: &Target,
    environment: &Environment,
    to: &Destination,
) -> Arguments {
    let mut arguments = vec!["-N".to_owned(), "-W".to_owned(), to.to_string()];
    set(&mut arguments, "ControlMaster", "no");
    set(&mut arguments, "ControlPath", "none");
    set(&mut arguments, "LogLevel", "DEBUG2");
    arguments.extend(connection(target, environment, Asking::Nobody));
    arguments
}

/// How to get to the machine: the whole route, as options and destination.
///
/// The hops before are nested proxy commands rather than `-J`, because `-J` hands
/// none of the options on, and so would leave the host keys on the way to whatever
/// ssh_config says about them.
fn connection(target: &Target, environment: &Environment, asking: Asking) -> Arguments {
    let mut arguments = Arguments::new();
    for (index, hop) in target.hops.iter().enumerate() {
        let proxy = if index == 0 {
            hop.proxy_command.as_deref().map(escape)
        } else {
            Some(jump(&arguments, environment))
        };
        arguments = one_hop(hop, environment, proxy.as_deref(), asking);
    }
    arguments
}

/// A proxy command that goes through the hop that `before` leads to.
fn jump(before: &[String], environment: &Environment) -> String {
    let program = environment
        .ssh_program
        .clone()
        .unwrap_or_else(|| PathBuf::from("ssh"));
    let mut words = vec![quote(&escape(&program.display().to_string()))];
    for argument in ["-o", "ControlMaster=no", "-o", "ControlPath=none"] {
        words.push(argument.to_owned());
    }
    // Tokens are for the ssh that runs this command, not for the ones inside it.
    words.push("-W [%h]:%p".to_owned());
    words.extend(before.iter().map(|argument| quote(&escape(argument))));
    words.join(" ")
}

fn one_hop(hop: &Hop, environment: &Environment, proxy: Option<&str>, asking: Asking) -> Arguments {
    let mut arguments = Arguments::new();
    if let Some(file) = config_file(hop, environment) {
        arguments.extend(["-F".to_owned(), file]);
    }
    // First value wins, and these come first: nothing is weaker than our own policy.
    let batch = match asking {
        Asking::Nobody => "yes",
        Asking::APerson => "no",
    };
    set(&mut arguments, "BatchMode", batch);
    let strict = match hop.host_key_policy {
        HostKeyPolicy::AcceptNew => "accept-new",
        // ssh must not ask about keys: it would record them as it likes.
        HostKeyPolicy::Ask | HostKeyPolicy::Strict => "yes",
    };
    set(&mut arguments, "StrictHostKeyChecking", strict);
    set(
        &mut arguments,
        "UserKnownHostsFile",
        &known_hosts(hop, environment),
    );
    set(&mut arguments, "UpdateHostKeys", "no");
    // Only streams: no ports are opened here, nothing is run or handed on there.
    for (name, value) in [
        ("ClearAllForwardings", "yes"),
        ("ForwardAgent", "no"),
        ("ForwardX11", "no"),
        ("Tunnel", "no"),
        ("RequestTTY", "no"),
        ("RemoteCommand", "none"),
        ("Compression", "no"),
    ] {
        set(&mut arguments, name, value);
    }
    let seconds = |duration: Duration| duration.as_secs().max(1).to_string();
    set(
        &mut arguments,
        "ConnectTimeout",
        &seconds(hop.connect_timeout),
    );
    let alive = hop
        .keepalive_interval
        .filter(|interval| !interval.is_zero());
    set(
        &mut arguments,
        "ServerAliveInterval",
        &alive.map_or_else(|| "0".to_owned(), seconds),
    );
    set(
        &mut arguments,
        "ServerAliveCountMax",
        &hop.keepalive_count_max.max(1).to_string(),
    );
    if let Some(proxy) = proxy {
        set(&mut arguments, "ProxyCommand", proxy);
    }
    own_choices(hop, environment, &mut arguments);
    arguments.extend(["-p".to_owned(), hop.port.to_string()]);
    arguments.extend(["-l".to_owned(), hop.username.clone()]);
    let name = hop.alias.as_ref().unwrap_or(&hop.host);
    arguments.extend(["--".to_owned(), name.clone()]);
    arguments
}

/// What the profile says itself; the rest is in ssh_config.
fn own_choices(hop: &Hop, environment: &Environment, arguments: &mut Arguments) {
    if let Some(key) = &hop.private_key_path {
        let key = environment.expand(key).display().to_string();
        arguments.extend(["-i".to_owned(), escape(&key)]);
    }
    if hop.identities_only || hop.auth == AuthMethod::PrivateKey {
        set(arguments, "IdentitiesOnly", "yes");
    }
    // The method that the profile chose.
    let methods = match hop.auth {
        AuthMethod::Auto => None,
        AuthMethod::Password => Some("password,keyboard-interactive"),
        AuthMethod::PrivateKey | AuthMethod::Agent => Some("publickey"),
        AuthMethod::KeyboardInteractive => Some("keyboard-interactive"),
        AuthMethod::None => Some("none"),
    };
    if let Some(methods) = methods {
        set(arguments, "PreferredAuthentications", methods);
    }
    for certificate in &hop.certificate_paths {
        let certificate = environment.expand(certificate).display().to_string();
        set(arguments, "CertificateFile", &word(&escape(&certificate)));
    }
    if let Some(agent) = &hop.identity_agent {
        let agent = environment.expand(agent).display().to_string();
        set(arguments, "IdentityAgent", &word(&escape(&agent)));
    }
    match hop.address_family {
        AddressFamily::Any => {}
        AddressFamily::Inet => arguments.push("-4".to_owned()),
        AddressFamily::Inet6 => arguments.push("-6".to_owned()),
    }
}

/// The configuration to read, where it is not the one that `ssh` finds by itself.
fn config_file(hop: &Hop, environment: &Environment) -> Option<String> {
    if !hop.use_ssh_config {
        return Some("none".to_owned());
    }
    let file = environment.user_config.as_ref();
    let file = file.filter(|_| !environment.is_at_account_home())?;
    Some(if file.exists() {
        file.display().to_string()
    } else {
        "none".to_owned()
    })
}

/// Our own file first: the first one is where ssh records new keys.
fn known_hosts(hop: &Hop, environment: &Environment) -> String {
    let user = hop.known_hosts.user.as_ref();
    std::iter::once(&environment.own_known_hosts)
        .chain(user.unwrap_or(&environment.user_known_hosts))
        .map(|file| word(&escape(&file.display().to_string())))
        .collect::<Vec<_>>()
        .join(" ")
}

fn set(arguments: &mut Arguments, name: &str, value: &str) {
    arguments.push("-o".to_owned());
    arguments.push(format!("{name}={value}"));
}

/// Protects what ssh would take for a token.
fn escape(text: &str) -> String {
    text.replace('%', "%%")
}

/// One word of an option's value, in ssh_config's own quotes.
fn word(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

/// One word for the shell that runs a proxy command.
#[cfg(unix)]
fn quote(word: &str) -> String {
    single_quoted(word)
}

#[cfg(not(unix))]
fn quote(word: &str) -> String {
    format!("\"{}\"", word.replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
