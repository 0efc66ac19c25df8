//! Where a server listens: `http://host:port/base` or `unix:/path`, as seen by the machine that
//! opens the byte streams. Nothing is resolved here.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// What to ask the [`Opener`](super::Opener) for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dial {
    /// A TCP port. The host is a name or an address without brackets.
    Tcp { host: String, port: u16 },
    /// A Unix stream socket.
    Unix { path: String },
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { path } => write!(f, "unix:{path}"),
        }
    }
}

/// A checked server address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    dial: Dial,
    /// Value of the `Host` header. Servers on loopback refuse names they don't know, so it is the
    /// authority as the server sees it, not the name of the tunnel's other end.
    host: String,
    /// Path in front of the API, without a trailing slash; may be empty.
    base: String,
}

/// Why an address cannot be used. The address itself is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("the address is empty")]
    Empty,
    #[error("the address has a blank, a control character or a character outside ASCII")]
    Character,
    #[error("the address has no scheme; write http://host:port")]
    NoScheme,
    #[error("{0}:// is not a scheme of an LLM server; use http:// or unix:/path")]
    Scheme(String),
    #[error("https is not supported yet; use http, the SSH connection already encrypts")]
    Https,
    #[error("the address has a user name or password; put a key into the API key field")]
    UserInfo,
    #[error("the address has a part after #")]
    Fragment,
    #[error("the address has a part after ?")]
    Query,
    #[error("the address has no host")]
    NoHost,
    #[error("{0:?} is not a host name or an IP address")]
    Host(String),
    #[error("{0:?} is not a port")]
    Port(String),
    #[error("{0} is a link-local or cloud metadata address, never an LLM server")]
    LinkLocal(IpAddr),
    #[error("the path {0:?} is not usable")]
    Path(String),
    #[error("a unix: address needs an absolute path")]
    RelativeSocket,
}

impl Endpoint {
    /// Where byte streams are opened to.
    #[must_use]
    pub fn dial(&self) -> &Dial {
        &self.dial
    }

    /// Value of the `Host` header.
    #[must_use]
    pub fn host_header(&self) -> &str {
        &self.host
    }

    /// Prefixes under which `/models` and `/chat/completions` may be, most likely first.
    ///
    /// People type bases with and without `/v1`, and Ollama's with `/api`.
    pub(crate) fn api_prefixes(&self) -> Vec<String> {
        let base = self.base.strip_suffix("/v1").unwrap_or(&self.base);
        let mut prefixes = vec![format!("{base}/v1"), base.to_owned()];
        if let Some(root) = base.strip_suffix("/api") {
            prefixes.insert(1, format!("{root}/v1"));
        }
        prefixes
    }

