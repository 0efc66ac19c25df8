//! What the fields of a profile may hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use super::error::{Error, Warning};
use super::id;
use super::ollama::Ollama;
use super::profile::{ApiType, AuthMethod, LlmProfile, Profile, SshProfile, Timeouts, Tls};
use super::text::is_hidden;
use super::unknown::join;

mod models;
mod secret;

pub use secret::validate_secret;

const NAME_LENGTH: usize = 200;
const HOST_LENGTH: usize = 255;
const USERNAME_LENGTH: usize = 255;
const PATH_LENGTH: usize = 4096;
const ENDPOINT_LENGTH: usize = 2048;
const MODEL_LENGTH: usize = 512;
const MODEL_ALIASES: usize = 256;
const HEADERS: usize = 64;
const HEADER_NAME_LENGTH: usize = 128;
const HEADER_VALUE_LENGTH: usize = 8192;
const JUMP_HOSTS: usize = 8;
const CONNECT_MS: RangeInclusive<u64> = 1..=3_600_000;
const KEEPALIVE_MS: RangeInclusive<u64> = 0..=3_600_000;
const KEEPALIVE_COUNT: RangeInclusive<u64> = 1..=100;
const CONNECTIONS: RangeInclusive<u64> = 1..=4;
const IDLE_MS: RangeInclusive<u64> = 0..=86_400_000;
const CLOCK_MS: RangeInclusive<u64> = 1..=86_400_000;
const RETRIES: RangeInclusive<u64> = 0..=10;

/// Headers that carry credentials.
const SECRET_HEADERS: &[&str] = &[
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
];
/// Headers that the HTTP client sets itself.
const OWN_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Checks every field.
///
/// The endpoint's syntax is checked roughly here and parsed in full where it is used.
///
/// # Errors
/// [`Error::Invalid`] with the first field that is wrong, and what it may hold.
pub fn validate(profile: &Profile) -> Result<Vec<Warning>, Error> {
    let mut warnings = Vec::new();
    id::check(&profile.id)?;
    text("name", &profile.name, NAME_LENGTH)?;
    ssh("ssh", &profile.ssh, &mut warnings)?;
    llm(&profile.llm, &mut warnings)?;
    optional(
        "selectedModel",
        profile.selected_model.as_ref(),
        |at, model| text(at, model, MODEL_LENGTH),
    )?;
    Ok(warnings)
}

/// Whether a header of this name carries a credential, which a profile must not hold.
pub(super) fn is_secret_header(name: &str) -> bool {
    contains(SECRET_HEADERS, name)
}

