//! The settings of a host: every value final.

use std::path::PathBuf;
use std::time::Duration;

use super::Jump;
use super::found::Found;
use super::jump;
use super::parse;
use super::problem::Problem;
use super::token::{Allowed, Tokens};
use super::value::Values;
use crate::ssh::{AddressFamily, Algorithms, Environment, KnownHostsFiles};

/// What ssh_config says about a host. Every value is final: tokens, `~` and `${}` are
/// expanded. A value that only repeats OpenSSH's default counts as not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ssh) struct Settings {
    pub host_name: String,
    pub port: u16,
    pub user: Option<String>,
    /// `None`: the default names.
    pub identity_files: Option<Vec<PathBuf>>,
    pub certificate_files: Vec<PathBuf>,
    pub identities_only: bool,
    /// `none` stays as it is: no agent.
    pub identity_agent: Option<PathBuf>,
    /// The hosts on the way, in order.
    pub proxy_jump: Vec<Jump>,
    pub proxy_command: Option<String>,
    pub known_hosts: KnownHostsFiles,
    pub strict_host_key_checking: Option<StrictHostKeyChecking>,
    pub algorithms: Algorithms,
    /// Without the methods that are switched off.
    pub preferred_authentications: Option<Vec<String>>,
    pub address_family: AddressFamily,
    pub bind_address: Option<String>,
    pub connect_timeout: Option<Duration>,
    /// Zero: never ask.
    pub server_alive_interval: Option<Duration>,
    pub server_alive_count_max: Option<u32>,
    /// Sentences for people.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ssh) enum StrictHostKeyChecking {
    Yes,
    AcceptNew,
    Ask,
    /// `no` and `off`.
    No,
}

/// The methods that we know, in OpenSSH's order, and what switches them off.
const METHODS: [(&str, &str, &str); 3] = [
    ("publickey", "pubkeyauthentication", "false"),
    ("keyboard-interactive", "kbdinteractiveauthentication", "no"),
    ("password", "passwordauthentication", "no"),
];

/// Expands what was found. The warnings are added by the caller.
pub(super) fn settle(found: &Found, environment: &Environment) -> Result<Settings, Problem> {
    let values = &found.values;
    let chain = match values.one("proxyjump") {
        Some(text) => jump::parse(text).unwrap_or_default(),
        None => Vec::new(),
    };
    let alias = values.one("hostkeyalias").map(str::to_owned);
    let tokens = Tokens {
        environment,
        host: &found.host,
        original: &found.original,
        port: found.port,
        user: found.user.as_deref(),
        alias: alias.as_deref(),
        jump: chain.last().map_or("", |jump| &jump.host),
    };
    let proxy_jump = chain
        .iter()
        .map(|jump| expand_jump(jump, &tokens))
        .collect::<Result<_, _>>()?;
    let proxy_command = values
        .one("proxycommand")
        .map(|command| tokens.text("ProxyCommand", command, Allowed::Proxy))
        .transpose()?;
    Ok(Settings {
        host_name: found.host.clone(),
        port: found.port,
        user: found.user.clone(),
        identity_files: paths(values, "identityfile", "IdentityFile", &tokens)?,
        certificate_files: paths(values, "certificatefile", "CertificateFile", &tokens)?
            .unwrap_or_default(),
        identities_only: values.is("identitiesonly", "yes"),
        identity_agent: agent(found, &tokens)?,
        proxy_jump,
        proxy_command,
        known_hosts: KnownHostsFiles {
            user: user_known_hosts(found, &tokens)?,
            global: values
                .all("globalknownhostsfile")
                .map(|files| some_files(files).map(PathBuf::from).collect()),
            alias,
        },
        strict_host_key_checking: values
            .one("stricthostkeychecking")
            .map(|value| match value {
                "true" => StrictHostKeyChecking::Yes,
                "accept-new" => StrictHostKeyChecking::AcceptNew,
                "false" => StrictHostKeyChecking::No,
                _ => StrictHostKeyChecking::Ask,
            }),
        algorithms: Algorithms {
            key_exchanges: names(values, "kexalgorithms"),
            ciphers: names(values, "ciphers"),
            macs: names(values, "macs"),
            host_keys: names(values, "hostkeyalgorithms"),
            keeps_host_key_order: found.keeps_host_key_order,
            public_keys: names(values, "pubkeyacceptedalgorithms"),
        },
        preferred_authentications: methods(values),
        address_family: parse::family(values),
        bind_address: values.one("bindaddress").map(str::to_owned),
        connect_timeout: seconds(values, "connecttimeout"),
        server_alive_interval: seconds(values, "serveraliveinterval")
            .or(found.is_keepalive_off.then_some(Duration::ZERO)),
        server_alive_count_max: values
            .one("serveralivecountmax")
            .and_then(|count| count.parse().ok()),
        warnings: Vec::new(),
    })
}