    /// Prefix of a server's own routes, such as `/props` or `/api/version`.
    pub(crate) fn root(&self) -> &str {
        let base = self.base.strip_suffix("/v1").unwrap_or(&self.base);
        base.strip_suffix("/api").unwrap_or(base)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim_matches(' ');
        if text.is_empty() {
            return Err(EndpointError::Empty);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(EndpointError::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(EndpointError::NoScheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => return Err(EndpointError::Https),
            other => return Err(EndpointError::Scheme(other.to_owned())),
        }
        // Before anything is repeated in an error: what stands in front of an @ is secret.
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        if path.contains('#') {
            return Err(EndpointError::Fragment);
        }
        if path.contains('?') {
            return Err(EndpointError::Query);
        }
        let (host, port) = split_authority(authority)?;
        let base = base_path(path)?;
        let number = match port {
            None => 80,
            Some(digits) => port_number(digits)?,
        };
        Ok(Self {
            dial: Dial::Tcp {
                host: check_host(host)?,
                port: number,
            },
            host: authority.to_owned(),
            base,
        })
    }
}

/// `unix:/path`. The path is the remote machine's, so only its form is checked.
fn unix(path: &str) -> Result<Endpoint, EndpointError> {
    // Accept the URL-like spelling too.
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.chars().any(char::is_control) {
        return Err(EndpointError::Character);
    }
    if !path.starts_with('/') || path.len() < 2 {
        return Err(EndpointError::RelativeSocket);
    }
    Ok(Endpoint {
        dial: Dial::Unix {
            path: path.to_owned(),
        },
        host: "localhost".to_owned(),
        base: String::new(),
    })
}

/// Splits `host:port`, keeping an IPv6 address in its brackets.
fn split_authority(authority: &str) -> Result<(&str, Option<&str>), EndpointError> {
    let (host, port) = match authority.rfind(']') {
        Some(bracket) => {
            let (host, rest) = authority.split_at(bracket + 1);
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(EndpointError::Host(authority.to_owned())),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(EndpointError::NoHost);
    }
    Ok((host, port))
}

fn port_number(digits: &str) -> Result<u16, EndpointError> {
    let wrong = || EndpointError::Port(digits.to_owned());
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    match digits.parse::<u16>() {
        Ok(0) | Err(_) => Err(wrong()),
        Ok(port) => Ok(port),
    }
}

fn check_host(host: &str) -> Result<String, EndpointError> {
    let wrong = || EndpointError::Host(host.to_owned());
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| wrong())?;
        refuse_link_local(IpAddr::V6(address))?;
        return Ok(inner.to_owned());
    }
    if host.len() > 253 || host.split('.').any(|label| label.len() > 63) {
        return Err(wrong());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !host.bytes().all(allowed) || host.starts_with(['.', '-']) || host.contains("..") {
        return Err(wrong());
    }
    // Resolvers read 0xa9fea9fe, 2852039166 and 169.254.43518 as addresses too. Whatever ends in
    // a number has to be a plain dotted quad, so that the check below cannot be dodged.
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or("");
    let hexadecimal = last
        .strip_prefix("0x")
        .or_else(|| last.strip_prefix("0X"))
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
        let address: Ipv4Addr = host.parse().map_err(|_| wrong())?;
        refuse_link_local(IpAddr::V4(address))?;
    }
    Ok(host.to_owned())
}

/// Where clouds hand out credentials, and where nothing but neighbours answers.
fn refuse_link_local(address: IpAddr) -> Result<(), EndpointError> {
    const EC2_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    let refused = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || v6 == EC2_METADATA
                || embedded_v4(v6).is_some_and(|v4| v4.is_link_local())
        }
    };
    if refused {
        return Err(EndpointError::LinkLocal(address));
    }
    Ok(())
}

/// The IPv4 address inside a mapped (`::ffff:a.b.c.d`), compatible or NAT64 (`64:ff9b::/96`) one.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let embeds = matches!(
        (a, b, c, d, e, f),
        (0, 0, 0, 0, 0, 0 | 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0)
    );
    let [p, q] = high.to_be_bytes();
    let [r, s] = low.to_be_bytes();
    embeds.then(|| Ipv4Addr::new(p, q, r, s))
}

