//! What `ssh` says on its standard error: how far it is, and what went wrong.
//! OpenSSH speaks English everywhere.

use crate::ssh::error::{Cause, SystemProblem};
use crate::ssh::target::Destination;

/// How much of its words an error repeats.
const MAX_LINES: usize = 3;
const MAX_CHARS: usize = 600;

/// A step that ssh has just taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A TCP connection, or a proxy command, leads to the server.
    Reached,
    /// The server has shown its host key: type and fingerprint.
    HostKey {
        key_type: String,
        fingerprint: String,
    },
    /// The host key is trusted, and the keys are exchanged.
    Trusted,
    /// Signed in, with this method.
    SignedIn(String),
    /// The stream is open.
    Opened,
}

/// The step that a line tells of.
pub(super) fn step(line: &str) -> Option<Step> {
    if let Some(debug) = line.strip_prefix("debug1: ") {
        if debug.starts_with("Connection established")
            || debug.starts_with("Executing proxy command")
        {
            return Some(Step::Reached);
        }
        if let Some(key) = debug.strip_prefix("Server host key: ") {
            let (key_type, fingerprint) = key.split_once(' ')?;
            return Some(Step::HostKey {
                key_type: key_type.to_owned(),
                fingerprint: fingerprint.trim().to_owned(),
            });
        }
        if debug.starts_with("SSH2_MSG_NEWKEYS sent") {
            return Some(Step::Trusted);
        }
        if debug.contains("master session id") {
            return Some(Step::Opened);
        }
    }
    if line.starts_with("debug2: ") && line.contains("open confirm") {
        return Some(Step::Opened);
    }
    let signed_in = line.strip_prefix("debug1: ").unwrap_or(line);
    if signed_in.starts_with("Authenticated to ") {
        let method = signed_in.split('"').nth(1).unwrap_or("unknown");
        return Some(Step::SignedIn(method.to_owned()));
    }
    None
}

/// Whether a line is worth showing to a person.
pub(super) fn is_message(line: &str) -> bool {
    !line.is_empty()
        && !line.starts_with("debug")
        && !line.starts_with("OpenSSH_")
        && !line.starts_with("Authenticated to ")
        && !line.starts_with('@')
        && !line.starts_with("Warning: Permanently added")
        && !line.starts_with("Transferred: ")
        && !line.starts_with("Bytes per second")
}

/// Why there is no connection, from the lines that were worth showing.
pub(super) fn failure(lines: &[String]) -> Cause {
    let has = |words: &[&str]| {
        lines
            .iter()
            .any(|line| words.iter().any(|word| line.contains(word)))
    };
    let problem = if has(&["is marked as revoked", "REVOKED", "key is revoked"]) {
        SystemProblem::HostKeyRevoked
    } else if has(&[
        "has changed and you have requested",
        "IDENTIFICATION HAS CHANGED",
    ]) {
        SystemProblem::HostKeyChanged
    } else if has(&["host key is known for", "Host key verification failed"]) {
        SystemProblem::HostKeyUnknown
    } else if has(&["Permission denied (", "Too many authentication failures"]) {
        SystemProblem::SignIn
    } else if has(&["administratively prohibited"]) {
        SystemProblem::Forwarding
    } else if has(&["open failed"]) {
        SystemProblem::Unreachable
    } else if has(&["Could not resolve hostname"]) {
        SystemProblem::Resolve
    } else if has(&["timed out", "Timeout, server"]) {
        SystemProblem::TimedOut
    } else if has(&["ssh: connect to host"]) {
        SystemProblem::Unreachable
    } else if has(&[
        "Bad configuration option",
        "terminating, ",
        "Bad owner or permissions",
    ]) {
        SystemProblem::Config
    } else if has(&[
        "Connection closed by",
        "closed by remote host",
        "Connection reset by",
        "Broken pipe",
        "banner exchange",
    ]) {
        SystemProblem::Disconnected
    } else {
        SystemProblem::Other
    };
    Cause::SystemSsh {
        problem,
        said: said(lines),
    }
}

/// Why a stream was not opened, from the master's line about it, or else from
/// what the stream's own process said.
pub(super) fn refusal(master: Option<&str>, own: &[String], destination: Destination) -> Cause {
    let has = |word: &str| {
        master.is_some_and(|line| line.contains(word)) || own.iter().any(|line| line.contains(word))
    };
    if has("administratively prohibited") {
        Cause::ForwardingDenied { destination }
    } else if has("unknown channel type") || has("Bad stdio forwarding specification") {
        Cause::ForwardingUnsupported { destination }
    } else if has("resource shortage") {
        Cause::ServerFull { destination }
    } else if has("connect failed") || has("open failed") || has("refused by peer") {
        let said = master.and_then(|line| line.split_once("open failed: "));
        Cause::DestinationRefused {
            destination,
            said: said.map(|(_, said)| said.trim_start_matches("connect failed: ").to_owned()),
        }
    } else {
        failure(own)
    }
}