fn ssh(path: &str, ssh: &SshProfile, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    let at = |name| join(path, name);
    host(&at("host"), &ssh.host)?;
    optional(&at("port"), ssh.port.as_ref(), |at, port| {
        number(at, u64::from(*port), 1..=65535)
    })?;
    optional(&at("username"), ssh.username.as_ref(), |at, name| {
        text(at, name, USERNAME_LENGTH)?;
        require(!name.starts_with('-'), at, "must not start with `-`")
    })?;
    for (name, value) in [
        ("privateKeyPath", &ssh.private_key_path),
        ("certificatePath", &ssh.certificate_path),
        ("identityAgent", &ssh.identity_agent),
    ] {
        optional(&at(name), value.as_ref(), |at, path| file_path(at, path))?;
    }
    ssh.password_source.validate(&at("passwordSource"))?;
    ssh.passphrase_source.validate(&at("passphraseSource"))?;
    optional(
        &at("proxyCommand"),
        ssh.proxy_command.as_ref(),
        |at, command| text(at, command, PATH_LENGTH),
    )?;
    optional(
        &at("connectTimeout"),
        ssh.connect_timeout_ms.as_ref(),
        |at, ms| number(at, *ms, CONNECT_MS),
    )?;
    optional(
        &at("keepaliveInterval"),
        ssh.keepalive_interval_ms.as_ref(),
        |at, ms| number(at, *ms, KEEPALIVE_MS),
    )?;
    optional(
        &at("keepaliveCountMax"),
        ssh.keepalive_count_max.as_ref(),
        |at, count| number(at, u64::from(*count), KEEPALIVE_COUNT),
    )?;
    optional(
        &at("maxConnections"),
        ssh.max_connections.as_ref(),
        |at, count| number(at, u64::from(*count), CONNECTIONS),
    )?;
    optional(
        &at("idleTimeout"),
        ssh.idle_timeout_ms.as_ref(),
        |at, ms| number(at, *ms, IDLE_MS),
    )?;
    require(
        ssh.jump_hosts.len() <= JUMP_HOSTS,
        &at("jumpHosts"),
        "must not have more than 8 hosts",
    )?;

    require(
        ssh.proxy_command.is_none() || ssh.jump_hosts.is_empty(),
        &at("proxyCommand"),
        "must be absent where there are jump hosts; the first of them may have one",
    )?;
    let needs_key = ssh.auth_method == AuthMethod::PrivateKey && !ssh.use_ssh_config;
    if needs_key && ssh.private_key_path.is_none() {
        warnings.push(Warning::new(
            at("privateKeyPath"),
            "Without a key file, only the usual ones in ~/.ssh are tried.",
        ));
    }
    for (index, hop) in ssh.jump_hosts.iter().enumerate() {
        let path = format!("{}[{index}]", at("jumpHosts"));
        require(
            hop.jump_hosts.is_empty(),
            &join(&path, "jumpHosts"),
            "must be absent: list all hops in `ssh.jumpHosts`, in order",
        )?;
        require(
            index == 0 || hop.proxy_command.is_none(),
            &join(&path, "proxyCommand"),
            "must be absent: only the first jump host is reached from here",
        )?;
        self::ssh(&path, hop, warnings)?;
    }
    Ok(())
}

fn llm(llm: &LlmProfile, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    endpoint("llm.apiEndpoint", &llm.api_endpoint, warnings)?;
    headers(&llm.headers)?;
    optional("llm.hostHeader", llm.host_header.as_ref(), |at, host| {
        authority(at, host)
    })?;
    // An empty one is none.
    let affinity_header = llm.affinity_header.as_ref();
    optional(
        "llm.affinityHeader",
        affinity_header.filter(|name| !name.is_empty()),
        |at, name| header_name(at, name),
    )?;
    optional(
        "llm.defaultModel",
        llm.default_model.as_ref(),
        |at, model| text(at, model, MODEL_LENGTH),
    )?;
    require(
        llm.model_aliases.len() <= MODEL_ALIASES,
        "llm.modelAliases",
        "must not have more than 256 names",
    )?;
    for (alias, model) in &llm.model_aliases {
        let at = join("llm.modelAliases", alias);
        text(&at, alias, MODEL_LENGTH)?;
        text(&at, model, MODEL_LENGTH)?;
    }
    models::models(&llm.models)?;
    timeouts(&llm.timeouts)?;
    optional(
        "llm.requestTimeout",
        llm.request_timeout_ms.as_ref(),
        |at, ms| number(at, *ms, CLOCK_MS),
    )?;
    optional("llm.maxRetries", llm.max_retries.as_ref(), |at, count| {
        number(at, u64::from(*count), RETRIES)
    })?;
    llm.ollama.validate()?;
    if llm.api_type == ApiType::OpenaiCompatible && llm.ollama != Ollama::default() {
        warnings.push(Warning::new(
            "llm.ollama",
            "This has no effect with the OpenAI-compatible API: set llm.apiType to auto or ollama.",
        ));
    }
    let Some(tls) = &llm.tls else { return Ok(()) };
    self::tls(tls)?;
    if !is_https(&llm.api_endpoint) && (tls.ca_path.is_some() || tls.server_name.is_some()) {
        warnings.push(Warning::new(
            "llm.tls",
            "This has no effect: the endpoint is not an https one.",
        ));
    }
    Ok(())
}

