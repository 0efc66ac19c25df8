//! What leaves this machine, and how often people are asked, before a host key
//! is trusted.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::{Certificate, PrivateKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::server::{Script, random_key};
use super::*;

/// Stands between the client and the server, and keeps what the client sends.
struct Recorder {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<u8>>>,
    /// Cancelled when the client has closed its side and all is recorded.
    closed: CancellationToken,
}

impl Recorder {
    async fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let closed = CancellationToken::new();
        let (to, record, end) = (server.address, sent.clone(), closed.clone());
        tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(to).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let answers = async {
                let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
            };
            let questions = async {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                    record.lock().unwrap().extend_from_slice(&buffer[..count]);
                    if to_server.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
                end.cancel();
                let _ = to_server.shutdown().await;
            };
            tokio::join!(answers, questions);
        });
        Self {
            address,
            sent,
            closed,
        }
    }

    /// The packets up to the new keys, by number, and how many bytes came after
    /// them. From there on everything is encrypted: a user name would be there.
    fn packets(&self) -> (Vec<u8>, usize) {
        const NEWKEYS: u8 = 21;
        let sent = self.sent.lock().unwrap();
        let end_of_version = sent.windows(2).position(|end| end == b"\r\n").unwrap() + 2;
        let mut rest = &sent[end_of_version..];
        let mut packets = Vec::new();
        while packets.last() != Some(&NEWKEYS) && rest.len() > 5 {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            packets.push(rest[5]);
            rest = &rest[4 + length..];
        }
        (packets, rest.len())
    }
}

/// Hands each question to the test, which answers it.
struct Asked {
    questions: mpsc::Sender<(HostKeyQuestion, oneshot::Sender<HostKeyDecision>)>,
    count: AtomicUsize,
}

impl Asked {
    fn new() -> (
        Arc<Self>,
        mpsc::Receiver<(HostKeyQuestion, oneshot::Sender<HostKeyDecision>)>,
    ) {
        let (questions, inbox) = mpsc::channel(64);
        let count = AtomicUsize::new(0);
        (Arc::new(Self { questions, count }), inbox)
    }
}

impl Prompter for Asked {
    fn verify_host_key(
        &self,
        question: HostKeyQuestion,
    ) -> BoxFuture<'_, Result<HostKeyDecision, PromptFailure>> {
        Box::pin(async move {
            self.count.fetch_add(1, Ordering::SeqCst);
            let (answer, wait) = oneshot::channel();
            let _ = self.questions.send((question, answer)).await;
            wait.await.map_err(|_| PromptFailure::HostGone)
        })
    }

    fn answer(&self, _: PromptQuestion) -> BoxFuture<'_, Result<Answers, PromptFailure>> {
        Box::pin(std::future::pending())
    }
}

fn text(key: &PrivateKey) -> String {
    key.public_key().to_openssh().unwrap()
}

/// A certificate for "cluster" that ends at this time.
fn certificate(authority: &PrivateKey, host: &PrivateKey, until: u64) -> Certificate {
    let mut rng = russh::keys::key::safe_rng();
    let mut builder =
        Builder::new_with_random_nonce(&mut rng, host.public_key(), 0, until).unwrap();
    builder.cert_type(CertType::Host).unwrap();
    builder.key_id("id").unwrap();
    builder.valid_principal("cluster").unwrap();
    builder.sign(authority).unwrap()
}

/// A hop that knows its host as "cluster", from a file with these lines.
fn hop_with(fixture: &Fixture, address: SocketAddr, lines: &str) -> Target {
    let file = fixture.directory.path().join("of the hop");
    std::fs::write(&file, lines).unwrap();
    Target::new(vec![Hop {
        auth: AuthMethod::Password,
        password: Some("secret".into()),
        known_hosts: KnownHostsFiles {
            alias: Some("Cluster".into()),
            user: Some(vec![file]),
            global: Some(vec![]),
        },
        ..Hop::new("127.0.0.1", address.port(), "canary")
    }])
}

const KEX_ONLY: [u8; 3] = [20, 30, 21];