/// `ssh` runs itself for a jump as a ProxyCommand, tokens and all.
fn expand_jump(jump: &Jump, tokens: &Tokens<'_>) -> Result<Jump, Problem> {
    let expand = |text: &str| tokens.text("ProxyJump", text, Allowed::Proxy);
    Ok(Jump {
        user: jump.user.as_deref().map(expand).transpose()?,
        host: expand(&jump.host)?,
        port: jump.port,
    })
}

fn some_files(files: &[String]) -> impl Iterator<Item = &str> {
    files
        .iter()
        .map(String::as_str)
        .filter(|file| !file.eq_ignore_ascii_case("none"))
}

fn paths(
    values: &Values,
    key: &str,
    directive: &'static str,
    tokens: &Tokens<'_>,
) -> Result<Option<Vec<PathBuf>>, Problem> {
    let Some(files) = values.all(key) else {
        return Ok(None);
    };
    some_files(files)
        .map(|file| tokens.path(directive, file))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn user_known_hosts(found: &Found, tokens: &Tokens<'_>) -> Result<Option<Vec<PathBuf>>, Problem> {
    let Some(files) = found.values.all("userknownhostsfile") else {
        return Ok(None);
    };
    let files: Vec<PathBuf> = if found.is_expanded {
        some_files(files).map(PathBuf::from).collect()
    } else {
        some_files(files)
            .map(|file| tokens.path("UserKnownHostsFile", file))
            .collect::<Result<_, _>>()?
    };
    // Written out in full, the default is still the default.
    let is_default = tokens.environment.home.as_ref().is_some_and(|home| {
        let folder = home.join(".ssh");
        files == [folder.join("known_hosts"), folder.join("known_hosts2")]
    });
    Ok((!is_default).then_some(files))
}

fn agent(found: &Found, tokens: &Tokens<'_>) -> Result<Option<PathBuf>, Problem> {
    const NONE: &str = "none";
    let Some(text) = found.values.one("identityagent") else {
        return Ok(None);
    };
    let path = if found.is_expanded {
        PathBuf::from(text)
    } else {
        tokens.path("IdentityAgent", text)?
    };
    let variable = path.to_str().and_then(|path| path.strip_prefix('$'));
    Ok(match variable {
        _ if path.as_os_str() == "SSH_AUTH_SOCK" => None,
        Some(name) if !name.starts_with('{') => {
            let socket = tokens.environment.variables.get(name);
            Some(PathBuf::from(socket.unwrap_or(NONE)))
        }
        Some(_) | None => Some(path),
    })
}

fn names(values: &Values, key: &str) -> Option<Vec<String>> {
    let list = values.one(key)?;
    let names = list.split(',').filter(|name| !name.is_empty());
    Some(names.map(str::to_owned).collect())
}

fn methods(values: &Values) -> Option<Vec<String>> {
    let is_off = |method: &str| {
        METHODS
            .iter()
            .any(|(name, key, off)| *name == method && values.is(key, off))
    };
    match names(values, "preferredauthentications") {
        Some(names) => Some(names.into_iter().filter(|name| !is_off(name)).collect()),
        None => METHODS.iter().any(|(name, ..)| is_off(name)).then(|| {
            let names = METHODS.iter().map(|(name, ..)| *name);
            names
                .filter(|name| !is_off(name))
                .map(str::to_owned)
                .collect()
        }),
    }
}

fn seconds(values: &Values, key: &str) -> Option<Duration> {
    let seconds = values.one(key)?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Whether a value depends on the home directory before `ssh -G` prints it.
pub(super) fn depends_on_home(values: &Values) -> bool {
    ["userknownhostsfile", "identityagent"]
        .iter()
        .filter_map(|key| values.all(key))
        .flatten()
        .any(|value| value.starts_with("~/") || value == "~" || value.contains("%d"))
}

/// Splits what `ssh -G` printed with blanks between as the files have it, if that is the
/// same text: paths may have blanks, too.
pub(super) fn split_alike(dumped: &mut Values, read: &Found, environment: &Environment) {
    let Ok(settings) = settle(read, environment) else {
        return;
    };
    let KnownHostsFiles { user, global, .. } = settings.known_hosts;
    for (key, files) in [
        ("userknownhostsfile", user),
        ("globalknownhostsfile", global),
    ] {
        let files: Option<Vec<String>> = files
            .into_iter()
            .flatten()
            .map(|file| file.into_os_string().into_string().ok())
            .collect();
        if let (Some(files), Some(printed)) = (files, dumped.0.get_mut(key))
            && files.join(" ") == printed.join(" ")
        {
            *printed = files;
        }
    }
}