fn is_https(endpoint: &str) -> bool {
    let scheme = endpoint.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

fn timeouts(timeouts: &Timeouts) -> Result<(), Error> {
    for (name, ms) in [
        ("connectMs", timeouts.connect_ms),
        ("firstTokenMs", timeouts.first_token_ms),
        ("idleMs", timeouts.idle_ms),
        ("totalMs", timeouts.total_ms),
        ("discoveryMs", timeouts.discovery_ms),
    ] {
        optional(&join("llm.timeouts", name), ms.as_ref(), |at, ms| {
            number(at, *ms, CLOCK_MS)
        })?;
    }
    Ok(())
}

fn tls(tls: &Tls) -> Result<(), Error> {
    optional("llm.tls.caPath", tls.ca_path.as_ref(), |at, path| {
        file_path(at, path)
    })?;
    optional(
        "llm.tls.serverName",
        tls.server_name.as_ref(),
        |at, name| host(at, name),
    )
}

fn endpoint(at: &str, endpoint: &str, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    const SHAPE: &str = "must be http://host:port/path, https://host:port/path or unix:/path";
    text(at, endpoint, ENDPOINT_LENGTH)?;
    require(!endpoint.contains(char::is_whitespace), at, SHAPE)?;
    if let Some(path) = endpoint.strip_prefix("unix:") {
        return require(path.starts_with('/') && path.len() > 1, at, SHAPE);
    }
    let Some((scheme, rest)) = endpoint.split_once("://") else {
        return Err(Error::invalid(at, SHAPE));
    };
    let https = is_https(endpoint);
    require(https || scheme.eq_ignore_ascii_case("http"), at, SHAPE)?;
    require(!rest.contains('#'), at, "must not have a fragment (`#…`)")?;
    require(!rest.contains('?'), at, "must not have a query (`?…`)")?;
    let authority = rest.split('/').next().unwrap_or_default();
    require(
        !authority.contains('@'),
        at,
        "must not hold a user or password; use `llm.apiKey` or `llm.secretHeaders`",
    )?;
    let (host, port) = split_authority(authority).ok_or_else(|| Error::invalid(at, SHAPE))?;
    if let Some(port) = port {
        let port = port.parse::<u16>().ok().filter(|port| *port != 0);
        require(port.is_some(), at, "must have a port from 1 to 65535")?;
    }
    if !https && !is_loopback(host) {
        warnings.push(Warning::new(
            at,
            "This is another machine than the one reached over SSH: from there on, requests and \
             the API key travel unencrypted.",
        ));
    }
    Ok(())
}

/// `host` or `host:port`, as a `Host` header has it.
fn authority(at: &str, authority: &str) -> Result<(), Error> {
    text(at, authority, HOST_LENGTH)?;
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    let fits = split_authority(authority).is_some_and(|(_, port)| port.is_none_or(is_port));
    require(
        fits,
        at,
        "must be a host name or an address, with a port if need be",
    )
}

/// Splits `host:port` or `[v6]:port`.
fn split_authority(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            authority.split_at_checked(end)?
        }
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return None;
    }
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port))),
        None => rest.is_empty().then_some((host, None)),
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
        || name
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.is_loopback())
}

fn headers(headers: &BTreeMap<String, String>) -> Result<(), Error> {
    require(
        headers.len() <= HEADERS,
        "llm.headers",
        "must not have more than 64 headers",
    )?;
    let mut seen = BTreeSet::new();
    for (name, value) in headers {
        let at = join("llm.headers", name);
        header_name(&at, name)?;
        require(
            !is_secret_header(name),
            &at,
            "is secret: put it into `llm.secretHeaders`",
        )?;
        require(
            seen.insert(name.to_ascii_lowercase()),
            &at,
            "is given twice, in different spellings",
        )?;
        let plain = |c: char| c == '\t' || !is_hidden(c);
        require(
            value.chars().all(plain) && value.len() <= HEADER_VALUE_LENGTH,
            &at,
            "must be one line of at most 8192 bytes, without control characters",
        )?;
    }
    Ok(())
}

