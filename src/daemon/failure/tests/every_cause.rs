//! Every cause has a code and a sentence: one of each, as people read them.

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use expect_test::{Expect, expect};

use crate::{
    protocol::ErrorCode,
    ssh::{
        AgentProblem, AlgorithmList, AuthAttempt, AuthOutcome, Cause, Destination, Error,
        HostCertificate, HostCertificateProblem, HostKeyInfo, HostKeyReason, KeyProblem, KnownKey,
        NotTrusted, Place, PromptFailure, PromptKind, SecretCommandProblem, SshConfigProblem,
        SystemProblem,
    },
};

use super::{check, key, ssh};

fn io_error() -> Arc<io::Error> {
    Arc::new(io::Error::other("why the system said no"))
}

fn bastion() -> Place {
    Place {
        hop: 0,
        hops: 2,
        host: "bastion".into(),
        port: 22,
        username: "ai".into(),
    }
}

fn tcp() -> Destination {
    Destination::Tcp {
        host: "127.0.0.1".into(),
        port: 11434,
    }
}

fn unix() -> Destination {
    Destination::Unix {
        path: "/run/llm.sock".into(),
    }
}

fn recorded() -> KnownKey {
    KnownKey {
        key: HostKeyInfo {
            fingerprint: "SHA256:old".into(),
            ..key()
        },
        file: "/home/ai/.ssh/known_hosts".into(),
        line: 12,
    }
}

fn certificate() -> HostCertificate {
    HostCertificate {
        problem: HostCertificateProblem::NotForHosts,
        key: key(),
        id: "gpus".into(),
        principals: vec![],
        valid_after: 0,
        valid_before: u64::MAX,
        signer: key(),
        authority: None,
    }
}

fn system(problem: SystemProblem) -> Cause {
    Cause::SystemSsh {
        problem,
        said: "its own words".into(),
    }
}

fn unanswered(failure: PromptFailure) -> Cause {
    Cause::Unanswerable {
        kind: PromptKind::Password,
        failure,
    }
}

