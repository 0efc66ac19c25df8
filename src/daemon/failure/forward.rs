//! Sentences about what an SSH server connects us to: the LLM server, or the next hop.

use crate::{
    protocol::{ErrorCode, StageName},
    ssh::{Cause, Destination, Place},
};

use super::ssh::{Told, tell};

pub(super) fn refused(host: &str, destination: &Destination, said: Option<&str>) -> Told {
    match (destination, other_than_refused(said)) {
        (Destination::Tcp { .. }, Some(said)) => told(
            ErrorCode::ApiUnavailable,
            format!(
                "Connected to {host}, but {destination} can't be reached from there ({said}). \
                 Check the address as it is known on {host}."
            ),
        ),
        (Destination::Tcp { .. }, None) => told(
            ErrorCode::ApiUnavailable,
            format!(
                "Connected to {host}, but nothing listens on {destination}, seen from {host}. \
                 Start the LLM server there, or check the address."
            ),
        ),
        // OpenSSH has one answer for both.
        (Destination::Unix { .. }, _) => told(
            ErrorCode::ApiUnavailable,
            format!(
                "Connected to {host}, but it could not open the socket {destination}: either \
                 nothing listens on it, or the SSH server of {host} forbids sockets, which looks \
                 the same from here. Start the LLM server there, or check the path."
            ),
        )
        .hint(
            "In sshd_config there, AllowStreamLocalForwarding and AllowTcpForwarding must be yes \
             or local, PermitOpen any, and DisableForwarding no; in authorized_keys, the key must \
             not have restrict or no-port-forwarding.",
        ),
    }
}

pub(super) fn denied(place: &Place, destination: &Destination) -> Told {
    let host = &place.host;
    told(
        ErrorCode::SshForwardDenied,
        format!(
            "Connected to {host}, but it may not open {}: its SSH server forbids this forwarding.",
            next(place, destination)
        ),
    )
    .hint(match destination {
        Destination::Tcp { .. } => {
            "In sshd_config there: AllowTcpForwarding, PermitOpen or DisableForwarding; in \
             authorized_keys: restrict, no-port-forwarding or permitopen before the key."
        }
        Destination::Unix { .. } => {
            "In sshd_config there: AllowStreamLocalForwarding, AllowTcpForwarding or \
             DisableForwarding; in authorized_keys: restrict or no-port-forwarding before the key."
        }
    })
}

pub(super) fn unsupported(place: &Place, destination: &Destination) -> Told {
    let host = &place.host;
    let instead = match destination {
        Destination::Tcp { .. } => "It was probably built without TCP forwarding: use OpenSSH's.",
        Destination::Unix { .. } => "Use a TCP address instead of a socket.",
    };
    told(
        ErrorCode::SshForwardDenied,
        format!(
            "Connected to {host}, but its SSH server can't forward to {}. {instead}",
            next(place, destination)
        ),
    )
}

pub(super) fn full(host: &str, destination: &Destination) -> Told {
    told(
        ErrorCode::SshChannelError,
        format!(
            "Connected to {host}, but its SSH server has no room for another channel to \
             {destination}. Try again in a moment."
        ),
    )
}

pub(super) fn silent(host: &str, destination: &Destination, after: &str) -> Told {
    told(
        ErrorCode::ApiUnavailable,
        format!(
            "Connected to {host}, but {destination} did not answer within {after}, seen from \
             {host}. Check the address and the firewall there."
        ),
    )
}

/// The hop before found nobody where this one should be.
pub(super) fn not_reached(via: &Place, at: &str, cause: &Cause) -> Told {
    let bastion = &via.host;
    let (code, why) = match cause {
        Cause::DestinationRefused { said, .. } => (
            ErrorCode::SshUnreachable,
            match other_than_refused(said.as_deref()) {
                Some(said) => {
                    format!("{said}. Check the name and the port as they are known there.")
                }
                None => "nothing listens there. Check the name and the port as they are known \
                         there."
                    .to_owned(),
            },
        ),
        Cause::ChannelTimeout { .. } | Cause::Unanswered { .. } => (
            ErrorCode::SshConnectionTimeout,
            "there was no answer in time. Is that machine on?".to_owned(),
        ),
        // Only what opens channels is ever inside.
        other => return tell(via, other),
    };
    Told::new(
        code,
        StageName::Tcp,
        format!("{bastion} could not reach {at}: {why}"),
    )
}

/// What a server said, where that is more than that nothing listens; some only say that
/// opening failed.
fn other_than_refused(said: Option<&str>) -> Option<&str> {
    let lower = said?.to_ascii_lowercase();
    let usual = lower.contains("refused") || lower.trim_end_matches('.') == "open failed";
    said.filter(|_| !usual)
}

/// A jump host leads to the next hop, and the last one to the LLM server.
fn next(place: &Place, destination: &Destination) -> String {
    if place.hop + 1 < place.hops {
        format!("the way on to {destination}")
    } else {
        destination.to_string()
    }
}

fn told(code: ErrorCode, message: String) -> Told {
    Told::new(code, StageName::Forward, message)
}
