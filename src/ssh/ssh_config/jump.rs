//! ProxyJump: a chain of `[user@]host[:port]` or `ssh://` addresses.

use super::name;

/// One host on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ssh) struct Jump {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
}

/// The hops in the order in which they are passed; `none` is no hop.
pub(super) fn parse(text: &str) -> Option<Vec<Jump>> {
    if text.eq_ignore_ascii_case("none") {
        return Some(Vec::new());
    }
    // `ssh` hands it to a shell, which takes quotes away.
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    text.split(',').map(hop).collect()
}

fn hop(text: &str) -> Option<Jump> {
    let jump = match text.strip_prefix("ssh://") {
        Some(address) => uri(address)?,
        None => plain(text)?,
    };
    let is_safe = name::is_host(&jump.host) && jump.user.as_deref().is_none_or(name::is_user);
    is_safe.then_some(jump)
}

fn plain(text: &str) -> Option<Jump> {
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, text),
    };
    if user == Some("") {
        return None;
    }
    let (host, delimiter, rest) = delimit(place)?;
    if host.is_empty() || delimiter == Some('/') {
        return None;
    }
    Some(Jump {
        user: user.map(str::to_owned),
        host: unbracketed(host).to_owned(),
        port: port_or_nothing(rest)?,
    })
}

fn uri(text: &str) -> Option<Jump> {
    let (user, place) = match text.split_once('@') {
        Some((user, place)) => {
            let (user, _parameters) = user.split_once(';').unwrap_or((user, ""));
            (Some(user), place)
        }
        None => (None, text),
    };
    if user == Some("") {
        return None;
    }
    let (host, delimiter, rest) = delimit(place)?;
    let host = domain(unbracketed(host))?;
    let (port, path) = match delimiter {
        Some(':') => {
            let (port, path) = rest.split_once('/').unwrap_or((rest, ""));
            // `h:/` has a slash for a port.
            if port.is_empty() && !rest.is_empty() {
                return None;
            }
            (port_or_nothing(port)?, path)
        }
        Some(_) | None => (None, rest),
    };
    if !path.is_empty() {
        return None;
    }
    let user = match user {
        Some(user) => Some(url_decoded(user)?),
        None => None,
    };
    Some(Jump { user, host, port })
}

/// Cuts the host off: what it is, what ends it, and what follows.
fn delimit(text: &str) -> Option<(&str, Option<char>, &str)> {
    let end = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        text.find([':', '/']).unwrap_or(text.len())
    };
    let (host, rest) = text.split_at(end);
    let mut rest = rest.chars();
    match rest.next() {
        delimiter @ (None | Some(':' | '/')) => Some((host, delimiter, rest.as_str())),
        Some(_) => None,
    }
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// Port 0 is none, and no port is fine.
fn port_or_nothing(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    port(text).map(Some)
}

/// A port as OpenSSH reads it.
pub(super) fn port(text: &str) -> Option<u16> {
    if text == "ssh" {
        return Some(22);
    }
    let number = text.trim_start_matches([' ', '\t']);
    let number = number.strip_prefix('+').unwrap_or(number);
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|port| is_number && *port != 0)
}

/// A host name of a URI; the last dot goes.
fn domain(host: &str) -> Option<String> {
    let is_valid = host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !host.contains("..")
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    is_valid.then(|| host.strip_suffix('.').unwrap_or(host).to_owned())
}

fn url_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                u8::from_str_radix(digits, 16)
                    .ok()
                    .filter(|byte| *byte != 0)?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jump(user: Option<&str>, host: &str, port: Option<u16>) -> Jump {
        Jump {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn chains_and_addresses_are_understood() {
        assert_eq!(parse("None"), Some(vec![]));
        assert_eq!(
            parse("a@gw1:2222,[::1]:22,ssh://b%40c;x=1@gw2.:23/,gw3:"),
            Some(vec![
                jump(Some("a"), "gw1", Some(2222)),
                jump(None, "::1", Some(22)),
                jump(Some("b@c"), "gw2", Some(23)),
                jump(None, "gw3", None),
            ])
        );
        for bad in [
            "",
            "@h",
            "h:0",
            "h:x",
            "h/p",
            "a,",
            ",a",
            "[::1",
            "[::1]x",
            "::1",
            "ssh://",
            "ssh://h/p",
            "ssh://[::1]",
            "ssh://@h",
            "ssh://a..b",
            "h:70000",
            "-h",
            "a;b",
            "$(x)@h",
            "ssh://%zz@h",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