/// Whether the master's line says why a stream was not opened.
pub(super) fn is_refusal(line: &str) -> bool {
    line.starts_with("channel ") && line.contains("open failed")
}

fn said(lines: &[String]) -> String {
    let from = lines.len().saturating_sub(MAX_LINES);
    let last: Vec<&str> = lines
        .iter()
        .skip(from)
        .map(|line| line.trim_end_matches('.').trim())
        .collect();
    let mut said: String = last.join("; ").chars().take(MAX_CHARS).collect();
    if said.is_empty() {
        said.push_str("nothing");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines()
            .filter(|line| is_message(line))
            .map(str::to_owned)
            .collect()
    }

    fn problem(text: &str) -> SystemProblem {
        match failure(&lines(text)) {
            Cause::SystemSsh { problem, .. } => problem,
            cause => panic!("{cause:?}"),
        }
    }

    #[test]
    fn steps_are_recognised() {
        for (line, expected) in [
            ("debug1: Connection established.", Some(Step::Reached)),
            (
                "debug1: Server host key: ssh-ed25519 SHA256:abc",
                Some(Step::HostKey {
                    key_type: "ssh-ed25519".into(),
                    fingerprint: "SHA256:abc".into(),
                }),
            ),
            ("debug1: SSH2_MSG_NEWKEYS sent", Some(Step::Trusted)),
            (
                "Authenticated to h ([127.0.0.1]:22) using \"publickey\".",
                Some(Step::SignedIn("publickey".into())),
            ),
            (
                "debug1: mux_client_request_stdio_fwd: master session id: 2",
                Some(Step::Opened),
            ),
            (
                "debug2: channel 0: open confirm rwindow 2097152 rmax 32768",
                Some(Step::Opened),
            ),
            ("debug1: something else", None),
            ("Server host key: ssh-ed25519 SHA256:abc", None),
        ] {
            assert_eq!(step(line), expected, "{line}");
        }
    }

    #[test]
    fn failures_are_told_apart() {
        for (text, expected) in [
            (
                "ai@h: Permission denied (publickey,password).",
                SystemProblem::SignIn,
            ),
            (
                "No ED25519 host key is known for h and you have requested strict checking.\n\
                 Host key verification failed.",
                SystemProblem::HostKeyUnknown,
            ),
            (
                "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n\
                 Offending ED25519 key in khx:1\n\
                 Host key for h has changed and you have requested strict checking.\n\
                 Host key verification failed.",
                SystemProblem::HostKeyChanged,
            ),
            (
                "ED25519 host key h was revoked and you have requested strict checking.\n\
                 The ED25519 host key for h is marked as revoked.",
                SystemProblem::HostKeyRevoked,
            ),
            (
                "ssh: Could not resolve hostname h: Name or service not known",
                SystemProblem::Resolve,
            ),
            (
                "ssh: connect to host h port 22: Connection refused",
                SystemProblem::Unreachable,
            ),
            (
                "ssh: connect to host h port 22: Connection timed out",
                SystemProblem::TimedOut,
            ),
            ("Timeout, server h not responding.", SystemProblem::TimedOut),
            (
                "f: line 1: Bad configuration option: foo\nf: terminating, 1 bad configuration options",
                SystemProblem::Config,
            ),
            (
                "kex_exchange_identification: Connection closed by remote host",
                SystemProblem::Disconnected,
            ),
            (
                "Connection to h closed by remote host.",
                SystemProblem::Disconnected,
            ),
            (
                "channel 0: open failed: connect failed: Connection refused\n\
                 stdio forwarding failed\n\
                 kex_exchange_identification: Connection closed by remote host",
                SystemProblem::Unreachable,
            ),
            (
                "channel 0: open failed: administratively prohibited: open failed\n\
                 stdio forwarding failed",
                SystemProblem::Forwarding,
            ),
            ("something new", SystemProblem::Other),
            ("", SystemProblem::Other),
        ] {
            assert_eq!(problem(text), expected, "{text}");
        }
    }

    #[test]
    fn a_refused_stream_is_explained_by_the_master() {
        let to = || Destination::Tcp {
            host: "h".into(),
            port: 1,
        };
        let own = lines("Stdio forwarding request failed: Session open refused by peer");
        let refused = |line| refusal(Some(line), &own, to());
        assert!(matches!(
            refused("channel 2: open failed: administratively prohibited: open failed"),
            Cause::ForwardingDenied { .. }
        ));
        assert!(matches!(
            refused("channel 2: open failed: connect failed: Connection refused"),
            Cause::DestinationRefused { .. }
        ));
        assert!(matches!(
            refused("channel 2: open failed: unknown channel type: unsupported"),
            Cause::ForwardingUnsupported { .. }
        ));
        assert!(matches!(
            refusal(None, &own, to()),
            Cause::DestinationRefused { .. }
        ));
    }

    #[test]
    fn only_the_last_lines_are_repeated() {
        assert_eq!(said(&lines("a.\nb.\nc.\nd.")), "b; c; d");
        assert_eq!(said(&[]), "nothing");
    }
}