#[tokio::test]
async fn not_even_a_user_name_leaves_before_the_verdict() {
    let (authority, host, other) = (random_key(), random_key(), random_key());
    let plain = || Server::start_with_key(Script::default(), host.clone());
    let certified = |until| {
        let script = Script {
            certificates: vec![certificate(&authority, &host, until)],
            ..Script::default()
        };
        Server::start_with_key(script, host.clone())
    };
    let changed = format!("cluster {}\n", text(&other));
    let revoked = format!("@revoked * {0}\ncluster {0}\n", text(&host));
    let ca = format!("@cert-authority cluster {}\n", text(&authority));
    let ca_revoked = format!("{ca}@revoked * {}\n", text(&authority));
    let strict = String::new();
    let known = format!("cluster {}\n", text(&host));
    for (what, lines, policy, until) in [
        ("changed", &changed, HostKeyPolicy::AcceptNew, None),
        ("revoked", &revoked, HostKeyPolicy::Ask, None),
        ("unknown", &strict, HostKeyPolicy::Strict, None),
        ("expired", &ca, HostKeyPolicy::AcceptNew, Some(1)),
        ("authority", &ca_revoked, HostKeyPolicy::Ask, Some(u64::MAX)),
        ("known", &known, HostKeyPolicy::Ask, None),
        ("certified", &ca, HostKeyPolicy::Strict, Some(u64::MAX)),
    ] {
        for run in 0..100 {
            let fixture = Fixture::new();
            let mut server = match until {
                None => plain().await,
                Some(until) => certified(until).await,
            };
            let recorder = Recorder::before(&server).await;
            let mut target = hop_with(&fixture, recorder.address, lines);
            target.hops[0].host_key_policy = policy;
            let result = soon(fixture.connect(&target)).await;
            if matches!(what, "known" | "certified") {
                // The test sees it when there is something to see.
                result.unwrap();
                let (packets, after) = recorder.packets();
                assert_eq!(packets, KEX_ONLY, "{what} {run}");
                assert!(after > 0, "{what} {run}");
                continue;
            }
            soon(recorder.closed.cancelled()).await;
            let (packets, after) = recorder.packets();
            // The last of them may have been overtaken by the end.
            assert!(KEX_ONLY.starts_with(&packets), "{what} {run} {packets:?}");
            let cause = result.unwrap_err().cause;
            let expected = match what {
                "changed" => matches!(cause, Cause::HostKeyChanged { .. }),
                "expired" => matches!(cause, Cause::HostCertificateInvalid { .. }),
                "unknown" => matches!(cause, Cause::HostKeyUnknown { .. }),
                _ => matches!(cause, Cause::HostKeyRevoked { .. }),
            };
            assert!(expected, "{what} {cause:?}");
            assert_eq!(after, 0, "{what} {run}");
            assert_eq!(server.events_so_far(), [], "{what} {run}");
        }
    }
}

#[tokio::test]
async fn not_even_a_user_name_leaves_while_a_person_thinks() {
    for run in 0..100 {
        let fixture = Fixture::new();
        let mut server = Server::start(Script::default()).await;
        let recorder = Recorder::before(&server).await;
        let target = hop_with(&fixture, recorder.address, "");
        let (prompter, mut inbox) = Asked::new();
        let connecting = fixture.connect_asking(&target, prompter.clone());
        let thinking = async {
            let (question, answer) = inbox.recv().await.unwrap();
            assert_eq!(question.key.key_type, "ssh-ed25519");
            // The new keys have arrived here, so ours are on their way; whatever
            // is sent after them would be too.
            tokio::time::sleep(Duration::from_millis(2)).await;
            let (packets, after) = recorder.packets();
            assert!(KEX_ONLY.starts_with(&packets), "{run} {packets:?}");
            assert_eq!(after, 0, "{run}");
            let decision = if run % 2 == 0 {
                HostKeyDecision::Reject
            } else {
                HostKeyDecision::AcceptOnce
            };
            answer.send(decision).unwrap();
        };
        let (result, ()) = soon(async { tokio::join!(connecting, thinking) }).await;
        if run % 2 == 0 {
            let cause = result.unwrap_err().cause;
            soon(recorder.closed.cancelled()).await;
            let (_, after) = recorder.packets();
            assert!(matches!(cause, Cause::HostKeyRejected { .. }), "{cause:?}");
            assert_eq!(after, 0, "{run}");
            assert_eq!(server.events_so_far(), [], "{run}");
        } else {
            result.unwrap();
            let (packets, after) = recorder.packets();
            assert_eq!(packets, KEX_ONLY);
            assert!(after > 0, "{run}");
        }
    }
}

