//! Host and user names that may go on: the shell of a ProxyCommand sees them.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::ssh::AddressFamily;

/// Whether OpenSSH takes a text for a host.
pub(in crate::ssh) fn is_host(host: &str) -> bool {
    !host.is_empty()
        && !host.starts_with('-')
        && !host.chars().any(|c| {
            matches!(
                c,
                '\'' | '`' | '"' | '$' | '\\' | ';' | '&' | '<' | '>' | '|'
            ) || matches!(c, '(' | ')' | '{' | '}')
                || c.is_ascii_whitespace()
                || c.is_ascii_control()
        })
}

/// Whether OpenSSH takes a text for a user.
pub(in crate::ssh) fn is_user(user: &str) -> bool {
    let space_and_dash = [" -", "\t-"].iter().any(|pair| user.contains(pair));
    !user.starts_with('-')
        && !user.ends_with('\\')
        && !space_and_dash
        && !user.chars().any(|c| {
            c.is_ascii_control()
                || matches!(c, '\'' | '`' | '"' | ';' | '&' | '<' | '>' | '|')
                || matches!(c, '(' | ')' | '{' | '}')
        })
}

/// A host name as it is used: an address in its usual form, a name in lower case.
pub(super) fn canonical(host: &str, family: AddressFamily) -> String {
    if let Some(address) = address(host, family) {
        // Only another spelling is another name.
        return if address.eq_ignore_ascii_case(host) {
            host.to_owned()
        } else {
            address
        };
    }
    let looks_like_an_address =
        host.contains(['%', ':']) || host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if looks_like_an_address {
        host.to_owned()
    } else {
        host.to_ascii_lowercase()
    }
}

fn address(host: &str, family: AddressFamily) -> Option<String> {
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return (family != AddressFamily::Inet).then(|| version_6(address));
    }
    let address = version_4(host)?;
    (family != AddressFamily::Inet6).then(|| address.to_string())
}

/// The C library writes addresses with an embedded IPv4 address in its own way.
fn version_6(address: Ipv6Addr) -> String {
    let segments = address.segments();
    let is_compatible = segments.iter().take(6).all(|segment| *segment == 0) && segments[6] != 0;
    if is_compatible {
        let [.., a, b, c, d] = address.octets();
        format!("::{}", Ipv4Addr::new(a, b, c, d))
    } else {
        address.to_string()
    }
}

/// `127.1`, `0x7f.1`, `017700000001`: the last part fills what is left.
fn version_4(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    let mut value: u32 = 0;
    for part in first {
        if *part > 255 {
            return None;
        }
        value = value << 8 | part;
    }
    let bits = match first.len() {
        0 => return Some(Ipv4Addr::from(*last)),
        1 => 24,
        2 => 16,
        3 => 8,
        _ => return None,
    };
    (last >> bits == 0).then(|| Ipv4Addr::from(value << bits | last))
}

fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_into_use_as_in_openssh() {
        for (host, expected) in [
            ("GPU1.Example", "gpu1.example"),
            ("127.1", "127.0.0.1"),
            ("0x7F.1", "127.0.0.1"),
            ("010.0.0.1", "8.0.0.1"),
            ("1.2.3.4.5", "1.2.3.4.5"),
            ("256.1.1.1", "256.1.1.1"),
            ("::0001", "::1"),
            ("FE80::1", "FE80::1"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("::1.2.3.4", "::1.2.3.4"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("A%b", "A%b"),
        ] {
            assert_eq!(canonical(host, AddressFamily::Any), expected);
        }
        assert_eq!(canonical("127.1", AddressFamily::Inet6), "127.1");
    }

    #[test]
    fn names_with_meaning_for_a_shell_are_refused() {
        for host in ["", "-x", "a b", "a;b", "$(x)", "a\nb", "`x`"] {
            assert!(!is_host(host), "{host}");
        }
        for user in ["-x", "a -b", "a;b", "a\\", "a\nb"] {
            assert!(!is_user(user), "{user}");
        }
        for name in ["gpu1", "::1", "fe80::1%eth0", "a%b"] {
            assert!(is_host(name) && is_user(name), "{name}");
        }
        assert!(is_user("DOMAIN\\user") && is_user("$user"));
    }
}
