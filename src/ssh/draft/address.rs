//! One word that says where: `user@host:port`, `ssh://…`, `http://…`, `unix:/…`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Draft, DraftProblem};
use crate::ssh::plan::Stop;
use crate::ssh::ssh_config::Jump;

/// An LLM server's address. `http://gpu1:8000` means port 8000 on the machine gpu1,
/// which from gpu1 itself is localhost.
pub(super) fn endpoint(text: &str) -> Result<Option<Draft>, DraftProblem> {
    if text.starts_with("unix:/") {
        return Ok(Some(Draft {
            endpoint: Some(text.to_owned()),
            ..Draft::default()
        }));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(None);
    };
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        return if scheme == "ssh" {
            Ok(None)
        } else {
            Err(DraftProblem::Unknown)
        };
    }
    let mut warnings = Vec::new();
    let rest = match rest.find(['?', '#']) {
        Some(end) => {
            warnings.push("What the URL has after its path was left out.".to_owned());
            rest.get(..end).unwrap_or_default()
        }
        None => rest,
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let authority = match authority.rsplit_once('@') {
        Some((_, place)) => {
            warnings.push("The user and password of the URL were left out.".to_owned());
            place
        }
        None => authority,
    };
    let place = destination(authority).ok_or(DraftProblem::Unknown)?;
    let port = place.port.map_or(String::new(), |port| format!(":{port}"));
    let path = path.trim_end_matches('/');
    let host = if is_local(&place.host) {
        bracketed(&place.host)
    } else {
        "localhost".to_owned()
    };
    Ok(Some(Draft {
        stops: if is_local(&place.host) {
            Vec::new()
        } else {
            vec![Stop::new(place.host)]
        },
        endpoint: Some(format!("{scheme}://{host}{port}{path}")),
        warnings,
    }))
}

/// Where `ssh` would go: `[user@]host` with a port, or an `ssh://` URI.
pub(super) fn destination(text: &str) -> Option<Jump> {
    crate::ssh::ssh_config::parse_jump(text)
        .or_else(|| {
            // An IPv6 address without brackets has no port.
            let (user, host) = match text.rsplit_once('@') {
                Some((user, host)) => (Some(user.to_owned()), host),
                None => (None, text),
            };
            host.parse::<Ipv6Addr>().ok().map(|_| Jump {
                user,
                host: host.to_owned(),
                port: None,
            })
        })
        .filter(|jump| !jump.host.contains(char::is_whitespace))
}

/// What is said about an `ssh://` URI that had a password.
pub(super) const PASSWORD_LEFT_OUT: &str = "The password of the URL was left out.";

/// An `ssh://user:password@host` without its password; `None`: it has none. `ssh` would take both for
/// the user's name, and a profile's file would keep them.
pub(super) fn without_password(text: &str) -> Option<String> {
    let rest = text.strip_prefix("ssh://")?;
    let (user, place) = rest.rsplit_once('@')?;
    let (user, _) = user.split_once(':')?;
    Some(format!("ssh://{user}@{place}"))
}

fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}
