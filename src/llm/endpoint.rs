//! Where a server listens: `http(s)://host:port/base` or `unix:/path`, as seen by the machine that
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
    is_tls: bool,
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
    #[error("{0}:// is not a scheme of an LLM server; use http://, https:// or unix:/path")]
    Scheme(String),
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

    /// Whether TLS is spoken there.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
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
        let (is_tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (false, 80),
            "https" => (true, 443),
            other => return Err(EndpointError::Scheme(other.to_owned())),
        };
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
            None => default_port,
            Some(digits) => port_number(digits)?,
        };
        Ok(Self {
            dial: Dial::Tcp {
                host: check_host(host)?,
                port: number,
            },
            is_tls,
            // The scheme's own port is left out, as everybody does.
            host: if number == default_port {
                host.to_owned()
            } else {
                authority.to_owned()
            },
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
        is_tls: false,
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
mod tests;