fn every_cause() -> Vec<(Cause, Expect)> {
    let after = Duration::from_secs(10);
    vec![
        (
            Cause::NoRoute,
            expect![[r#"
            1014 "SSH_CONFIG_INVALID", retryable false
            The profile names no machine. Fill in its host."#]],
        ),
        (
            Cause::SshConfig {
                problem: SshConfigProblem::JumpLoop("gpu1".into()),
            },
            expect![[r#"
                1014 "SSH_CONFIG_INVALID", retryable false
                ssh_config can't be used for gpu1: ProxyJump leads from gpu1 to itself. Mend it, or switch ssh_config off in the profile."#]],
        ),
        (
            Cause::TooManyHops { hops: 8 },
            expect![[r#"
            1014 "SSH_CONFIG_INVALID", retryable false
            The way to gpu1 has more than 8 machines: ProxyJump in ssh_config goes round in circles. Give the first machine `ProxyJump none`."#]],
        ),
        (
            Cause::NoUsername,
            expect![[r#"
            1014 "SSH_CONFIG_INVALID", retryable false
            Nobody says as which user to sign in to gpu1. Fill in the user name."#]],
        ),
        (
            Cause::Resolve { source: io_error() },
            expect![[r#"
            1005 "SSH_UNREACHABLE", retryable true
            No address found for gpu1 on this computer. Check the spelling. (why the system said no)"#]],
        ),
        (
            Cause::ResolveTimeout { after },
            expect![[r#"
            1002 "SSH_CONNECTION_TIMEOUT", retryable true
            No address found for gpu1 within 10 s. Is this computer online?"#]],
        ),
        (
            Cause::Refused { source: io_error() },
            expect![[r#"
            1005 "SSH_UNREACHABLE", retryable true
            gpu1:22 refused the connection: nothing listens there. Check the port, and whether sshd is running. (why the system said no)"#]],
        ),
        (
            Cause::Unanswered { after },
            expect![[r#"
            1002 "SSH_CONNECTION_TIMEOUT", retryable true
            gpu1:22 did not accept a connection within 10 s. Is the machine on, and are you on the right network or VPN?"#]],
        ),
        (
            Cause::Unreachable { source: io_error() },
            expect![[r#"
            1005 "SSH_UNREACHABLE", retryable true
            This computer knows no way to gpu1:22. Are you on the right network or VPN? (why the system said no)"#]],
        ),
        (
            Cause::Tcp { source: io_error() },
            expect![[r#"
            1005 "SSH_UNREACHABLE", retryable true
            Connecting to gpu1:22 did not work. Check host and port. (why the system said no)"#]],
        ),
        (
            Cause::ProxyCommandNotStarted { source: io_error() },
            expect![[r#"
                1030 "SSH_PROXY_COMMAND_FAILED", retryable false
                The proxy command for gpu1:22 can't be started, because the shell that runs it can't be. Check that SHELL names one that is there. (why the system said no)"#]],
        ),
        (
            Cause::ProxyCommandEnded {
                status: Some("exit status: 127".into()),
                said: Some("nc: not found".into()),
            },
            expect![[r#"
                1030 "SSH_PROXY_COMMAND_FAILED", retryable true
                The proxy command for gpu1:22 ended before gpu1 answered (exit status: 127; it said: nc: not found). Run it in a terminal to see why."#]],
        ),
        (
            Cause::SecretCommand {
                kind: PromptKind::Password,
                program: "pass".into(),
                problem: SecretCommandProblem::Failed {
                    status: "exit status: 1".into(),
                    said: Some("gpu is not in the password store".into()),
                },
            },
            expect![[r#"
                1032 "SSH_SECRET_COMMAND_FAILED", retryable false
                The profile's command on this computer that gives the password for gpu1, pass, failed (exit status: 1; it said: gpu is not in the password store). Run it in a terminal to see why."#]],
        ),
        (
            Cause::SecretCommand {
                kind: PromptKind::Passphrase {
                    path: "~/.ssh/id".into(),
                },
                program: "op".into(),
                problem: SecretCommandProblem::TooLong(Duration::from_secs(60)),
            },
            expect![[r#"
                1032 "SSH_SECRET_COMMAND_FAILED", retryable false
                The profile's command on this computer that gives the passphrase of ~/.ssh/id for gpu1, op, did not end within 60 s, and was stopped. Is it waiting for something to be typed?"#]],
        ),
        (
            Cause::NoSystemSsh,
            expect![[r#"
            1031 "SSH_SYSTEM_FAILED", retryable false
            The profile wants the system's ssh for gpu1:22, and there is none on this computer's search path. Install OpenSSH's client, or choose the transport `auto`."#]],
        ),
        (
            Cause::SystemNotStarted { source: io_error() },
            expect![[r#"
                1031 "SSH_SYSTEM_FAILED", retryable false
                The system's ssh can't be started for gpu1:22. Try `ssh -V` in a terminal, or choose the transport `auto`. (why the system said no)"#]],
        ),
        (
            system(SystemProblem::Resolve),
            expect![[r#"
            1005 "SSH_UNREACHABLE", retryable true
            The system's ssh found no address for gpu1:22. Check the spelling. (ssh said: its own words)"#]],
        ),
        (
            system(SystemProblem::Unreachable),
            expect![[r#"
            1005 "SSH_UNREACHABLE", retryable true
            The system's ssh could not reach gpu1:22. Check host, port and network. (ssh said: its own words)"#]],
        ),
        (
            system(SystemProblem::TimedOut),
            expect![[r#"
            1002 "SSH_CONNECTION_TIMEOUT", retryable true
            gpu1:22 did not answer the system's ssh in time. Is the machine on, and are you on the right network or VPN? (ssh said: its own words)"#]],
        ),
        (
            system(SystemProblem::HostKeyUnknown),
            expect![[r#"
                1007 "SSH_HOST_KEY_UNKNOWN", retryable false
                The host key of gpu1:22 is not known, and the system's ssh can't ask about it here. Connect to it once with ssh in a terminal, and compare the fingerprint there. (ssh said: its own words)"#]],
        ),
        (
            system(SystemProblem::HostKeyChanged),
            expect![[r#"
                1008 "SSH_HOST_KEY_CHANGED", retryable false
                The host key of gpu1:22 is not the recorded one. Someone may be intercepting the connection, or the machine was reinstalled. Nothing was sent. Ask the administrator before you remove the recorded key. (ssh said: its own words)"#]],
        ),
        (
            system(SystemProblem::HostKeyRevoked),
            expect![[r#"
            1009 "SSH_HOST_KEY_REVOKED", retryable false
            The host key of gpu1:22 is marked as revoked. Do not connect; ask the administrator. (ssh said: its own words)"#]],
        ),
        (
            system(SystemProblem::SignIn),
            expect![[r#"
                1001 "SSH_AUTH_FAILED", retryable false
                gpu1:22 did not accept the sign-in of the system's ssh. Check user name, ticket (klist) and keys (ssh-add -l), and try the same in a terminal. (ssh said: its own words)"#]],
        ),
        (
            system(SystemProblem::Config),
            expect![[r#"
                1014 "SSH_CONFIG_INVALID", retryable false
                The system's ssh does not accept its configuration for gpu1:22. Mend the line that it names. (ssh said: its own words)"#]],
        ),
        (
            system(SystemProblem::Disconnected),
            expect![[r#"
            1004 "SSH_DISCONNECTED", retryable true
            gpu1:22 ended the connection of the system's ssh. Try again in a moment. (ssh said: its own words)"#]],
        ),
        (
            system(SystemProblem::Other),
            expect![[r#"
            1031 "SSH_SYSTEM_FAILED", retryable false
            The system's ssh did not get to gpu1:22. Try the same in a terminal. (ssh said: its own words)"#]],
        ),
        (
            Cause::BindAddress {
                address: "10.9.9.9".into(),
                source: io_error(),
            },
            expect![[r#"
                1014 "SSH_CONFIG_INVALID", retryable false
                Can't connect to gpu1:22 from the local address 10.9.9.9 (BindAddress): this computer does not have it, or not for this kind of address. Mend it in ssh_config. (why the system said no)"#]],
        ),
        (
            Cause::NotReachedThrough {
                via: bastion(),
                cause: Box::new(Cause::DestinationRefused {
                    destination: tcp(),
                    said: Some("Connection refused".into()),
                }),
            },
            expect![[r#"
                1005 "SSH_UNREACHABLE", retryable true
                bastion could not reach gpu1:22: nothing listens there. Check the name and the port as they are known there."#]],
        ),
        (
            Cause::NotReachedThrough {
                via: bastion(),
                cause: Box::new(Cause::Unanswered { after }),
            },
            expect![[r#"
                1002 "SSH_CONNECTION_TIMEOUT", retryable true
                bastion could not reach gpu1:22: there was no answer in time. Is that machine on?"#]],
        ),
        (
            Cause::ConnectTimeout { after },
            expect![[r#"
            1002 "SSH_CONNECTION_TIMEOUT", retryable true
            gpu1:22 was not connected within 10 s. Try again, or raise the connect timeout."#]],
        ),
        (
            Cause::NotSsh {
                said: "HTTP/1.1 400 Bad Request".into(),
            },
            expect![[r#"
                1006 "SSH_PROTOCOL_ERROR", retryable false
                Something answers on gpu1:22, but it is not an SSH server (it said: HTTP/1.1 400 Bad Request). Check the port."#]],
        ),
        (
            Cause::HandshakeClosed {
                said: Some("Exceeded MaxStartups".into()),
            },
            expect![[r#"
                1004 "SSH_DISCONNECTED", retryable true
                gpu1:22 closed the connection before the sign-in (it said: Exceeded MaxStartups). It may be overloaded or have banned this address for a while; wait a minute."#]],
        ),
        (
            Cause::HandshakeClosed { said: None },
            expect![[r#"
            1004 "SSH_DISCONNECTED", retryable true
            gpu1:22 closed the connection before the sign-in. It may be overloaded, have banned this address for a while, or not be an SSH server."#]],
        ),
        (
            Cause::HandshakeTimeout { after },
            expect![[r#"
            1002 "SSH_CONNECTION_TIMEOUT", retryable true
            gpu1:22 accepted the connection, but nothing answered as an SSH server within 10 s. Check the port."#]],
        ),
        (
            Cause::NoCommonAlgorithm {
                kind: "cipher",
                ours: vec![],
                theirs: vec!["3des-cbc".into()],
            },
            expect![[r#"
                1006 "SSH_PROTOCOL_ERROR", retryable false
                gpu1:22 and this program share no cipher algorithm; it offers 3des-cbc. The server is probably too old: update it, or allow a newer algorithm there."#]],
        ),
        (
            Cause::NoUsableAlgorithm {
                kind: AlgorithmList::Cipher,
                names: vec!["3des-cbc".into()],
                usable: vec!["aes256-ctr".into()],
            },
            expect![[r#"
                1014 "SSH_CONFIG_INVALID", retryable false
                Ciphers for gpu1 names only 3des-cbc, which this program does not know or finds too weak. Change it in the ssh_config file.
                hint: What would work: aes256-ctr."#]],
        ),
        (
            Cause::HostKeyUnknown {
                key: key(),
                reason: HostKeyReason::NeverSeen,
                known_as: vec![],
                why: NotTrusted::Policy,
            },
            expect![[r#"
                1007 "SSH_HOST_KEY_UNKNOWN", retryable false
                The host key of gpu1:22 is not known (ssh-ed25519 SHA256:new), and only known keys are trusted here (hostKeyPolicy of the profile, or StrictHostKeyChecking of ssh_config). Compare the fingerprint with one you got from the administrator, and add the key to known_hosts.
                hint: On the server, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` shows it. Connecting once with `ssh -o StrictHostKeyChecking=ask -p 22 ai@gpu1` in a terminal (or by the alias that ssh_config has for it) asks about it and adds it."#]],
        ),
        (
            Cause::HostKeyChanged {
                key: key(),
                known: vec![recorded()],
                remove_command: "ssh-keygen -R gpu1".into(),
            },
            expect![[r#"
                1008 "SSH_HOST_KEY_CHANGED", retryable false
                The host key of gpu1:22 is not the one recorded on line 12 of /home/ai/.ssh/known_hosts. It was SHA256:old and is now SHA256:new. Someone may be intercepting the connection, or the machine was reinstalled. Nothing was sent.
                hint: If you know why it changed, remove what is recorded with: ssh-keygen -R gpu1"#]],
        ),
        (
            Cause::HostCertificateInvalid {
                certificate: Box::new(certificate()),
            },
            expect![[r#"
                1007 "SSH_HOST_KEY_UNKNOWN", retryable false
                The certificate of gpu1:22 ("gpus", signed by SHA256:new) is meant for a user, not for a machine, and its key (ssh-ed25519 SHA256:new) is not known on its own. Nothing was sent. Tell the administrator."#]],
        ),
        (
            Cause::HostKeyConflict {
                key: key(),
                other: HostKeyInfo {
                    fingerprint: "SHA256:other".into(),
                    ..key()
                },
            },
            expect![[r#"
                1008 "SSH_HOST_KEY_CHANGED", retryable false
                gpu1:22 showed two different host keys at the same time (SHA256:new and SHA256:other). Someone may be intercepting the connection. Nothing was sent. Ask the administrator."#]],
        ),
        (
            Cause::HostKeyRevoked {
                key: key(),
                authority: None,
                file: "/etc/ssh/ssh_known_hosts".into(),
                line: 7,
            },
            expect![[r#"
                1009 "SSH_HOST_KEY_REVOKED", retryable false
                The host key of gpu1:22 (SHA256:new) is revoked by line 7 of /etc/ssh/ssh_known_hosts. Do not connect; ask the administrator."#]],
        ),
        (
            Cause::HostKeyTooShort {
                key: HostKeyInfo {
                    key_type: "ssh-rsa".into(),
                    bits: 768,
                    ..key()
                },
            },
            expect![[r#"
                1006 "SSH_PROTOCOL_ERROR", retryable false
                gpu1:22 proves who it is with an RSA key of only 768 bits (SHA256:new), which can be broken, so it is refused, as ssh would. Nothing was sent. Ask the administrator for a new host key.
                hint: On the server, `ssh-keygen -A` makes the kinds of keys that are missing; then restart sshd."#]],
        ),
        (
            Cause::HostKeyRejected { key: key() },
            expect![[r#"
            1010 "SSH_HOST_KEY_REJECTED", retryable false
            The host key of gpu1:22 (SHA256:new) was rejected, so nothing was sent. Connect again to be asked again."#]],
        ),
        (
            Cause::KnownHostsUnreadable {
                file: "/home/ai/.ssh/known_hosts".into(),
                source: io_error(),
            },
            expect![[r#"
                1014 "SSH_CONFIG_INVALID", retryable false
                /home/ai/.ssh/known_hosts can't be read, so the host key of gpu1:22 can't be checked. Mend the file or its permissions. (why the system said no)"#]],
        ),
        (
            Cause::AuthFailed {
                username: "ai".into(),
                tried: vec![],
                allowed: vec!["publickey".into()],
                banner: None,
            },
            expect![[r#"
                1001 "SSH_AUTH_FAILED", retryable false
                gpu1 did not accept user ai with: nothing; there was nothing to try. It allows: publickey. Choose a private key that the server knows."#]],
        ),
        (
            Cause::TooManyKeys {
                username: "ai".into(),
                offered: 1,
                untried: 1,
                tried: vec![AuthAttempt {
                    method: "publickey",
                    detail: Some("agent: work".into()),
                    outcome: AuthOutcome::Rejected,
                }],
                allowed: vec!["publickey".into()],
            },
            expect![[r#"
                1021 "SSH_TOO_MANY_KEYS", retryable false
                gpu1 did not accept the key of user ai (publickey (agent: work)), and one more was not tried, because servers hang up after a few. Choose one key in the profile, or switch on identitiesOnly."#]],
        ),
        (
            Cause::MethodsDisabled {
                preferred: vec!["hostbased".into()],
                allowed: vec!["password".into()],
            },
            expect![[r#"
                1014 "SSH_CONFIG_INVALID", retryable false
                PreferredAuthentications in your ssh configuration allows only hostbased, so there is no way to sign in on gpu1. It allows: password.
                hint: Change PreferredAuthentications, or choose the sign-in method in the profile."#]],
        ),
        (
            Cause::KeyUnusable {
                path: "/home/ai/.ssh/id_rsa".into(),
                problem: KeyProblem::Damaged,
            },
            expect![[r#"
                1011 "SSH_KEY_UNUSABLE", retryable false
                /home/ai/.ssh/id_rsa is damaged. Restore it or make a new key."#]],
        ),
        (
            Cause::KeyUnusable {
                path: "/home/ai/.ssh/id_rsa".into(),
                problem: KeyProblem::Permissions(0o644),
            },
            expect![[r#"
                1012 "SSH_KEY_PERMISSIONS", retryable false
                Others may read the private key /home/ai/.ssh/id_rsa (its mode is 644), so it is not used, as ssh would not.
                hint: chmod 600 /home/ai/.ssh/id_rsa"#]],
        ),
        (
            Cause::NoAgent {
                problem: AgentProblem::NoSocket,
            },
            expect![[r#"
                1020 "SSH_AGENT_UNAVAILABLE", retryable false
                The sign-in on gpu1 needs your SSH agent, and SSH_AUTH_SOCK is not set. Start Puffin from a terminal, or choose a key file."#]],
        ),
        (
            Cause::PasswordExpired {
                username: "ai".into(),
                after,
            },
            expect![[r#"
                1022 "SSH_PASSWORD_EXPIRED", retryable false
                gpu1 did not answer to the password of ai within 10 s. It has probably expired: sign in with ssh in a terminal once, and change it there."#]],
        ),
        (
            Cause::AuthTimeout { after },
            expect![[r#"
            1002 "SSH_CONNECTION_TIMEOUT", retryable false
            gpu1 did not finish the sign-in within 10 s. Try again."#]],
        ),
        (
            unanswered(PromptFailure::Unsupported),
            expect![[r#"
            1025 "SSH_PROMPT_UNAVAILABLE", retryable false
            gpu1 needs a password, and there is no way to ask you here. Save it in the profile."#]],
        ),
        (
            unanswered(PromptFailure::Cancelled),
            expect![[r#"
                1023 "SSH_PROMPT_CANCELLED", retryable false
                gpu1 needs a password; the question was closed, so nobody is signed in. Connect again to be asked again."#]],
        ),
        (
            unanswered(PromptFailure::TimedOut),
            expect![[r#"
            1024 "SSH_PROMPT_TIMEOUT", retryable false
            gpu1 needs a password; the question was not answered in time. Connect again."#]],
        ),
        (
            Cause::EndedDuringLogin {
                cause: Box::new(Cause::Disconnected {
                    message: Some("Timeout before authentication".into()),
                }),
            },
            expect![[r#"
                1004 "SSH_DISCONNECTED", retryable true
                gpu1 ended the connection during the sign-in (it said: Timeout before authentication). Nothing was refused: the answer may have taken longer than the server waits (LoginGraceTime), or it restarts. Connect again."#]],
        ),
        (
            Cause::EndedDuringLogin {
                cause: Box::new(Cause::ConnectionLost { source: io_error() }),
            },
            expect![[r#"
                1004 "SSH_DISCONNECTED", retryable true
                gpu1 ended the connection during the sign-in (why the system said no). Nothing was refused: the answer may have taken longer than the server waits (LoginGraceTime), or it restarts. Connect again."#]],
        ),
        (
            Cause::ThroughProxyCommand {
                cause: Box::new(Cause::HandshakeTimeout { after }),
            },
            expect![[r#"
                1002 "SSH_CONNECTION_TIMEOUT", retryable true
                gpu1:22 accepted the connection, but nothing answered as an SSH server within 10 s. Check the port.
                hint: The way to gpu1 is a proxy command. Run it in a terminal: an SSH server greets with a line that begins with SSH-2.0."#]],
        ),
        (
            Cause::SystemUnixSocket {
                destination: unix(),
            },
            expect![[r#"
                1013 "SSH_FORWARD_DENIED", retryable false
                Connected to gpu1, but the system's ssh is not used for the socket /run/llm.sock. Use a TCP address, or the transport `auto`."#]],
        ),
        (
            Cause::SystemSsh {
                problem: SystemProblem::Forwarding,
                said: "stdio forwarding failed".into(),
            },
            expect![[r#"
                1013 "SSH_FORWARD_DENIED", retryable false
                A machine on the way to gpu1:22 forbids its sshd to forward (AllowTcpForwarding, PermitOpen). Allow it there. (ssh said: stdio forwarding failed)"#]],
        ),
        (
            Cause::DestinationRefused {
                destination: tcp(),
                said: Some("Connection refused".into()),
            },
            expect![[r#"
                2001 "API_UNAVAILABLE", retryable true
                Connected to gpu1, but nothing listens on 127.0.0.1:11434, seen from gpu1. Start the LLM server there, or check the address."#]],
        ),
        (
            Cause::DestinationRefused {
                destination: tcp(),
                said: Some("Name or service not known".into()),
            },
            expect![[r#"
                2001 "API_UNAVAILABLE", retryable true
                Connected to gpu1, but 127.0.0.1:11434 can't be reached from there (Name or service not known). Check the address as it is known on gpu1."#]],
        ),
        (
            Cause::DestinationRefused {
                said: None,
                destination: unix(),
            },
            expect![[r#"
                2001 "API_UNAVAILABLE", retryable true
                Connected to gpu1, but it could not open the socket /run/llm.sock: either nothing listens on it, or the SSH server of gpu1 forbids sockets, which looks the same from here. Start the LLM server there, or check the path.
                hint: In sshd_config there, AllowStreamLocalForwarding and AllowTcpForwarding must be yes or local, PermitOpen any, and DisableForwarding no; in authorized_keys, the key must not have restrict or no-port-forwarding."#]],
        ),
        (
            Cause::ForwardingDenied { destination: tcp() },
            expect![[r#"
                1013 "SSH_FORWARD_DENIED", retryable false
                Connected to gpu1, but it may not open 127.0.0.1:11434: its SSH server forbids this forwarding.
                hint: In sshd_config there: AllowTcpForwarding, PermitOpen or DisableForwarding; in authorized_keys: restrict, no-port-forwarding or permitopen before the key."#]],
        ),
        (
            Cause::ForwardingDenied {
                destination: unix(),
            },
            expect![[r#"
                1013 "SSH_FORWARD_DENIED", retryable false
                Connected to gpu1, but it may not open /run/llm.sock: its SSH server forbids this forwarding.
                hint: In sshd_config there: AllowStreamLocalForwarding, AllowTcpForwarding or DisableForwarding; in authorized_keys: restrict or no-port-forwarding before the key."#]],
        ),
        (
            Cause::ForwardingUnsupported { destination: tcp() },
            expect![[r#"
                1013 "SSH_FORWARD_DENIED", retryable false
                Connected to gpu1, but its SSH server can't forward to 127.0.0.1:11434. It was probably built without TCP forwarding: use OpenSSH's."#]],
        ),
        (
            Cause::ForwardingUnsupported {
                destination: unix(),
            },
            expect![[r#"
                1013 "SSH_FORWARD_DENIED", retryable false
                Connected to gpu1, but its SSH server can't forward to /run/llm.sock. Use a TCP address instead of a socket."#]],
        ),
        (
            Cause::ServerFull { destination: tcp() },
            expect![[r#"
            1003 "SSH_CHANNEL_ERROR", retryable true
            Connected to gpu1, but its SSH server has no room for another channel to 127.0.0.1:11434. Try again in a moment."#]],
        ),
        (
            Cause::ChannelTimeout {
                destination: tcp(),
                after,
            },
            expect![[r#"
                2001 "API_UNAVAILABLE", retryable true
                Connected to gpu1, but 127.0.0.1:11434 did not answer within 10 s, seen from gpu1. Check the address and the firewall there."#]],
        ),
        (
            Cause::Disconnected {
                message: Some("idle for too long".into()),
            },
            expect![[r#"
                1004 "SSH_DISCONNECTED", retryable true
                gpu1 ended the SSH connection (it said: idle for too long). Try again."#]],
        ),
        (
            Cause::Disconnected { message: None },
            expect![[r#"
            1004 "SSH_DISCONNECTED", retryable true
            gpu1 ended the SSH connection. Try again."#]],
        ),
        (
            Cause::KeepaliveTimeout,
            expect![[r#"
            1004 "SSH_DISCONNECTED", retryable true
            gpu1 stopped answering. Check the network, then try again."#]],
        ),
        (
            Cause::ConnectionLost { source: io_error() },
            expect![[r#"
            1004 "SSH_DISCONNECTED", retryable true
            The connection to gpu1 was lost. Try again. (why the system said no)"#]],
        ),
        (
            Cause::Closed,
            expect![[r#"
            1004 "SSH_DISCONNECTED", retryable false
            The connection to gpu1 was closed here. Connect again."#]],
        ),
        (
            Cause::Protocol { source: io_error() },
            expect![[r#"
            1006 "SSH_PROTOCOL_ERROR", retryable false
            gpu1:22 did not speak SSH as expected. Try again; if it stays so, report it with the server's version. (why the system said no)"#]],
        ),
    ]
}

#[test]
fn each_has_its_sentence() {
    for (cause, expected) in every_cause() {
        ssh(cause, &expected);
    }
}

/// `Debug` writes the name of a variant first.
fn name(debug: &str) -> String {
    debug
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn none_is_left_out() {
    let source = include_str!("../../../ssh/error.rs");
    let (_, body) = source.split_once("pub enum Cause {\n").unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let all: BTreeSet<_> = body
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
        .map(name)
        .collect();
    assert!(all.len() > 40, "{all:?}");
    let shown: BTreeSet<_> = every_cause()
        .iter()
        .map(|(cause, _)| name(&format!("{cause:?}")))
        .collect();
    assert_eq!(shown, all);
}

#[test]
fn every_code_of_the_family_is_used() {
    let schema = serde_json::to_value(schemars::schema_for!(ErrorCode)).unwrap();
    let all: BTreeSet<_> = schema["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["const"].as_str().unwrap().to_owned())
        .filter(|code| code.starts_with("SSH_"))
        .collect();
    assert!(all.len() > 20, "{all:?}");
    let used: BTreeSet<_> = every_cause()
        .into_iter()
        .map(|(cause, _)| {
            let place = Arc::new(bastion());
            let told = super::super::ssh(&Error { place, cause });
            let code = serde_json::to_value(told.data.code).unwrap();
            code.as_str().unwrap().to_owned()
        })
        .filter(|code| code.starts_with("SSH_"))
        .collect();
    assert_eq!(used, all);
}

#[test]
fn a_jump_host_that_may_not_forward_is_named_with_what_it_denied() {
    let next = || Destination::Tcp {
        host: "gpu1".into(),
        port: 2222,
    };
    for (cause, expected) in [
        (
            Cause::ForwardingDenied {
                destination: next(),
            },
            expect![[r#"
                1013 "SSH_FORWARD_DENIED", retryable false
                Connected to bastion, but it may not open the way on to gpu1:2222: its SSH server forbids this forwarding.
                hint: In sshd_config there: AllowTcpForwarding, PermitOpen or DisableForwarding; in authorized_keys: restrict, no-port-forwarding or permitopen before the key."#]],
        ),
        (
            Cause::ServerFull {
                destination: next(),
            },
            expect![[r#"
                1003 "SSH_CHANNEL_ERROR", retryable true
                Connected to bastion, but its SSH server has no room for another channel to gpu1:2222. Try again in a moment."#]],
        ),
    ] {
        let place = Arc::new(bastion());
        let told = super::super::ssh(&Error { place, cause });
        assert_eq!(told.data.hop, Some(1));
        assert_eq!(told.data.host.as_deref(), Some("bastion:22"));
        check(&told, &expected);
    }
}

#[test]
fn every_problem_of_ssh_config() {
    for (problem, expected) in [
        (
            SshConfigProblem::Query("\"a b\" is not a host name".into()),
            expect![[r#"
                1014 "SSH_CONFIG_INVALID", retryable false
                ssh_config can't be used for gpu1: "a b" is not a host name. Mend it, or switch ssh_config off in the profile."#]],
        ),
        (
            SshConfigProblem::Line {
                file: "/home/ai/.ssh/config".into(),
                line: 3,
                what: "bad configuration option: nonsense".into(),
            },
            expect![[r#"
                1014 "SSH_CONFIG_INVALID", retryable false
                ssh_config can't be used for gpu1: /home/ai/.ssh/config:3: bad configuration option: nonsense. Mend it, or switch ssh_config off in the profile."#]],
        ),
        (
            SshConfigProblem::Permissions("/home/ai/.ssh/config".into()),
            expect![[r#"
                1014 "SSH_CONFIG_INVALID", retryable false
                ssh_config can't be used for gpu1: /home/ai/.ssh/config may be written by others, or belongs to somebody else; ssh refuses it, too (chmod go-w). Mend it, or switch ssh_config off in the profile."#]],
        ),
        (
            SshConfigProblem::TooMuch(
                "/home/ai/.ssh/config:1: files include each other without an end".into(),
            ),
            expect![[r#"
                1014 "SSH_CONFIG_INVALID", retryable false
                ssh_config can't be used for gpu1: /home/ai/.ssh/config:1: files include each other without an end. Mend it, or switch ssh_config off in the profile."#]],
        ),
        (
            SshConfigProblem::Expansion {
                directive: "IdentityFile",
                value: "%x".into(),
                what: "there is no %x".into(),
            },
            expect![[r#"
                1014 "SSH_CONFIG_INVALID", retryable false
                ssh_config can't be used for gpu1: IdentityFile "%x": there is no %x. Mend it, or switch ssh_config off in the profile."#]],
        ),
        (
            SshConfigProblem::JumpLoop("gpu1".into()),
            expect![[r#"
            1014 "SSH_CONFIG_INVALID", retryable false
            ssh_config can't be used for gpu1: ProxyJump leads from gpu1 to itself. Mend it, or switch ssh_config off in the profile."#]],
        ),
        (
            SshConfigProblem::Refused("line 3: Bad configuration option".into()),
            expect![[r#"
                1014 "SSH_CONFIG_INVALID", retryable false
                ssh_config can't be used for gpu1: ssh refuses the configuration: line 3: Bad configuration option. Mend it, or switch ssh_config off in the profile."#]],
        ),
        (
            SshConfigProblem::NoHost,
            expect![[r#"
            1014 "SSH_CONFIG_INVALID", retryable false
            ssh_config can't be used for gpu1: there is no Host line that names one host. Mend it, or switch ssh_config off in the profile."#]],
        ),
        (
            SshConfigProblem::TooLong(10),
            expect![[r#"
            1014 "SSH_CONFIG_INVALID", retryable false
            ssh_config can't be used for gpu1: reading ssh_config took longer than 10 seconds. Mend it, or switch ssh_config off in the profile."#]],
        ),
    ] {
        ssh(Cause::SshConfig { problem }, &expected);
    }
}