fn header_name(at: &str, name: &str) -> Result<(), Error> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    require(
        !name.is_empty() && name.len() <= HEADER_NAME_LENGTH && name.chars().all(token),
        at,
        "must be a header name: 1 to 128 letters, digits or `-`",
    )?;
    require(
        !contains(OWN_HEADERS, name),
        at,
        "is a header that is always set by the HTTP client",
    )
}

/// A name or address as OpenSSH would take it: nothing that a shell or an option parser
/// could read otherwise.
fn host(at: &str, host: &str) -> Result<(), Error> {
    text(at, host, HOST_LENGTH)?;
    let odd = |c: char| c.is_whitespace() || "'`\"$\\;&<>|(){}/@#?!*,".contains(c);
    require(
        // One colon is a port's; an IPv6 address has more.
        !host.starts_with('-') && !host.contains(odd) && host.matches(':').count() != 1,
        at,
        "must be a host name, an address or an alias of ssh_config, without user or port",
    )
}

fn file_path(at: &str, path: &str) -> Result<(), Error> {
    require(
        !path.contains("-----BEGIN"),
        at,
        "must be the path of a file, not its content",
    )?;
    text(at, path, PATH_LENGTH)
}

fn text(at: &str, text: &str, length: usize) -> Result<(), Error> {
    require(!text.trim().is_empty(), at, "must not be empty")?;
    if text.len() > length {
        return Err(Error::invalid(
            at,
            format!("must not be longer than {length} bytes"),
        ));
    }
    require(
        !text.contains(is_hidden),
        at,
        "must not contain line ends, other control characters or ones that turn the direction of \
         writing",
    )
}

pub(super) fn number(at: &str, number: u64, range: RangeInclusive<u64>) -> Result<(), Error> {
    if range.contains(&number) {
        return Ok(());
    }
    let (start, end) = range.into_inner();
    Err(Error::invalid(
        at,
        format!("must be a whole number from {start} to {end}"),
    ))
}

pub(super) fn optional<T>(
    at: &str,
    value: Option<&T>,
    check: impl FnOnce(&str, &T) -> Result<(), Error>,
) -> Result<(), Error> {
    value.map_or(Ok(()), |value| check(at, value))
}

pub(super) fn require(holds: bool, at: &str, problem: &str) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::invalid(at, problem))
    }
}