fn base_path(path: &str) -> Result<String, EndpointError> {
    let path = path.trim_end_matches('/');
    let wrong = || EndpointError::Path(path.to_owned());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(&byte);
    if !path.bytes().all(allowed) || path.contains("//") {
        return Err(wrong());
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(wrong());
    }
    // Pasted from a request's address.
    let path = path
        .strip_suffix("/chat/completions")
        .or_else(|| path.strip_suffix("/models"))
        .unwrap_or(path);
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Dial {
        Dial::Tcp {
            host: host.into(),
            port,
        }
    }

    #[test]
    fn the_host_header_is_the_authority_as_it_was_written() {
        for (text, dial, host) in [
            (
                "http://localhost:11434",
                tcp("localhost", 11434),
                "localhost:11434",
            ),
            ("HTTP://gpu-1.lan", tcp("gpu-1.lan", 80), "gpu-1.lan"),
            ("http://[::1]:8080/", tcp("::1", 8080), "[::1]:8080"),
            (
                "http://127.0.0.1:8000/v1",
                tcp("127.0.0.1", 8000),
                "127.0.0.1:8000",
            ),
            (
                "unix:/run/llm.sock",
                Dial::Unix {
                    path: "/run/llm.sock".into(),
                },
                "localhost",
            ),
            (
                "unix:///run/llm.sock",
                Dial::Unix {
                    path: "/run/llm.sock".into(),
                },
                "localhost",
            ),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(
                (endpoint.dial(), endpoint.host_header()),
                (&dial, host),
                "{text}"
            );
        }
    }

    #[test]
    fn a_base_may_be_typed_with_v1_with_api_or_with_a_slash() {
        for (text, prefixes, root) in [
            ("http://h", &["/v1", ""][..], ""),
            ("http://h/", &["/v1", ""], ""),
            ("http://h/v1/", &["/v1", ""], ""),
            ("http://h/v1/chat/completions", &["/v1", ""], ""),
            ("http://h/llm", &["/llm/v1", "/llm"], "/llm"),
            ("http://h/api", &["/api/v1", "/v1", "/api"], ""),
            ("http://h/api/v1", &["/api/v1", "/v1", "/api"], ""),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.api_prefixes(), prefixes, "{text}");
            assert_eq!(endpoint.root(), root, "{text}");
        }
    }

    #[test]
    fn an_unusable_address_says_what_is_wrong_with_it() {
        use EndpointError::*;
        for (text, error) in [
            ("", Empty),
            ("localhost:11434", NoScheme),
            ("ftp://h", Scheme("ftp".into())),
            ("https://h", Https),
            ("http://me:secret@h", UserInfo),
            ("http://h/#x", Fragment),
            ("http://h/?x=1", Query),
            ("http://", NoHost),
            ("http://:80", NoHost),
            ("http://h:0", Port("0".into())),
            ("http://h:65536", Port("65536".into())),
            ("http://h:+80", Port("+80".into())),
            ("http://a:b:c", Port("b:c".into())),
            ("http://h\r\nX: y", Character),
            ("http://h/\u{e9}", Character),
            ("http://ex%41mple", Host("ex%41mple".into())),
            ("http://[::1", Host("[".into())),
            ("http://h/a/../b", Path("/a/../b".into())),
            ("unix:run/llm.sock", RelativeSocket),
            ("unix:/run/\nllm", Character),
        ] {
            let found = text.parse::<Endpoint>();
            match (&error, &found) {
                // What exactly is repeated of a broken bracket does not matter.
                (Host(_), Err(Host(_) | Port(_))) => {}
                _ => assert_eq!(found, Err(error), "{text}"),
            }
        }
    }

    #[test]
    fn link_local_and_metadata_addresses_are_refused_in_every_spelling() {
        for host in [
            "169.254.169.254",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
        ] {
            let found = format!("http://{host}").parse::<Endpoint>();
            assert!(
                matches!(found, Err(EndpointError::LinkLocal(_))),
                "{host}: {found:?}"
            );
        }
        for host in [
            "2852039166",
            "0xa9fea9fe",
            "169.254.43518",
            "0251.0376.0251.0376",
            "1.0x7f",
        ] {
            let found = format!("http://{host}").parse::<Endpoint>();
            assert!(
                matches!(found, Err(EndpointError::Host(_))),
                "{host}: {found:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_accepted_is_safe_in_a_header_and_in_a_request_line(text in ".{0,40}", tail in "[ -~\r\n]{0,20}") {
            for candidate in [text.clone(), format!("http://{text}{tail}"), format!("http://h/{tail}")] {
                if let Ok(endpoint) = candidate.parse::<Endpoint>() {
                    let safe = |s: &str| s.bytes().all(|byte| byte.is_ascii_graphic());
                    assert!(safe(endpoint.host_header()));
                    assert!(endpoint.api_prefixes().iter().all(|prefix| safe(prefix)));
                }
            }
        }
    }
}
