//! Every failure of TLS, as people read it.

use std::time::{Duration, SystemTime};

use expect_test::{Expect, expect};

use super::{check, scene};
use crate::{
    daemon::failure::{self, Scene},
    llm::{CaFileProblem, Error, Refusal, RefusalKind, TlsFailure, TlsOptions},
};

fn with_file() -> Scene {
    Scene {
        tls: Some(TlsOptions {
            ca_path: Some("/home/ai/ca.pem".into()),
            server_name: None,
        }),
        ..scene()
    }
}

fn without_file() -> Scene {
    Scene {
        tls: Some(TlsOptions::default()),
        ..scene()
    }
}

fn told(failure: TlsFailure, scene: &Scene, expected: &Expect) {
    check(&failure::llm(&Error::Tls(failure), scene), expected);
}

fn day(days: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(days * 24 * 60 * 60)
}

#[test]
fn certificates_that_nobody_vouches_for() {
    let signed = || TlsFailure::UnknownIssuer {
        issuer: Some("Lab CA".into()),
    };
    told(
        signed(),
        &without_file(),
        &expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            127.0.0.1:11434 on gpu1 shows a certificate of the authority "Lab CA", which this computer does not trust. Nothing was sent.
            hint: Save the certificate of that authority in a file, and name it in `llm.tls.caPath`."#]],
    );
    told(
        signed(),
        &with_file(),
        &expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            127.0.0.1:11434 on gpu1 shows a certificate of the authority "Lab CA", which /home/ai/ca.pem does not have. Nothing was sent.
            hint: The file needs the certificate of the topmost authority; those between have to come from the server."#]],
    );
    told(
        TlsFailure::UnknownIssuer { issuer: None },
        &without_file(),
        &expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            127.0.0.1:11434 on gpu1 shows a certificate of an authority without a name, which this computer does not trust. Nothing was sent.
            hint: Save the certificate of that authority in a file, and name it in `llm.tls.caPath`."#]],
    );
    told(
        TlsFailure::SelfSigned,
        &without_file(),
        &expect![[r#"
        2017 "API_TLS_FAILED", retryable false
        127.0.0.1:11434 on gpu1 shows a certificate that it made itself, and that proves nothing yet. Nothing was sent.
        hint: If it is the right server, `ssh gpu1 'openssl s_client -connect 127.0.0.1:11434 </dev/null | openssl x509' >server.pem` saves its certificate; name the file in `llm.tls.caPath`."#]],
    );
    told(
        TlsFailure::SelfSigned,
        &with_file(),
        &expect![[r#"
        2017 "API_TLS_FAILED", retryable false
        127.0.0.1:11434 on gpu1 shows a certificate that it made itself, and it is not the one in /home/ai/ca.pem. Nothing was sent.
        hint: If it is the right server, `ssh gpu1 'openssl s_client -connect 127.0.0.1:11434 </dev/null | openssl x509' >server.pem` saves its certificate; name the file in `llm.tls.caPath`."#]],
    );
}

#[test]
fn certificates_that_are_not_good() {
    let scene = with_file();
    let not_after = Some(day(20_000));
    told(
        TlsFailure::Expired { not_after },
        &scene,
        &expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            The certificate of 127.0.0.1:11434 on gpu1 has expired: it was good until 2024-10-04T00:00:00Z. Renew it there, or set this computer's clock. Nothing was sent."#]],
    );
    told(
        TlsFailure::Expired { not_after: None },
        &scene,
        &expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            The certificate of 127.0.0.1:11434 on gpu1 has expired. Renew it there, or set this computer's clock. Nothing was sent."#]],
    );
    let not_before = Some(day(40_000));
    told(
        TlsFailure::NotYetValid { not_before },
        &scene,
        &expect![[r#"
        2017 "API_TLS_FAILED", retryable false
        The certificate of 127.0.0.1:11434 on gpu1 is not valid yet: it begins on 2079-07-08T00:00:00Z. Set this computer's clock, or the server's before it makes certificates. Nothing was sent."#]],
    );
    let wrong_name = |names: &[&str]| TlsFailure::WrongName {
        asked: "127.0.0.1".into(),
        names: names.iter().map(|&name| name.into()).collect(),
    };
    told(
        wrong_name(&["gpu1.example", "gpu1"]),
        &scene,
        &expect![[r#"
        2017 "API_TLS_FAILED", retryable false
        The certificate of 127.0.0.1:11434 on gpu1 is for gpu1.example and gpu1, not for 127.0.0.1. Nothing was sent.
        hint: Name one of these in `llm.tls.serverName`."#]],
    );
    told(
        wrong_name(&[]),
        &scene,
        &expect![[r#"
        2017 "API_TLS_FAILED", retryable false
        The certificate of 127.0.0.1:11434 on gpu1 has no name or address to be checked by, and had to be for 127.0.0.1. Nothing was sent. A common name alone counts no more: make one with subjectAltName."#]],
    );
    told(
        TlsFailure::Revoked,
        &scene,
        &expect![[r#"
        2017 "API_TLS_FAILED", retryable false
        The certificate of 127.0.0.1:11434 on gpu1 is revoked by a list in /home/ai/ca.pem. Nothing was sent. Ask the administrator for a new one."#]],
    );
    told(
        TlsFailure::BadCertificate("it is for clients only".into()),
        &scene,
        &expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            The certificate of 127.0.0.1:11434 on gpu1 can't be used: it is for clients only. Nothing was sent. Ask the administrator for a new one."#]],
    );
}

#[test]
fn settings_that_are_of_no_use() {
    let scene = with_file();
    told(
        TlsFailure::ServerName("not a name".into()),
        &scene,
        &expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            "not a name" is not a name or an address that a certificate can have. Write the one that the certificate of 127.0.0.1:11434 on gpu1 has."#]],
    );
    for (problem, expected) in [
        (
            CaFileProblem::Missing,
            expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            There is no file /home/ai/ca.pem. Check `llm.tls.caPath`: it is a file of this computer."#]],
        ),
        (
            CaFileProblem::Unreadable("Permission denied (os error 13)".into()),
            expect![[r#"
                2017 "API_TLS_FAILED", retryable false
                /home/ai/ca.pem can't be read: Permission denied (os error 13)."#]],
        ),
        (
            CaFileProblem::NoCertificate,
            expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            /home/ai/ca.pem has no certificate in PEM form: a text between BEGIN CERTIFICATE and END CERTIFICATE."#]],
        ),
        (
            CaFileProblem::PrivateKey,
            expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            /home/ai/ca.pem is a private key. The certificate that goes with it is what is needed."#]],
        ),
        (
            CaFileProblem::Malformed,
            expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            A certificate in /home/ai/ca.pem is damaged. Get it anew."#]],
        ),
    ] {
        let path = "/home/ai/ca.pem".into();
        let failure = Error::Tls(TlsFailure::CaFile { path, problem });
        let error = failure::llm(&failure, &scene);
        assert_eq!(error.data.field.as_deref(), Some("llm.tls.caPath"));
        check(&error, &expected);
    }
    told(
        TlsFailure::NoPlatformRoots {
            why: Some("no such file".into()),
        },
        &without_file(),
        &expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            This computer has no authorities (no such file), so the certificate of 127.0.0.1:11434 on gpu1 can't be checked. Install them (ca-certificates on Linux), or name a file with the right one in `llm.tls.caPath`."#]],
    );
}

#[test]
fn servers_that_speak_something_else() {
    let scene = without_file();
    told(
        TlsFailure::PlainHttp,
        &scene,
        &expect![[r#"
        2017 "API_TLS_FAILED", retryable false
        127.0.0.1:11434 on gpu1 speaks HTTP without TLS. Write http:// in the endpoint; as far as gpu1 the SSH connection encrypts it."#]],
    );
    told(
        TlsFailure::NotTls {
            said: "SSH-2.0-OpenSSH_9.2".into(),
        },
        &scene,
        &expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            What listens on 127.0.0.1:11434 on gpu1 does not speak TLS (it said: SSH-2.0-OpenSSH_9.2). Check the port."#]],
    );
    told(
        TlsFailure::Incompatible,
        &scene,
        &expect![[r#"
        2017 "API_TLS_FAILED", retryable false
        127.0.0.1:11434 on gpu1 has no version of TLS, or no cipher, that is good enough: it takes TLS 1.2 or 1.3. Update the server."#]],
    );
    told(
        TlsFailure::ClientCertificate,
        &scene,
        &expect![[r#"
        2017 "API_TLS_FAILED", retryable false
        127.0.0.1:11434 on gpu1 wants a client certificate, and there is no way to give it one. Let it be content with an API key."#]],
    );
    told(
        TlsFailure::Alert("handshake failure".into()),
        &scene,
        &expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            127.0.0.1:11434 on gpu1 broke off TLS: handshake failure.
            hint: A server with several names may need the right one in `llm.tls.serverName`. Its own log has more about it."#]],
    );
    told(
        TlsFailure::Closed,
        &scene,
        &expect![[r#"
        2017 "API_TLS_FAILED", retryable true
        127.0.0.1:11434 on gpu1 closed the connection when TLS was to begin. Does it speak TLS on this port?
        hint: If it does not, write http:// in the endpoint."#]],
    );
    let limit = Duration::from_secs(10);
    told(
        TlsFailure::TimedOut { limit },
        &scene,
        &expect![[r#"
            2015 "TIMEOUT_CONNECT", retryable true
            127.0.0.1:11434 on gpu1 did not answer the beginning of TLS within 10 s. Does it speak TLS on this port?
            hint: If it does not, write http:// in the endpoint."#]],
    );
    told(
        TlsFailure::Other("something new".into()),
        &scene,
        &expect![[r#"
            2017 "API_TLS_FAILED", retryable false
            There is no TLS with 127.0.0.1:11434 on gpu1: something new."#]],
    );
}

#[test]
fn tls_where_none_was_asked_for() {
    told(
        TlsFailure::Wanted,
        &super::scene(),
        &expect![[r#"
        2017 "API_TLS_FAILED", retryable false
        127.0.0.1:11434 on gpu1 wants TLS, and the endpoint is one without.
        hint: Write https:// in the endpoint."#]],
    );
    let refusal = Refusal {
        kind: RefusalKind::NeedsTls,
        status: Some(400),
        message: "an HTML page".into(),
        retry_after: None,
    };
    let error = failure::llm(&Error::Refused(refusal), &super::scene());
    assert_eq!(error.data.http_status, Some(400));
    check(
        &error,
        &expect![[r#"
        2017 "API_TLS_FAILED", retryable false
        127.0.0.1:11434 on gpu1 wants TLS, and the endpoint is one without.
        hint: Write https:// in the endpoint."#]],
    );
}
