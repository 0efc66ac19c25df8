//! The Secret Service, served by a test: as a person sits there who unlocks it, refuses, or is
//! away, and as nobody would serve it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::super::SecretService;
use super::*;
use crate::config::keychain::{Entries as _, KeychainProblem};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Person {
    Unlocks,
    Refuses,
    IsAway,
}

/// What the service has, and who sits there.
#[derive(Debug, Clone)]
struct Desk {
    person: Person,
    locked: bool,
    /// Whether there is a place for new entries.
    has_collection: bool,
    secret: Option<String>,
    /// What it was asked, by name.
    asked: Vec<String>,
}

impl Desk {
    fn locked(person: Person) -> Self {
        Self {
            person,
            locked: true,
            has_collection: true,
            secret: Some("kept".into()),
            asked: Vec::new(),
        }
    }
}

struct Session {
    desk: Arc<Mutex<Desk>>,
    service: SecretService,
    /// Ends when the client has gone.
    serving: JoinHandle<()>,
    _folder: TempDir,
}

fn service_at(path: PathBuf) -> SecretService {
    SecretService {
        places: Places {
            addresses: vec![Address::Path(path)],
        },
        answer: Duration::from_secs(5),
        person: Duration::from_millis(100),
    }
}

/// A bus of one service and of one conversation.
fn session(desk: Desk) -> Session {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    let desk = Arc::new(Mutex::new(desk));
    let shared = Arc::clone(&desk);
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let greeting = line(&mut stream).await.unwrap();
        assert!(greeting.starts_with(b"\0AUTH EXTERNAL "), "{greeting:?}");
        stream.write_all(b"OK 0123\r\n").await.unwrap();
        assert_eq!(line(&mut stream).await.unwrap(), b"BEGIN\r");
        while let Some((serial, header)) = next_call(&mut stream).await {
            let answers = answer(&mut shared.lock().unwrap(), serial, &header.member);
            for bytes in answers {
                stream.write_all(&bytes).await.unwrap();
            }
        }
    });
    Session {
        desk,
        service: service_at(path),
        serving,
        _folder: folder,
    }
}

async fn next_call(stream: &mut UnixStream) -> Option<(u32, Header)> {
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await.ok()?;
    let mut message = vec![0; HEAD + message::rest(&head).unwrap()];
    message[..HEAD].copy_from_slice(&head);
    stream.read_exact(&mut message[HEAD..]).await.ok()?;
    let serial = u32::from_ne_bytes(head[8..12].try_into().unwrap());
    Some((serial, message::parse(&message).unwrap().0))
}

fn answer(desk: &mut Desk, serial: u32, member: &str) -> Vec<Vec<u8>> {
    desk.asked.push(member.to_owned());
    let reply = |signature: &str, fill: &dyn Fn(&mut Writer)| {
        vec![message(2, Some(serial), None, signature, fill)]
    };
    let items: &[&str] = match desk.secret {
        Some(_) if !desk.locked => &["/item"],
        _ => &[],
    };
    match member {
        "Hello" => reply("s", &|w| {
            w.text(":1.7");
        }),
        "OpenSession" => reply("vo", &|w| {
            w.signature("s").text("").text("/session");
        }),
        "ReadAlias" if desk.has_collection => reply("o", &|w| {
            w.text("/default");
        }),
        "ReadAlias" => reply("o", &|w| {
            w.text("/");
        }),
        "Get" => reply("v", &|w| {
            w.signature("b").truth(desk.locked);
        }),
        "SearchItems" => reply("aoao", &|w| {
            w.array(4, |w| {
                for item in items {
                    w.text(item);
                }
            });
            w.array(4, |_| {});
        }),
        "Unlock" => reply("aoo", &|w| {
            w.array(4, |_| {}).text("/prompt");
        }),
        "CreateCollection" | "CreateItem" => reply("oo", &|w| {
            w.text("/").text("/prompt");
        }),
        "GetSecret" => reply("(oayays)", &|w| {
            let secret = desk.secret.as_deref().unwrap_or_default();
            w.structure()
                .text("/session")
                .bytes(b"")
                .bytes(secret.as_bytes())
                .text("text/plain");
        }),
        "Prompt" => {
            let mut messages = reply("", &|_| {});
            if desk.person != Person::IsAway {
                let refuses = desk.person == Person::Refuses;
                desk.locked &= refuses;
                desk.has_collection |= !refuses;
                // It may well come before the reply.
                messages.insert(
                    0,
                    message(4, None, Some("Completed"), "bv", &|w| {
                        w.truth(refuses).signature("s").text("");
                    }),
                );
            }
            messages
        }
        _ => reply("", &|_| {}),
    }
}

