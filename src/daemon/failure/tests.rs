//! The sentences as people read them. A changed sentence is a decision: see it here.

use std::{io, sync::Arc, time::Duration};

use expect_test::{Expect, expect};

use crate::{
    conversation,
    llm::{self, Refusal, RefusalKind},
    protocol::ErrorObject,
    ssh::{
        self, AlgorithmList, Cause, Destination, Error, HostCertificate, HostCertificateProblem,
        HostKeyInfo, KnownKey, NotTrusted, Place, PromptFailure,
    },
};

use super::Scene;

mod auth;
mod clocks;
mod every_cause;
mod history;
mod tls;

fn check(error: &ErrorObject, expected: &Expect) {
    let sentence = &error.message;
    for (words, _) in super::CLAUDES_WORDS {
        assert!(!sentence.to_lowercase().contains(words), "{sentence}");
    }
    let hint = error
        .data
        .hint
        .as_ref()
        .map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    let told = format!(
        "{} {}, retryable {}\n{sentence}{hint}",
        error.code,
        serde_json::to_string(&error.data.code).unwrap(),
        error.data.retryable
    );
    expected.assert_eq(&told);
}

fn ssh(cause: Cause, expected: &Expect) {
    check(&super::ssh(&at_gpu1(cause)), expected);
}

fn at_gpu1(cause: Cause) -> Error {
    let place = Place {
        hop: 0,
        hops: 1,
        host: "gpu1".into(),
        port: 22,
        username: "ai".into(),
    };
    Error {
        place: Arc::new(place),
        cause,
    }
}

fn scene() -> Scene {
    Scene {
        host: "gpu1".to_owned(),
        endpoint: "127.0.0.1:11434".to_owned(),
        tls: None,
        model: Some("qwen3:30b".to_owned()),
    }
}

fn refusal(kind: RefusalKind, status: u16, message: &str, expected: &Expect) {
    let refusal = Refusal {
        kind,
        status: Some(status),
        message: message.to_owned(),
        retry_after: None,
    };
    check(
        &super::llm(&llm::Error::Refused(refusal), &scene()),
        expected,
    );
}

fn refused() -> Arc<io::Error> {
    Arc::new(io::Error::new(
        io::ErrorKind::ConnectionRefused,
        "Connection refused",
    ))
}

fn key() -> HostKeyInfo {
    HostKeyInfo {
        key_type: "ssh-ed25519".into(),
        fingerprint: "SHA256:new".into(),
        bits: 256,
    }
}

