//! TLS inside the stream: every way it fails, and that what comes through it is what was said.

use std::{io::Write as _, path::PathBuf, sync::Arc, time::Duration};

use expect_test::{Expect, expect};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    authority::{Authority, server_config},
    peer::{
        Connection, DONE, Peer, Refused, answer, begun, delta, drain, finish, header, json,
        never_again, outcome, prompt, server_at, whole_request,
    },
};
use crate::llm::{
    Block, ChatEvent, Completion, Error, Options, RefusalKind, Server, TlsFailure, TlsOptions,
};

/// A file that goes with the test.
fn file(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

fn believing(ca: &tempfile::NamedTempFile) -> Options {
    Options {
        tls: TlsOptions {
            ca_path: Some(ca.path().to_owned()),
            server_name: None,
        },
        ..Options::default()
    }
}

/// The server's side of a stream, secured.
async fn accept(
    peer: &mut Peer,
    config: tokio_rustls::rustls::ServerConfig,
) -> TlsStream<tokio::io::DuplexStream> {
    let stream = peer.accept().await.0;
    TlsAcceptor::from(Arc::new(config))
        .accept(stream)
        .await
        .unwrap()
}

async fn request(stream: &mut TlsStream<tokio::io::DuplexStream>) -> String {
    let mut bytes = Vec::new();
    while whole_request(&bytes).is_none() {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        assert_ne!(read, 0, "the client closed");
        bytes.extend_from_slice(&piece[..read]);
    }
    String::from_utf8(bytes).unwrap()
}

fn text_of(completion: &Completion) -> &str {
    match &completion.content[..] {
        [Block::Text { text }] => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_streams_through_tls_and_the_connection_is_used_again() {
    let authority = Authority::new("Lab CA");
    let ca = file(&authority.pem());
    let (server, mut peer) = server_at("https://gpu.test:8443/base", believing(&ca));
    let serving = async {
        let config = server_config(authority.issue(&["gpu.test"]));
        let mut stream = accept(&mut peer, config).await;
        assert_eq!(stream.get_ref().1.server_name(), Some("gpu.test"));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        for text in ["one", "two"] {
            let request = request(&mut stream).await;
            assert!(
                request.starts_with("POST /base/v1/chat/completions "),
                "{request}"
            );
            assert_eq!(header(&request, "host"), Some("gpu.test:8443"));
            // In pieces that have nothing to do with records.
            for piece in answer(text).as_bytes().chunks(7) {
                stream.write_all(piece).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
        assert!(peer.is_idle());
    };
    let asking = async {
        for text in ["one", "two"] {
            let (events, completion) = outcome(&server).await;
            assert_eq!(events, [ChatEvent::Text(text.into())]);
            assert_eq!(text_of(&completion.unwrap()), text);
        }
    };
    tokio::join!(serving, asking);
}

#[tokio::test]
async fn what_the_certificate_has_to_be_for_can_be_another_name_than_the_endpoint_s() {
    let authority = Authority::new("Lab CA");
    let ca = file(&authority.pem());
    let mut options = believing(&ca);
    options.tls.server_name = Some("gpu.test".into());
    let (server, mut peer) = server_at("https://127.0.0.1:8443", options);
    let serving = async {
        let mut stream = accept(&mut peer, server_config(authority.issue(&["gpu.test"]))).await;
        assert_eq!(stream.get_ref().1.server_name(), Some("gpu.test"));
        let request = request(&mut stream).await;
        assert_eq!(header(&request, "host"), Some("127.0.0.1:8443"));
        stream.write_all(answer("hi").as_bytes()).await.unwrap();
    };
    let ((), (_, completion)) = tokio::join!(serving, outcome(&server));
    assert_eq!(text_of(&completion.unwrap()), "hi");
}

#[tokio::test]
async fn an_address_needs_no_name_and_the_handshake_is_told() {
    let authority = Authority::new("Lab CA");
    let ca = file(&authority.pem());
    let (server, mut peer) = server_at("https://127.0.0.1", believing(&ca));
    let serving = async {
        let mut stream = accept(&mut peer, server_config(authority.issue(&["127.0.0.1"]))).await;
        assert_eq!(stream.get_ref().1.server_name(), None);
        let request = request(&mut stream).await;
        assert_eq!(header(&request, "host"), Some("127.0.0.1"));
        stream.write_all(answer("hi").as_bytes()).await.unwrap();
        assert!(
            peer.is_idle(),
            "the handshake's connection is the request's"
        );
    };
    let asking = async {
        let handshake = server.handshake().await.unwrap().unwrap();
        assert_eq!(handshake.version, "TLS 1.3");
        assert_eq!(handshake.server_name, "127.0.0.1");
        assert_eq!(handshake.ca_path.as_deref(), Some(ca.path()));
        outcome(&server).await.1.unwrap();
    };
    tokio::join!(serving, asking);
}

#[tokio::test]
async fn a_self_signed_certificate_is_believed_when_the_file_is_that_very_one() {
    // As `openssl req -x509` makes them, and as tools that know better do.
    for is_authority in [true, false] {
        let identity = Authority::self_signed(&["gpu.test"], is_authority);
        let ca = file(&identity.pem());
        let (server, mut peer) = server_at("https://gpu.test", believing(&ca));
        let serving = async {
            let mut stream = accept(&mut peer, server_config(identity)).await;
            request(&mut stream).await;
            stream.write_all(answer("hi").as_bytes()).await.unwrap();
        };
        let ((), (_, completion)) = tokio::join!(serving, outcome(&server));
        assert_eq!(text_of(&completion.unwrap()), "hi", "{is_authority}");
    }
}

/// What becomes of a handshake with a server that has this certificate.
async fn refused(
    endpoint: &str,
    options: Options,
    config: tokio_rustls::rustls::ServerConfig,
) -> TlsFailure {
    let (server, mut peer) = server_at(endpoint, options);
    let serving = async {
        let stream = peer.accept().await.0;
        let accepted = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
        if let Ok(mut stream) = accepted {
            // What it has to say may be an alert.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    };
    let (failure, ()) = tokio::join!(failure(&server), serving);
    failure
}

async fn failure(server: &Server<Refused>) -> TlsFailure {
    let (events, result) = outcome(server).await;
    assert_eq!(events, [], "a failure of TLS is not tried again");
    match result {
        Err(Error::Tls(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

fn told(failure: &TlsFailure, expected: &Expect) {
    expected.assert_eq(&format!("{failure:?}"));
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_refused_with_its_fault() {
    let authority = Authority::new("Lab CA");
    let other = Authority::new("Another CA");
    let ca = file(&authority.pem());
    let check = async |identity, expected: Expect| {
        let failure = refused("https://gpu.test", believing(&ca), server_config(identity)).await;
        told(&failure, &expected);
    };
    check(
        other.issue(&["gpu.test"]),
        expect![[r#"UnknownIssuer { issuer: Some("Another CA") }"#]],
    )
    .await;
    check(
        Authority::self_signed(&["gpu.test"], true),
        expect!["SelfSigned"],
    )
    .await;
    check(
        Authority::self_signed(&["gpu.test"], false),
        expect!["SelfSigned"],
    )
    .await;
    check(
        authority.issue_for(&["gpu.test"], 1999, 2001),
        expect!["Expired { not_after: Some(SystemTime { tv_sec: 978307200, tv_nsec: 0 }) }"],
    )
    .await;
    check(
        authority.issue_for(&["gpu.test"], 9998, 9999),
        expect![
            "NotYetValid { not_before: Some(SystemTime { tv_sec: 253339228800, tv_nsec: 0 }) }"
        ],
    )
    .await;
    check(
        authority.issue(&["other.test", "10.1.2.3"]),
        expect![[r#"WrongName { asked: "gpu.test", names: ["other.test", "10.1.2.3"] }"#]],
    )
    .await;
    check(
        authority.issue(&[]),
        expect![[r#"WrongName { asked: "gpu.test", names: [] }"#]],
    )
    .await;
    check(authority.issue_for_clients(&["gpu.test"]), expect![[r#"BadCertificate("certificate does not allow extended key usage for server authentication, allows client authentication")"#]]).await;
}

#[tokio::test]
async fn a_certificate_that_is_in_the_file_still_has_to_be_of_today_and_for_the_name() {
    let check = async |identity: super::authority::Identity, expected: Expect| {
        let ca = file(&identity.pem());
        let failure = refused("https://gpu.test", believing(&ca), server_config(identity)).await;
        told(&failure, &expected);
    };
    check(
        Authority::self_signed_for(&["gpu.test"], true, 1999, 2001),
        expect!["Expired { not_after: Some(SystemTime { tv_sec: 978307200, tv_nsec: 0 }) }"],
    )
    .await;
    check(
        Authority::self_signed(&["other.test"], true),
        expect![[r#"WrongName { asked: "gpu.test", names: ["other.test"] }"#]],
    )
    .await;
}

#[tokio::test]
async fn a_certificate_on_the_file_s_list_is_revoked() {
    let authority = Authority::new("Lab CA");
    let good = authority.issue(&["gpu.test"]);
    let bad = authority.issue(&["gpu.test"]);
    let ca = file(&(authority.pem() + &authority.revoke(&bad)));
    let failure = refused("https://gpu.test", believing(&ca), server_config(bad)).await;
    told(&failure, &expect!["Revoked"]);

    let (server, mut peer) = server_at("https://gpu.test", believing(&ca));
    let serving = async {
        let mut stream = accept(&mut peer, server_config(good)).await;
        request(&mut stream).await;
        stream.write_all(answer("hi").as_bytes()).await.unwrap();
    };
    let ((), (_, completion)) = tokio::join!(serving, outcome(&server));
    completion.unwrap();
}

#[tokio::test]
async fn what_breaks_a_handshake_off_is_told_apart() {
    let authority = Authority::new("Lab CA");
    let ca = file(&authority.pem());
    let check = async |config, expected: Expect| {
        let failure = refused("https://gpu.test", believing(&ca), config).await;
        told(&failure, &expected);
    };
    let mut other_protocol = server_config(authority.issue(&["gpu.test"]));
    other_protocol.alpn_protocols = vec![b"h2".to_vec()];
    check(
        other_protocol,
        expect![[r#"Alert("no application protocol")"#]],
    )
    .await;
    check(
        authority.server_without_fitting_name(),
        expect![[r#"Alert("access denied")"#]],
    )
    .await;
    check(
        authority.server_that_wants_clients_certificates(&["gpu.test"]),
        expect!["ClientCertificate"],
    )
    .await;
}

#[tokio::test]
async fn what_is_no_tls_is_told_by_its_own_words() {
    let ca = file(&Authority::new("Lab CA").pem());
    for (said, expected) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", expect!["PlainHttp"]),
        ("HTTP/1.0 400 Bad Request\r\n\r\n", expect!["PlainHttp"]),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            expect![[r#"NotTls { said: "SSH-2.0-OpenSSH_9.2" }"#]],
        ),
        (
            "-ERR unknown command\r\n",
            expect![[r#"NotTls { said: "-ERR unknown command" }"#]],
        ),
        ("", expect!["Closed"]),
        ("\x16\x03", expect!["Closed"]),
        ("\x15\x03\x03\x00\x02\x02\x46", expect!["Incompatible"]),
        (
            "\x15\x03\x03\x00\x02\x02\x28",
            expect![[r#"Alert("handshake failure")"#]],
        ),
    ] {
        let (server, mut peer) = server_at("https://gpu.test", believing(&ca));
        let serving = async {
            let mut connection = peer.accept().await;
            connection.write(said).await;
            // Whatever the client says is let go by.
            let mut hello = [0; 5];
            connection.0.read_exact(&mut hello).await.unwrap();
        };
        let (failure, ()) = tokio::join!(failure(&server), serving);
        told(&failure, &expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_not_answered_runs_into_the_connect_clock() {
    let ca = file(&Authority::new("Lab CA").pem());
    let (server, mut peer) = server_at("https://gpu.test", believing(&ca));
    let start = Instant::now();
    let (failure, mut connection) = tokio::join!(failure(&server), peer.accept());
    let limit = Duration::from_secs(10);
    assert_eq!(failure, TlsFailure::TimedOut { limit });
    assert_eq!(start.elapsed(), limit);
    let mut hello = Vec::new();
    connection.0.read_to_end(&mut hello).await.unwrap();
    assert!(hello.starts_with(b"\x16\x03"), "and it was closed");
}

#[tokio::test]
async fn a_file_of_authorities_that_is_of_no_use_says_why() {
    let key = Authority::new("Lab CA").key_pem();
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
    let directory = tempfile::tempdir().unwrap();
    let (empty, key, damaged, cut) = (file("nothing"), file(&key), file(damaged), file(cut));
    for (path, expected) in [
        (PathBuf::from("/nowhere/ca.pem"), expect!["Missing"]),
        (
            directory.path().to_owned(),
            expect![[r#"Unreadable("it is not a regular file")"#]],
        ),
        (empty.path().to_owned(), expect!["NoCertificate"]),
        (key.path().to_owned(), expect!["PrivateKey"]),
        (damaged.path().to_owned(), expect!["Malformed"]),
        (cut.path().to_owned(), expect!["Malformed"]),
    ] {
        let mut options = Options::default();
        options.tls.ca_path = Some(path);
        let (server, _peer) = server_at("https://gpu.test", options);
        match failure(&server).await {
            TlsFailure::CaFile { problem, .. } => expected.assert_eq(&format!("{problem:?}")),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_file_is_read_anew_for_each_connection() {
    let authority = Authority::new("Lab CA");
    let ca = tempfile::NamedTempFile::new().unwrap();
    let (server, mut peer) = server_at("https://gpu.test", believing(&ca));
    let first = failure(&server).await;
    assert!(matches!(first, TlsFailure::CaFile { .. }), "{first:?}");
    assert!(peer.accept().await.0.read(&mut [0]).await.unwrap() == 0);

    std::fs::write(ca.path(), authority.pem()).unwrap();
    let serving = async {
        let mut stream = accept(&mut peer, server_config(authority.issue(&["gpu.test"]))).await;
        request(&mut stream).await;
        stream.write_all(answer("hi").as_bytes()).await.unwrap();
    };
    let ((), (_, completion)) = tokio::join!(serving, outcome(&server));
    completion.unwrap();
}

#[tokio::test]
async fn a_server_s_name_that_is_none_is_refused_before_anything_is_said() {
    let ca = file(&Authority::new("Lab CA").pem());
    let mut options = believing(&ca);
    options.tls.server_name = Some("not a name".into());
    let (server, _peer) = server_at("https://gpu.test", options);
    told(
        &failure(&server).await,
        &expect![[r#"ServerName("not a name")"#]],
    );
}

/// How an answer without a length ends, of which this much came and then no goodbye.
async fn cut_after(said: &str) -> (Vec<ChatEvent>, Option<Error<Refused>>, String) {
    let authority = Authority::new("Lab CA");
    let ca = file(&authority.pem());
    let options = Options {
        retries: never_again().retries,
        ..believing(&ca)
    };
    let (server, mut peer) = server_at("https://gpu.test", options);
    let serving = async {
        let mut stream = accept(&mut peer, server_config(authority.issue(&["gpu.test"]))).await;
        request(&mut stream).await;
        stream.write_all(said.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // Without a word of TLS, as an attacker would.
        drop(stream);
    };
    let (stream, ()) = tokio::join!(server.chat(prompt()), serving);
    let mut stream = stream.unwrap();
    let (events, error) = drain(&mut stream).await;
    (events, error, stream.partial_text().to_owned())
}

const ENDLESS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

#[tokio::test]
async fn a_cut_is_no_end_of_an_answer() {
    for said in [
        // Nobody but TLS could say that this was not the end.
        ENDLESS.to_owned() + &delta("par"),
        // A chunk was to come.
        begun(&delta("par")),
        // Half an event more.
        ENDLESS.to_owned()
            + &delta("par")
            + "data: {\"choices\":[{\"delta\":{\"content\":\"tial\"}}]}\n",
    ] {
        let (_, error, partial) = cut_after(&said).await;
        assert!(
            matches!(error, Some(Error::Interrupted { .. })),
            "{error:?}"
        );
        assert_eq!(partial, "par");
    }
}

#[tokio::test]
async fn half_an_answer_in_one_piece_is_none() {
    let body = "{\"choices\":[{\"message\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    let (_, error, _) = cut_after(&(head.to_owned() + &body[..body.len() - 1])).await;
    assert!(
        matches!(error, Some(Error::Interrupted { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_answer_that_was_said_to_be_whole_needs_no_goodbye() {
    let said = ENDLESS.to_owned() + &delta("all") + &finish("stop") + DONE;
    let (events, error, _) = cut_after(&said).await;
    assert!(error.is_none(), "{error:?}");
    assert!(matches!(events.last(), Some(ChatEvent::Finished(_))));
}

#[tokio::test]
async fn who_wants_tls_and_is_asked_without_is_told_apart() {
    let html = |title: &str, text: &str| {
        let body = format!("<html><head><title>{title}</title></head><body>{text}</body></html>");
        format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    for said in [
        html("400 The plain HTTP request was sent to HTTPS port", ""),
        html(
            "400 Bad Request",
            "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
        ),
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n".into(),
    ] {
        let (server, mut peer) = server_at("http://gpu.test:8443", never_again());
        let serving = async {
            let mut connection: Connection = peer.accept().await;
            connection.request().await;
            connection.write(&said).await;
        };
        let ((_, result), ()) = tokio::join!(outcome(&server), serving);
        match result {
            Err(Error::Refused(refusal)) => assert_eq!(refusal.kind, RefusalKind::NeedsTls),
            other => panic!("{other:?}"),
        }
    }
    // A 400 about something else.
    let (server, mut peer) = server_at("http://gpu.test:8443", never_again());
    let serving = async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection
            .write(json(400, r#"{"error":"https port"}"#))
            .await;
    };
    let ((_, result), ()) = tokio::join!(outcome(&server), serving);
    assert!(matches!(result, Err(Error::Refused(refusal)) if refusal.kind == RefusalKind::Other));
}