/// A message of the bus.
fn message(
    kind: u8,
    reply_to: Option<u32>,
    member: Option<&str>,
    signature: &str,
    fill: &dyn Fn(&mut Writer),
) -> Vec<u8> {
    let mut body = Writer::default();
    fill(&mut body);
    let mut message = Writer::default();
    let endian = if cfg!(target_endian = "little") {
        b'l'
    } else {
        b'B'
    };
    message.byte(endian).byte(kind).byte(0).byte(1);
    message.number(body.len().try_into().unwrap()).number(1);
    message.array(8, |fields| {
        if let Some(serial) = reply_to {
            fields.structure().byte(5).signature("u").number(serial);
        }
        if let Some(member) = member {
            fields.structure().byte(1).signature("o").text("/prompt");
            let interface = "org.freedesktop.Secret.Prompt";
            fields.structure().byte(2).signature("s").text(interface);
            fields.structure().byte(3).signature("s").text(member);
        }
        fields
            .structure()
            .byte(8)
            .signature("g")
            .signature(signature);
    });
    message.align(8).append(&body.into_bytes());
    message.into_bytes().to_vec()
}

#[tokio::test]
async fn what_a_locked_store_hides_is_there_once_a_person_unlocked_it() {
    use secrecy::ExposeSecret as _;
    let session = session(Desk::locked(Person::Unlocks));
    let secret = session.service.get("vault-1").await.unwrap().unwrap();
    assert_eq!(secret.expose_secret(), "kept");
}

#[tokio::test]
async fn a_person_who_refuses_or_is_away_leaves_it_locked_and_not_lost() {
    let refused = session(Desk::locked(Person::Refuses));
    let problem = refused.service.get("vault-1").await.unwrap_err();
    assert_eq!(problem, KeychainProblem::Refused);

    let away = session(Desk::locked(Person::IsAway));
    let began = Instant::now();
    let problem = away.service.get("vault-1").await.unwrap_err();
    assert_eq!(problem, KeychainProblem::TimedOut);
    assert!(began.elapsed() >= Duration::from_millis(100));
    // Whoever was asked is not asked any more: the connection is gone.
    away.serving.await.unwrap();
}

#[tokio::test]
async fn an_entry_is_missing_only_where_the_store_is_open() {
    let mut desk = Desk::locked(Person::Unlocks);
    desk.secret = None;
    let open = session(desk);
    assert!(open.service.get("vault-1").await.unwrap().is_none());
    let asked = open.desk.lock().unwrap().asked.clone();
    assert_eq!(asked.iter().filter(|asked| *asked == "Prompt").count(), 1);
}

#[tokio::test]
async fn whoever_never_kept_a_secret_is_asked_for_a_place_first() {
    let mut desk = Desk::locked(Person::Unlocks);
    desk.has_collection = false;
    let new = session(desk);
    new.service.add("vault-1", &"key".into()).await.unwrap();
    let asked = new.desk.lock().unwrap().asked.clone();
    let place = |name: &str| asked.iter().position(|asked| asked == name).unwrap();
    assert!(place("CreateCollection") < place("CreateItem"), "{asked:?}");

    let mut desk = Desk::locked(Person::Refuses);
    desk.has_collection = false;
    let refused = session(desk);
    let problem = refused
        .service
        .add("vault-1", &"key".into())
        .await
        .unwrap_err();
    assert_eq!(problem, KeychainProblem::Refused);
}

#[tokio::test]
async fn what_is_no_bus_is_a_store_that_is_not_there() {
    for greeting in [
        &b"REJECTED\r\n"[..],
        b"OK 1\r\nnonsense nonsense",
        b"",
        &[b'x'; 4096],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus");
        let listener = UnixListener::bind(&path).unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = line(&mut stream).await;
            let _ = stream.write_all(greeting).await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let problem = service_at(path).get("vault-1").await.unwrap_err();
        let unavailable = matches!(problem, KeychainProblem::Unavailable { .. });
        assert!(unavailable, "{problem}");
        serving.await.unwrap();
    }
}

#[test]
fn errors_of_the_bus_and_of_the_service_are_told_apart() {
    let of = |name: &str| KeychainProblem::from(Failure::Error(name.to_owned()));
    for name in ["ServiceUnknown", "NoReply", "Spawn.ChildExited"] {
        let problem = of(&format!("org.freedesktop.DBus.Error.{name}"));
        assert!(
            matches!(problem, KeychainProblem::Unavailable { .. }),
            "{problem}"
        );
    }
    assert_eq!(
        of("org.freedesktop.Secret.Error.IsLocked"),
        KeychainProblem::Refused
    );
    let long = of(&"x\u{1b}".repeat(1000));
    let KeychainProblem::Failed { reason } = long else {
        panic!("{long}");
    };
    assert!(
        reason.len() <= 300 && !reason.contains('\u{1b}'),
        "{reason}"
    );
}

proptest! {
    #[test]
    fn no_bytes_of_a_bus_break_anything(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0..400_usize,
        byte: u8,
    ) {
        fuzzing::bus(&bytes);
        // One byte of a message that is right.
        let mut right = message(2, Some(1), Some("Completed"), "(oayays)", &|w| {
            w.structure().text("/session").bytes(b"").bytes(b"secret").text("text/plain");
        });
        let at = at % right.len();
        right[at] = byte;
        fuzzing::bus(&right);
    }
}