/// The certificate is of nobody's whom we know: its key is what is asked about.
#[tokio::test]
async fn fifty_connects_under_an_alias_ask_once() {
    let (authority, host) = (random_key(), random_key());
    let fixture = Fixture::new();
    let script = Script {
        certificates: vec![certificate(&authority, &host, u64::MAX)],
        ..Script::default()
    };
    let server = Server::start_with_key(script, host.clone()).await;
    let target = hop_with(&fixture, server.address, "");
    let (prompter, mut inbox) = Asked::new();
    let all = (0..50).map(|_| fixture.connect_asking(&target, prompter.clone()));
    let answering = async {
        let (question, answer) = inbox.recv().await.unwrap();
        // Everybody is waiting for it.
        while server.connections.load(Ordering::SeqCst) < 50 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        answer.send(HostKeyDecision::Accept).unwrap();
        question
    };
    let (sessions, question) =
        soon(async { tokio::join!(futures_util::future::join_all(all), answering) }).await;
    for session in sessions {
        session.unwrap();
    }
    assert_eq!(prompter.count.load(Ordering::SeqCst), 1);
    assert_eq!(question.reason, HostKeyReason::NeverSeen);
    let recorded = std::fs::read_to_string(&fixture.environment.own_known_hosts).unwrap();
    assert_eq!(recorded.lines().count(), 1);
    // It is recorded under the alias, whatever the port.
    let mut elsewhere = target.clone();
    elsewhere.hops[0].host_key_policy = HostKeyPolicy::Strict;
    soon(fixture.connect(&elsewhere)).await.unwrap();
    elsewhere.hops[0].known_hosts.alias = None;
    let cause = soon(fixture.connect(&elsewhere)).await.unwrap_err().cause;
    assert!(matches!(cause, Cause::HostKeyUnknown { .. }), "{cause:?}");
}

#[tokio::test]
async fn a_forged_certificate_is_refused_even_for_a_known_key() {
    let (authority, host) = (random_key(), random_key());
    let fixture = Fixture::new();
    let mut bytes = certificate(&authority, &host, u64::MAX).to_bytes().unwrap();
    let at = bytes
        .windows(7)
        .position(|part| part == b"cluster")
        .unwrap();
    bytes[at] = b'k';
    let script = Script {
        certificates: vec![Certificate::from_bytes(&bytes).unwrap()],
        ..Script::default()
    };
    let server = Server::start_with_key(script, host.clone()).await;
    let lines = format!("cluster {}\n", text(&host));
    let target = hop_with(&fixture, server.address, &lines);
    let cause = soon(fixture.connect(&target)).await.unwrap_err().cause;
    let Cause::HostCertificateInvalid { certificate } = cause else {
        panic!("{cause:?}");
    };
    assert_eq!(certificate.problem, HostCertificateProblem::BadSignature);
}

/// A server with an RSA key that is too short; `None` without openssl.
pub(super) async fn with_short_key(fixture: &Fixture) -> Option<Server> {
    let file = fixture.directory.path().join("short");
    let made = std::process::Command::new("openssl")
        .args(["genrsa", "-traditional", "-out"])
        .args([file.as_os_str(), "768".as_ref()])
        .output();
    let Ok(made) = made else {
        eprintln!("skipped: no openssl");
        return None;
    };
    assert!(made.status.success(), "{made:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    let key = russh::keys::decode_secret_key(&text, None).unwrap();
    Some(Server::start_with_key(Script::default(), key).await)
}

/// No policy changes that, nor a record.
#[tokio::test]
async fn an_rsa_key_that_can_be_broken_is_refused() {
    let fixture = Fixture::new();
    let Some(server) = with_short_key(&fixture).await else {
        return;
    };
    fixture.trust(&server);
    for policy in [
        HostKeyPolicy::Ask,
        HostKeyPolicy::AcceptNew,
        HostKeyPolicy::Strict,
    ] {
        let mut target = fixture.target(&server);
        target.hops[0].host_key_policy = policy;
        let prompter = Answering::with([]);
        let error = soon(fixture.connect_asking(&target, prompter.clone()))
            .await
            .unwrap_err();
        let Cause::HostKeyTooShort { key } = error.cause else {
            panic!("{error:?}");
        };
        assert_eq!((key.key_type.as_str(), key.bits), ("ssh-rsa", 768));
        assert!(prompter.asked().is_empty());
    }
}
