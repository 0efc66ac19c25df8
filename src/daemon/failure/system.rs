//! Sentences about the system's `ssh`, which says itself what is wrong.

use crate::{
    protocol::{ErrorCode, StageName},
    ssh::SystemProblem,
};

use super::ssh::Told;

pub(super) fn failed(at: &str, problem: SystemProblem, said: &str) -> Told {
    use ErrorCode as Code;
    use StageName as At;
    let (code, stage, message) = match problem {
        SystemProblem::Resolve => (
            Code::SshUnreachable,
            At::Resolve,
            format!("The system's ssh found no address for {at}. Check the spelling."),
        ),
        SystemProblem::Unreachable => (
            Code::SshUnreachable,
            At::Tcp,
            format!("The system's ssh could not reach {at}. Check host, port and network."),
        ),
        SystemProblem::TimedOut => (
            Code::SshConnectionTimeout,
            At::Tcp,
            format!(
                "{at} did not answer the system's ssh in time. Is the machine on, and are you on \
                 the right network or VPN?"
            ),
        ),
        SystemProblem::HostKeyUnknown => (
            Code::SshHostKeyUnknown,
            At::HostKey,
            format!(
                "The host key of {at} is not known, and the system's ssh can't ask about it here. \
                 Connect to it once with ssh in a terminal, and compare the fingerprint there."
            ),
        ),
        SystemProblem::HostKeyChanged => (
            Code::SshHostKeyChanged,
            At::HostKey,
            format!(
                "The host key of {at} is not the recorded one. Someone may be intercepting the \
                 connection, or the machine was reinstalled. Nothing was sent. Ask the \
                 administrator before you remove the recorded key."
            ),
        ),
        SystemProblem::HostKeyRevoked => (
            Code::SshHostKeyRevoked,
            At::HostKey,
            format!(
                "The host key of {at} is marked as revoked. Do not connect; ask the administrator."
            ),
        ),
        SystemProblem::SignIn => (
            Code::SshAuthFailed,
            At::Auth,
            format!(
                "{at} did not accept the sign-in of the system's ssh. Check user name, ticket \
                 (klist) and keys (ssh-add -l), and try the same in a terminal."
            ),
        ),
        SystemProblem::Forwarding => (
            Code::SshForwardDenied,
            At::Tcp,
            format!(
                "A machine on the way to {at} forbids its sshd to forward (AllowTcpForwarding, \
                 PermitOpen). Allow it there."
            ),
        ),
        SystemProblem::Config => (
            Code::SshConfigInvalid,
            At::Resolve,
            format!(
                "The system's ssh does not accept its configuration for {at}. Mend the line that \
                 it names."
            ),
        ),
        SystemProblem::Disconnected => (
            Code::SshDisconnected,
            At::SshHandshake,
            format!("{at} ended the connection of the system's ssh. Try again in a moment."),
        ),
        SystemProblem::Other => (
            Code::SshSystemFailed,
            At::Tcp,
            format!("The system's ssh did not get to {at}. Try the same in a terminal."),
        ),
    };
    Told::new(code, stage, format!("{message} (ssh said: {said})"))
}