fn contains(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::super::from_json;
    use super::*;
    use serde_json::{Value, json};

    fn check(pointer: &str, value: Value) -> Result<Vec<Warning>, Error> {
        let mut profile = json!({
            "id": "gpu-1", "name": "GPU",
            "ssh": {"host": "gpu", "jumpHosts": [{"host": "a"}, {"host": "b"}]},
            "llm": {"apiEndpoint": "http://localhost:8000", "headers": {}, "timeouts": {}, "modelAliases": {}},
        });
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = profile.pointer_mut(parent).unwrap();
        parent
            .as_object_mut()
            .unwrap()
            .insert(name.to_owned(), value);
        validate(&from_json(profile)?.0)
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_its_field() {
        let long = "x".repeat(5000);
        for (pointer, value, expected) in [
            ("/id", json!("../x"), "configId"),
            ("/name", json!(" "), "name"),
            ("/name", json!("a\nb"), "name"),
            ("/name", json!("a\u{202e}b"), "name"),
            ("/name", json!(long), "name"),
            ("/selectedModel", json!(""), "selectedModel"),
            ("/ssh/host", json!(""), "ssh.host"),
            ("/ssh/host", json!("-oProxyCommand=x"), "ssh.host"),
            ("/ssh/host", json!("user@gpu"), "ssh.host"),
            ("/ssh/host", json!("a b"), "ssh.host"),
            ("/ssh/host", json!("$(id)"), "ssh.host"),
            ("/ssh/port", json!(0), "ssh.port"),
            ("/ssh/username", json!("-x"), "ssh.username"),
            ("/ssh/username", json!("a\0"), "ssh.username"),
            (
                "/ssh/proxyCommand",
                json!("nc \u{202e}%h"),
                "ssh.proxyCommand",
            ),
            (
                "/ssh/privateKeyPath",
                json!("-----BEGIN OPENSSH"),
                "ssh.privateKeyPath",
            ),
            ("/ssh/privateKeyPath", json!(long), "ssh.privateKeyPath"),
            ("/ssh/connectTimeout", json!(0), "ssh.connectTimeout"),
            (
                "/ssh/keepaliveInterval",
                json!(3_600_001),
                "ssh.keepaliveInterval",
            ),
            ("/ssh/keepaliveCountMax", json!(0), "ssh.keepaliveCountMax"),
            ("/ssh/maxConnections", json!(5), "ssh.maxConnections"),
            ("/ssh/idleTimeout", json!(86_400_001), "ssh.idleTimeout"),
            (
                "/ssh/jumpHosts",
                json!(vec![json!({"host": "a"}); 9]),
                "ssh.jumpHosts",
            ),
            (
                "/ssh/jumpHosts/1/host",
                json!("a/b"),
                "ssh.jumpHosts[1].host",
            ),
            (
                "/ssh/jumpHosts/1/jumpHosts",
                json!([{"host": "c"}]),
                "ssh.jumpHosts[1].jumpHosts",
            ),
            (
                "/llm/apiEndpoint",
                json!("localhost:8000"),
                "llm.apiEndpoint",
            ),
            (
                "/llm/apiEndpoint",
                json!("ftp://localhost"),
                "llm.apiEndpoint",
            ),
            ("/llm/apiEndpoint", json!("http://"), "llm.apiEndpoint"),
            ("/llm/apiEndpoint", json!("http://:80"), "llm.apiEndpoint"),
            (
                "/llm/apiEndpoint",
                json!("http://u:p@localhost"),
                "llm.apiEndpoint",
            ),
            (
                "/llm/apiEndpoint",
                json!("http://localhost/#x"),
                "llm.apiEndpoint",
            ),
            (
                "/llm/apiEndpoint",
                json!("http://localhost?x"),
                "llm.apiEndpoint",
            ),
            (
                "/llm/apiEndpoint",
                json!("http://localhost:0"),
                "llm.apiEndpoint",
            ),
            (
                "/llm/apiEndpoint",
                json!("http://localhost:70000"),
                "llm.apiEndpoint",
            ),
            ("/llm/apiEndpoint", json!("http://[::1"), "llm.apiEndpoint"),
            ("/llm/apiEndpoint", json!("http://a b"), "llm.apiEndpoint"),
            (
                "/llm/apiEndpoint",
                json!("unix:relative"),
                "llm.apiEndpoint",
            ),
            (
                "/llm/headers/X\r\nY",
                json!("x"),
                "llm.headers.X\\u{d}\\u{a}Y",
            ),
            ("/llm/headers/X-Y", json!("x\r\ny"), "llm.headers.X-Y"),
            ("/llm/headers/X-Y", json!("\u{2067}"), "llm.headers.X-Y"),
            ("/llm/headers/Host", json!("x"), "llm.headers.Host"),
            (
                "/llm/headers",
                json!({"x-a": "1", "X-A": "2"}),
                "llm.headers.x-a",
            ),
            ("/llm/affinityHeader", json!("a b"), "llm.affinityHeader"),
            ("/llm/defaultModel", json!("a\u{1b}[0m"), "llm.defaultModel"),
            ("/llm/modelAliases/fast", json!(""), "llm.modelAliases.fast"),
            ("/llm/timeouts/idleMs", json!(0), "llm.timeouts.idleMs"),
            (
                "/llm/timeouts/totalMs",
                json!(86_400_001),
                "llm.timeouts.totalMs",
            ),
            ("/llm/requestTimeout", json!(0), "llm.requestTimeout"),
            ("/llm/hostHeader", json!(""), "llm.hostHeader"),
            ("/llm/hostHeader", json!("a b"), "llm.hostHeader"),
            ("/llm/hostHeader", json!("a/b"), "llm.hostHeader"),
            ("/llm/hostHeader", json!("a:0"), "llm.hostHeader"),
            ("/llm/hostHeader", json!("a\r\nX: y"), "llm.hostHeader"),
            ("/llm/maxRetries", json!(11), "llm.maxRetries"),
            (
                "/llm/tls",
                json!({"serverName": "-x"}),
                "llm.tls.serverName",
            ),
        ] {
            match check(pointer, value) {
                Err(Error::Invalid { field, .. }) => assert_eq!(field, expected, "{pointer}"),
                other => panic!("{pointer}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_problem_says_what_is_allowed() {
        let port = check("/ssh/port", json!(0)).unwrap_err();
        assert_eq!(
            port.to_string(),
            "`ssh.port` must be a whole number from 1 to 65535"
        );
    }

    #[test]
    fn what_is_accepted_but_matters_is_said() {
        for (pointer, value, expected) in [
            ("/ssh/host", json!("fe80::1%eth0"), None),
            ("/ssh/username", json!("DOMAIN\\user@corp"), None),
            ("/ssh/keepaliveInterval", json!(0), None),
            ("/llm/apiEndpoint", json!("HTTP://LOCALHOST:1/v1/"), None),
            ("/llm/apiEndpoint", json!("http://127.0.0.2"), None),
            ("/llm/apiEndpoint", json!("http://[::1]:8000"), None),
            ("/llm/apiEndpoint", json!("unix:/run/llm.sock"), None),
            (
                "/llm/apiEndpoint",
                json!("http://10.0.0.5:8000"),
                Some("llm.apiEndpoint"),
            ),
            (
                "/llm/apiEndpoint",
                json!("http://localhost.example.com"),
                Some("llm.apiEndpoint"),
            ),
            ("/llm/apiEndpoint", json!("https://10.0.0.5:8443"), None),
            ("/llm/tls", json!({}), None),
            ("/llm/tls", json!({"caPath": "~/ca.pem"}), Some("llm.tls")),
            ("/ssh/jumpHosts/0/proxyCommand", json!("nc"), None),
            ("/ssh/transport", json!("system"), None),
            ("/llm/maxRetries", json!(3), None),
            ("/llm/apiType", json!("ollama"), None),
            ("/llm/ollama", json!({"numCtx": 8192}), None),
            ("/llm/hostHeader", json!("localhost"), None),
            ("/llm/hostHeader", json!("[::1]:11434"), None),
            ("/llm/affinityHeader", json!(""), None),
        ] {
            let warnings = check(pointer, value).unwrap();
            let fields: Vec<_> = warnings
                .iter()
                .map(|warning| warning.field.as_str())
                .collect();
            assert_eq!(
                fields,
                expected.into_iter().collect::<Vec<_>>(),
                "{pointer}"
            );
        }
    }

    #[test]
    fn a_header_that_carries_a_credential_is_refused() {
        let mut profile = Profile {
            id: "a".into(),
            name: "a".into(),
            ..Profile::default()
        };
        profile.ssh.host = "h".into();
        profile.llm.api_endpoint = "http://localhost".into();
        profile
            .llm
            .headers
            .insert("Authorization".into(), "Bearer canary".into());
        let error = validate(&profile).unwrap_err();
        assert!(
            matches!(&error, Error::Invalid { field, .. } if field == "llm.headers.Authorization")
        );
        assert!(!error.to_string().contains("canary"));
    }
}