#[test]
fn the_way_to_the_machine() {
    ssh(
        Cause::Refused { source: refused() },
        &expect![[r#"
        1005 "SSH_UNREACHABLE", retryable true
        gpu1:22 refused the connection: nothing listens there. Check the port, and whether sshd is running. (Connection refused)"#]],
    );
    ssh(
        Cause::Unanswered {
            after: Duration::from_secs(10),
        },
        &expect![[r#"
            1002 "SSH_CONNECTION_TIMEOUT", retryable true
            gpu1:22 did not accept a connection within 10 s. Is the machine on, and are you on the right network or VPN?"#]],
    );
    ssh(
        Cause::NotSsh {
            said: "HTTP/1.1 400 Bad Request".into(),
        },
        &expect![[r#"
            1006 "SSH_PROTOCOL_ERROR", retryable false
            Something answers on gpu1:22, but it is not an SSH server (it said: HTTP/1.1 400 Bad Request). Check the port."#]],
    );
    ssh(
        Cause::ConnectionLost { source: refused() },
        &expect![[r#"
        1004 "SSH_DISCONNECTED", retryable true
        The connection to gpu1 was lost. Try again. (Connection refused)"#]],
    );
    let via = Place {
        hop: 0,
        hops: 2,
        host: "bastion".into(),
        port: 22,
        username: "ai".into(),
    };
    let destination = Destination::Tcp {
        host: "gpu1".into(),
        port: 22,
    };
    let cause = Box::new(Cause::DestinationRefused {
        destination,
        said: Some("Name or service not known".into()),
    });
    ssh(
        Cause::NotReachedThrough { via, cause },
        &expect![[r#"
            1005 "SSH_UNREACHABLE", retryable true
            bastion could not reach gpu1:22: Name or service not known. Check the name and the port as they are known there."#]],
    );
}

#[test]
fn host_keys() {
    let why = NotTrusted::NoAnswer(PromptFailure::Unsupported);
    let reason = crate::ssh::HostKeyReason::NeverSeen;
    ssh(
        Cause::HostKeyUnknown {
            key: key(),
            reason,
            known_as: Vec::new(),
            why,
        },
        &expect![[r#"
            1007 "SSH_HOST_KEY_UNKNOWN", retryable false
            The host key of gpu1:22 is not known (ssh-ed25519 SHA256:new), and there is no way to ask you about it here. Compare the fingerprint with one you got from the administrator, and add the key to known_hosts.
            hint: On the server, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` shows it. Connecting once with `ssh -o StrictHostKeyChecking=ask -p 22 ai@gpu1` in a terminal (or by the alias that ssh_config has for it) asks about it and adds it."#]],
    );
    let known = KnownKey {
        key: HostKeyInfo {
            fingerprint: "SHA256:old".into(),
            ..key()
        },
        file: "/home/ai/.ssh/known_hosts".into(),
        line: 12,
    };
    ssh(
        Cause::HostKeyChanged {
            key: key(),
            known: vec![known],
            remove_command: "ssh-keygen -R gpu1".into(),
        },
        &expect![[r#"
            1008 "SSH_HOST_KEY_CHANGED", retryable false
            The host key of gpu1:22 is not the one recorded on line 12 of /home/ai/.ssh/known_hosts. It was SHA256:old and is now SHA256:new. Someone may be intercepting the connection, or the machine was reinstalled. Nothing was sent.
            hint: If you know why it changed, remove what is recorded with: ssh-keygen -R gpu1"#]],
    );
}

#[test]
fn other_host_keys() {
    let recorded = |key_type: &str, line| KnownKey {
        key: HostKeyInfo {
            key_type: key_type.into(),
            fingerprint: format!("SHA256:old{line}"),
            bits: 256,
        },
        file: "/home/ai/.ssh/known_hosts".into(),
        line,
    };
    let remove_command = "ssh-keygen -f /home/ai/.ssh/known_hosts -R gpu1";
    ssh(
        Cause::HostKeyChanged {
            key: key(),
            known: vec![recorded("ssh-rsa", 3), recorded("ecdsa-sha2-nistp256", 4)],
            remove_command: remove_command.into(),
        },
        &expect![[r#"
            1008 "SSH_HOST_KEY_CHANGED", retryable false
            gpu1:22 showed a host key of a type that is not recorded for it: ssh-ed25519 SHA256:new. Known are only: ssh-rsa SHA256:old3 on line 3 of /home/ai/.ssh/known_hosts and ecdsa-sha2-nistp256 SHA256:old4 on line 4 of /home/ai/.ssh/known_hosts. Someone may be intercepting the connection, or the machine was reinstalled. Nothing was sent.
            hint: If you know why it changed, remove what is recorded with: ssh-keygen -f /home/ai/.ssh/known_hosts -R gpu1"#]],
    );
    ssh(
        Cause::HostKeyChanged {
            key: key(),
            known: vec![recorded("ssh-ed25519", 2), recorded("ssh-rsa", 3)],
            remove_command: remove_command.into(),
        },
        &expect![[r#"
            1008 "SSH_HOST_KEY_CHANGED", retryable false
            The host key of gpu1:22 is not the one recorded on line 2 of /home/ai/.ssh/known_hosts. It was SHA256:old2 and is now SHA256:new. Also recorded: ssh-rsa SHA256:old3 on line 3 of /home/ai/.ssh/known_hosts. Someone may be intercepting the connection, or the machine was reinstalled. Nothing was sent.
            hint: If you know why it changed, remove what is recorded with: ssh-keygen -f /home/ai/.ssh/known_hosts -R gpu1"#]],
    );
    ssh(
        Cause::HostKeyRevoked {
            key: key(),
            authority: None,
            file: "/etc/ssh/ssh_known_hosts".into(),
            line: 7,
        },
        &expect![[r#"
            1009 "SSH_HOST_KEY_REVOKED", retryable false
            The host key of gpu1:22 (SHA256:new) is revoked by line 7 of /etc/ssh/ssh_known_hosts. Do not connect; ask the administrator."#]],
    );
    ssh(
        Cause::HostKeyRevoked {
            key: key(),
            authority: Some(Box::new(recorded("ssh-ed25519", 9).key)),
            file: "/etc/ssh/ssh_known_hosts".into(),
            line: 7,
        },
        &expect![[r#"
            1009 "SSH_HOST_KEY_REVOKED", retryable false
            The authority that signed the certificate of gpu1:22 (SHA256:old9) is revoked by line 7 of /etc/ssh/ssh_known_hosts. Do not connect; ask the administrator."#]],
    );
    ssh(
        Cause::KnownHostsUnreadable {
            file: "/home/ai/.ssh/known_hosts".into(),
            source: Arc::new(io::Error::from(io::ErrorKind::PermissionDenied)),
        },
        &expect![[r#"
            1014 "SSH_CONFIG_INVALID", retryable false
            /home/ai/.ssh/known_hosts can't be read, so the host key of gpu1:22 can't be checked. Mend the file or its permissions. (permission denied)"#]],
    );
}

#[test]
fn host_certificates() {
    let certificate = |problem| Cause::HostCertificateInvalid {
        certificate: Box::new(HostCertificate {
            problem,
            key: key(),
            id: "gpus of 2026".into(),
            principals: vec!["gpu2".into(), "gpu3".into()],
            valid_after: 1_767_225_600,
            valid_before: 1_798_761_600,
            signer: HostKeyInfo {
                fingerprint: "SHA256:ca".into(),
                ..key()
            },
            authority: Some(KnownKey {
                key: HostKeyInfo {
                    fingerprint: "SHA256:ca".into(),
                    ..key()
                },
                file: "/home/ai/.ssh/known_hosts".into(),
                line: 5,
            }),
        }),
    };
    ssh(
        certificate(HostCertificateProblem::Expired),
        &expect![[r#"
            1007 "SSH_HOST_KEY_UNKNOWN", retryable false
            The certificate of gpu1:22 ("gpus of 2026", signed by the authority SHA256:ca on line 5 of /home/ai/.ssh/known_hosts) was valid until 2027-01-01T00:00:00Z, and its key (ssh-ed25519 SHA256:new) is not known on its own. Nothing was sent. Ask the administrator for a new one, and check this computer's clock."#]],
    );
    ssh(
        certificate(HostCertificateProblem::NotYetValid),
        &expect![[r#"
            1007 "SSH_HOST_KEY_UNKNOWN", retryable false
            The certificate of gpu1:22 ("gpus of 2026", signed by the authority SHA256:ca on line 5 of /home/ai/.ssh/known_hosts) is only valid from 2026-01-01T00:00:00Z, and its key (ssh-ed25519 SHA256:new) is not known on its own. Nothing was sent. Check this computer's clock, or ask the administrator."#]],
    );
    ssh(
        certificate(HostCertificateProblem::OtherPrincipal("gpu1".into())),
        &expect![[r#"
            1007 "SSH_HOST_KEY_UNKNOWN", retryable false
            The certificate of gpu1:22 ("gpus of 2026", signed by the authority SHA256:ca on line 5 of /home/ai/.ssh/known_hosts) is made out to gpu2 and gpu3, not to gpu1, and its key (ssh-ed25519 SHA256:new) is not known on its own. Nothing was sent. Use one of these names as the host, or as HostKeyAlias in ssh_config."#]],
    );
    ssh(
        certificate(HostCertificateProblem::NotForHosts),
        &expect![[r#"
            1007 "SSH_HOST_KEY_UNKNOWN", retryable false
            The certificate of gpu1:22 ("gpus of 2026", signed by the authority SHA256:ca on line 5 of /home/ai/.ssh/known_hosts) is meant for a user, not for a machine, and its key (ssh-ed25519 SHA256:new) is not known on its own. Nothing was sent. Tell the administrator."#]],
    );
    ssh(
        certificate(HostCertificateProblem::CriticalOption("owner".into())),
        &expect![[r#"
            1007 "SSH_HOST_KEY_UNKNOWN", retryable false
            The certificate of gpu1:22 ("gpus of 2026", signed by the authority SHA256:ca on line 5 of /home/ai/.ssh/known_hosts) demands "owner", which this program does not know, and its key (ssh-ed25519 SHA256:new) is not known on its own. Nothing was sent. Tell the administrator."#]],
    );
    ssh(
        certificate(HostCertificateProblem::WeakSignature),
        &expect![[r#"
            1007 "SSH_HOST_KEY_UNKNOWN", retryable false
            The certificate of gpu1:22 ("gpus of 2026", signed by the authority SHA256:ca on line 5 of /home/ai/.ssh/known_hosts) is signed with an algorithm that is too weak (SHA-1 or DSA), and its key (ssh-ed25519 SHA256:new) is not known on its own. Nothing was sent. Ask the administrator for one that is signed with rsa-sha2-512 or ed25519."#]],
    );
    ssh(
        certificate(HostCertificateProblem::BadSignature),
        &expect![[r#"
            1007 "SSH_HOST_KEY_UNKNOWN", retryable false
            The certificate of gpu1:22 ("gpus of 2026", signed by the authority SHA256:ca on line 5 of /home/ai/.ssh/known_hosts) is forged or damaged: its signature is wrong. Nothing was sent. Someone may be intercepting the connection. Ask the administrator."#]],
    );
}

#[test]
fn algorithms_of_ssh_config() {
    ssh(
        Cause::NoUsableAlgorithm {
            kind: AlgorithmList::Mac,
            names: vec!["hmac-md5".into(), "hmac-sha1".into()],
            usable: vec!["hmac-sha2-256".into(), "hmac-sha2-512".into()],
        },
        &expect![[r#"
            1014 "SSH_CONFIG_INVALID", retryable false
            MACs for gpu1 names only hmac-md5 and hmac-sha1, which this program does not know or finds too weak. Change it in the ssh_config file.
            hint: What would work: hmac-sha2-256, hmac-sha2-512."#]],
    );
}

#[test]
fn the_way_to_the_server() {
    let destination = Destination::Tcp {
        host: "127.0.0.1".into(),
        port: 11434,
    };
    ssh(
        Cause::DestinationRefused {
            said: None,
            destination: destination.clone(),
        },
        &expect![[r#"
            2001 "API_UNAVAILABLE", retryable true
            Connected to gpu1, but nothing listens on 127.0.0.1:11434, seen from gpu1. Start the LLM server there, or check the address."#]],
    );
    ssh(
        Cause::ForwardingDenied { destination },
        &expect![[r#"
            1013 "SSH_FORWARD_DENIED", retryable false
            Connected to gpu1, but it may not open 127.0.0.1:11434: its SSH server forbids this forwarding.
            hint: In sshd_config there: AllowTcpForwarding, PermitOpen or DisableForwarding; in authorized_keys: restrict, no-port-forwarding or permitopen before the key."#]],
    );
}

#[test]
fn the_server_and_its_models() {
    refusal(
        RefusalKind::WrongPath,
        404,
        "Not Found",
        &expect![[r#"
        2009 "API_PROTOCOL_ERROR", retryable false
        127.0.0.1:11434 on gpu1 is open but does not answer as an LLM server there (HTTP 404). Check the base path."#]],
    );
    refusal(
        RefusalKind::ImagesUnsupported,
        500,
        "image input is not supported - hint: you may need to provide the mmproj",
        &expect![[r#"
            2004 "API_ERROR", retryable false
            qwen3:30b can't see images. Choose a model with vision. It said: image input is not supported - hint: you may need to provide the mmproj
            hint: llama.cpp needs the model's mmproj file for images."#]],
    );
    refusal(
        RefusalKind::InvalidModel,
        404,
        "model not found",
        &expect![[r#"
            2002 "API_INVALID_MODEL", retryable false
            gpu1 has no model qwen3:30b. It said: model not found
            hint: Choose one of the models that list-models shows."#]],
    );
    refusal(
        RefusalKind::Other,
        500,
        "boom",
        &expect![[r#"
            2004 "API_ERROR", retryable false
            127.0.0.1:11434 on gpu1 answered an error (HTTP 500): boom
            hint: The LLM server's own log has more about it."#]],
    );
    let numbers = RefusalKind::ContextOverflow {
        needed: Some(41_000),
        available: Some(32_768),
    };
    refusal(
        numbers,
        400,
        "too long",
        &expect![[r#"
        2006 "API_CONTEXT_OVERFLOW", retryable false
        The prompt needs 41000 tokens; qwen3:30b is loaded with 32768. Shorten it, or load the model with more."#]],
    );
    let too_long = llm::Error::TooLong {
        needed: 41_000,
        available: 32_768,
    };
    check(
        &super::llm(&too_long, &scene()),
        &expect![[r#"
            2006 "API_CONTEXT_OVERFLOW", retryable false
            The prompt needs 41000 tokens; qwen3:30b is loaded with 32768. Shorten it, or load the model with more. It was not sent."#]],
    );
    let cannot = llm::Error::CannotContinue {
        server: llm::ServerKind::LmStudio,
    };
    check(
        &super::llm(&cannot, &scene()),
        &expect![[r#"
            2018 "API_CONTINUE_UNSUPPORTED", retryable false
            127.0.0.1:11434 on gpu1 (lm-studio) can't go on with an answer that was cut short: llama.cpp, vLLM, SGLang and Ollama can. Ask again instead."#]],
    );
    let html = llm::Error::UnexpectedContent {
        content_type: "text/html".to_owned(),
        excerpt: "<html>".to_owned(),
    };
    check(
        &super::llm(&html, &scene()),
        &expect![[r#"
        2009 "API_PROTOCOL_ERROR", retryable false
        127.0.0.1:11434 on gpu1 answers with text/html instead of JSON, so it is not an LLM server's API. Check the port and the base path."#]],
    );
    let lost = || {
        let lost = ssh::Lost(at_gpu1(Cause::KeepaliveTimeout));
        Some(io::Error::new(io::ErrorKind::ConnectionReset, lost))
    };
    check(
        &super::llm(&llm::Error::NoReply { source: lost() }, &scene()),
        &expect![[r#"
            1004 "SSH_DISCONNECTED", retryable true
            gpu1 stopped answering. Check the network, then try again."#]],
    );
    check(
        &super::llm(&llm::Error::Interrupted { source: lost() }, &scene()),
        &expect![[r#"
            2010 "STREAM_INTERRUPTED", retryable false
            The connection to 127.0.0.1:11434 on gpu1 ended in the middle of the answer. The text so far is kept. (SSH connection lost: gpu1:22: the server stopped answering)"#]],
    );
    check(
        &super::llm(&llm::Error::NoReply { source: None }, &scene()),
        &expect![[r#"
            2001 "API_UNAVAILABLE", retryable true
            127.0.0.1:11434 on gpu1 closed the connection without an answer. Is the LLM server running there?
            hint: If the server wants TLS, write https:// in the endpoint."#]],
    );
    let cut = llm::Error::Interrupted { source: None };
    check(
        &super::conversation(&conversation::Error::Llm(cut), &scene()),
        &expect![[r#"
            2010 "STREAM_INTERRUPTED", retryable false
            The connection to 127.0.0.1:11434 on gpu1 ended in the middle of the answer. The text so far is kept."#]],
    );
}

#[test]
fn a_server_cannot_make_puffin_open_claudes_login() {
    refusal(
        RefusalKind::Auth,
        401,
        "Failed to authenticate: token expired, you are Not logged in",
        &expect![[r#"
            2005 "API_AUTH_FAILED", retryable false
            127.0.0.1:11434 on gpu1 wants another API key. It said: could not sign in: token ran out, you are not signed in
            hint: Put the server's key into the API key field."#]],
    );
}
