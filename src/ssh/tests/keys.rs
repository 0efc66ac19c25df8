//! Which keys are offered, and who opens them.

use russh::MethodKind;
use russh::keys::{Algorithm, PrivateKey};

use super::auth::{locked, openssh};
use super::server::{Event, OnChannel, Script, Server, random_key};
use super::*;

/// russh's own agent, with fresh keys.
pub(super) struct TestAgent {
    pub(super) socket: PathBuf,
    pub(super) keys: Vec<PrivateKey>,
}

#[derive(Clone)]
struct Permit;

impl russh::keys::agent::server::Agent for Permit {}

impl TestAgent {
    pub(super) async fn start(fixture: &Fixture, keys: usize) -> Self {
        let socket = fixture.directory.path().join("agent");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let incoming = futures_util::stream::unfold(listener, |listener| async {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        tokio::spawn(russh::keys::agent::server::serve(
            Box::pin(incoming),
            Permit,
        ));
        let keys: Vec<_> = (0..keys).map(|_| random_key()).collect();
        let mut client = russh::keys::agent::client::AgentClient::connect_uds(&socket)
            .await
            .unwrap();
        for key in &keys {
            client.add_identity(key, &[]).await.unwrap();
        }
        // The agent lists its keys in an order of its own.
        let order = client.request_identities().await.unwrap();
        let position = |key: &PrivateKey| {
            order
                .iter()
                .position(|listed| listed.public_key().key_data() == key.public_key().key_data())
        };
        let mut keys = keys;
        keys.sort_by_key(position);
        Self { socket, keys }
    }
}

fn offers(server: &mut Server) -> usize {
    let events = server.events_so_far().into_iter();
    events
        .filter(|event| *event == Event::Auth("publickey offered"))
        .count()
}

#[tokio::test]
async fn a_password_has_its_turn_before_the_server_has_had_enough_of_the_keys() {
    let fixture = Fixture::new();
    let agent = TestAgent::start(&fixture, 10).await;
    let mut server = Server::start(Script {
        methods: vec![MethodKind::PublicKey, MethodKind::Password],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Auto;
    target.hops[0].identity_agent = Some(agent.socket.clone());
    let session = fixture.connect(&target).await.unwrap();
    assert_eq!(session.auth_method(), "password");
    assert_eq!(offers(&mut server), 5);

    // With nobody to ask and nothing stored, the last try is a key's.
    target.hops[0].password = None;
    let error = fixture.connect(&target).await.unwrap_err();
    let Cause::TooManyKeys {
        offered, untried, ..
    } = error.cause
    else {
        panic!("{error:?}");
    };
    assert!(offered >= 6 && offered + untried == 10, "{offered}");
    assert_eq!(offers(&mut server), 6);
}

#[tokio::test]
async fn a_server_that_allows_more_tries_is_shown_more_keys() {
    let fixture = Fixture::new();
    let agent = TestAgent::start(&fixture, 10).await;
    let server = Server::start(Script {
        keys: vec![agent.keys[7].public_key().clone()],
        max_tries: 20,
        password: Some("another"),
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Auto;
    target.hops[0].identity_agent = Some(agent.socket.clone());
    let session = fixture.connect(&target).await.unwrap();
    assert!(session.auth_method().starts_with("publickey (agent: "));
}

#[tokio::test]
async fn a_server_that_allows_two_tries_gets_the_named_key_first() {
    let fixture = Fixture::new();
    let agent = TestAgent::start(&fixture, 10).await;
    let server = Server::start(Script {
        keys: vec![agent.keys[7].public_key().clone()],
        max_tries: 2,
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Agent;
    target.hops[0].identity_agent = Some(agent.socket.clone());
    let error = fixture.connect(&target).await.unwrap_err();
    let Cause::TooManyKeys {
        offered,
        untried,
        tried,
        ..
    } = error.cause
    else {
        panic!("{error:?}");
    };
    assert!(offered >= 2 && offered + untried == 10, "{offered}");
    assert_eq!(tried.len(), offered);

    // Only its public half is at hand.
    let public = agent.keys[7].public_key().to_openssh().unwrap();
    fixture.file("mine.pub", &public);
    for name in ["mine.pub", "mine"] {
        target.hops[0].identity_files = Some(vec![fixture.directory.path().join(name)]);
        let session = fixture.connect(&target).await.unwrap();
        assert!(session.auth_method().starts_with("publickey (agent: "));
    }
}

#[tokio::test]
async fn the_profile_s_key_comes_before_those_of_ssh_config_and_no_default_is_tried() {
    let fixture = Fixture::new();
    let [own, first, second, default] = [(); 4].map(|()| random_key());
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let path = |name, key| fixture.file(name, &openssh(key));
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Auto;
    target.hops[0].password = None;
    target.hops[0].private_key_path = Some(path("own", &own));
    path(".ssh/id_ed25519", &default);
    let tried = |error: Error| {
        let Cause::AuthFailed { tried, .. } = error.cause else {
            panic!("{error:?}");
        };
        let tried = tried.into_iter();
        tried
            .filter(|attempt| attempt.outcome == AuthOutcome::Rejected)
            .map(|attempt| attempt.detail.unwrap_or_default())
            .collect::<Vec<_>>()
    };
    let error = fixture.connect(&target).await.unwrap_err();
    assert_eq!(tried(error), ["~/own"]);

    target.hops[0].identity_files = Some(vec![path("first", &first), path("second", &second)]);
    let error = fixture.connect(&target).await.unwrap_err();
    assert_eq!(tried(error), ["~/own", "~/first", "~/second"]);

    target.hops[0].private_key_path = None;
    target.hops[0].identity_files = None;
    let error = fixture.connect(&target).await.unwrap_err();
    assert_eq!(tried(error), ["~/.ssh/id_ed25519"]);
}

#[tokio::test]
async fn keys_that_the_configuration_leaves_out_are_skipped_with_a_note() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let mut rng = russh::keys::key::safe_rng();
    let rsa = PrivateKey::random(&mut rng, Algorithm::Rsa { hash: None }).unwrap();
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Auto;
    target.hops[0].password = None;
    target.hops[0].identity_files = Some(vec![
        fixture.file("rsa", &openssh(&rsa)),
        fixture.file("ed25519", &openssh(&random_key())),
    ]);
    target.hops[0].algorithms.public_keys = Some(vec!["ssh-rsa".into()]);
    let error = fixture.connect(&target).await.unwrap_err();
    let Cause::AuthFailed { tried, .. } = error.cause else {
        panic!("{error:?}");
    };
    let told: Vec<_> = tried
        .iter()
        .filter(|attempt| attempt.method == "publickey")
        .map(|attempt| format!("{:?} {:?}", attempt.detail, attempt.outcome))
        .collect();
    assert_eq!(
        told,
        [
            "Some(\"agent\") Skipped(\"SSH_AUTH_SOCK is not set\")",
            "Some(\"~/rsa\") Skipped(\"is an RSA key, and PubkeyAcceptedAlgorithms allows only \
             SHA-1 signatures\")",
            "Some(\"~/ed25519\") Skipped(\"is of a kind that PubkeyAcceptedAlgorithms leaves out\")",
        ]
    );
}

#[tokio::test]
async fn the_file_of_a_security_key_is_left_to_the_system_s_ssh() {
    use russh::keys::ssh_key::private::{KeypairData, SkEd25519};
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let plain = random_key();
    let public = plain.public_key().key_data().ed25519().unwrap();
    let public = russh::keys::ssh_key::public::SkEd25519::new(*public, "ssh:");
    let handle = SkEd25519::new(public, 1, vec![7; 64]).unwrap();
    let key = PrivateKey::new(KeypairData::SkEd25519(handle), "").unwrap();
    let file = fixture.file("id_ed25519_sk", &openssh(&key));

    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Auto;
    target.hops[0].password = None;
    target.hops[0].identity_files = Some(vec![file.clone()]);
    let error = fixture.connect(&target).await.unwrap_err();
    let Cause::AuthFailed { tried, .. } = error.cause else {
        panic!("{error:?}");
    };
    let left = AuthOutcome::LeftToSystem(KeyProblem::SecurityKey.to_string());
    let found = tried.iter().find(|attempt| attempt.outcome == left);
    assert_eq!(
        found.and_then(|attempt| attempt.detail.as_deref()),
        Some("~/id_ed25519_sk"),
        "{tried:?}"
    );

    target.hops[0].auth = AuthMethod::PrivateKey;
    target.hops[0].identity_files = None;
    target.hops[0].private_key_path = Some(file);
    let error = fixture.connect(&target).await.unwrap_err();
    assert!(
        matches!(
            error.cause,
            Cause::KeyUnusable {
                problem: KeyProblem::SecurityKey,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_wrong_stored_passphrase_is_asked_for() {
    let key = random_key();
    let fixture = Fixture::new();
    let server = Server::start(Script {
        keys: vec![key.public_key().clone()],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::PrivateKey;
    target.hops[0].private_key_path = Some(fixture.file("key", &locked(&key, "open sesame")));
    target.hops[0].passphrase = Some("old".into());
    let prompter = Answering::with([Ok(vec!["open sesame"])]);
    let session = fixture
        .connect_asking(&target, prompter.clone())
        .await
        .unwrap();
    assert!(!session.logged_in_silently());
    // The stored one was the first attempt.
    assert_eq!(prompter.asked()[0].attempt, 2);

    // No passphrase means to go on without this key.
    let prompter = Answering::with([Ok(vec![""])]);
    let error = fixture
        .connect_asking(&target, prompter.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(error.cause, Cause::KeyUnusable { .. }),
        "{error:?}"
    );
    assert_eq!(prompter.asked().len(), 1);
}

/// A bastion and a machine behind it, both of which take the same locked key.
async fn two_hops(fixture: &Fixture, key: &PrivateKey) -> (Server, Server, Target) {
    let script = |channel| Script {
        keys: vec![key.public_key().clone()],
        channel,
        ..Script::default()
    };
    let bastion = Server::start(script(OnChannel::Forward)).await;
    let machine = Server::start(script(OnChannel::Echo)).await;
    fixture.trust(&bastion);
    fixture.trust(&machine);
    let path = fixture.file("key", &locked(key, "open sesame"));
    let mut target = Target::new(vec![hop(&bastion), hop(&machine)]);
    for hop in &mut target.hops {
        hop.auth = AuthMethod::PrivateKey;
        hop.private_key_path = Some(path.clone());
    }
    (bastion, machine, target)
}

#[tokio::test]
async fn one_passphrase_opens_a_key_for_all_hops_of_a_connect_and_then_it_is_gone() {
    let key = random_key();
    let fixture = Fixture::new();
    let (_bastion, _machine, target) = two_hops(&fixture, &key).await;
    let prompter = Answering::with([Ok(vec!["open sesame"]), Ok(vec!["open sesame"])]);
    let session = soon(fixture.connect_asking(&target, prompter.clone()))
        .await
        .unwrap();
    assert!(!session.logged_in_silently());
    assert_eq!(prompter.asked().len(), 1);

    // Nothing is remembered after the connect: the next one asks again.
    soon(fixture.connect_asking(&target, prompter.clone()))
        .await
        .unwrap();
    assert_eq!(prompter.asked().len(), 2);

    let pool = Pool::new(fixture.environment.clone());
    let prompter = Answering::with([Ok(vec!["open sesame"])]);
    let patience = Duration::from_secs(10);
    soon(pool.session(&target, prompter.clone(), patience))
        .await
        .unwrap();
    assert_eq!(prompter.asked().len(), 1);
    pool.shutdown().await;
}

/// Answers only when it is told to.
struct Waiting {
    asked: tokio::sync::mpsc::Sender<PromptQuestion>,
    go: tokio::sync::watch::Receiver<Option<&'static str>>,
}

impl Prompter for Waiting {
    fn verify_host_key(
        &self,
        _: HostKeyQuestion,
    ) -> BoxFuture<'_, Result<HostKeyDecision, PromptFailure>> {
        Box::pin(std::future::ready(Ok(HostKeyDecision::Accept)))
    }

    fn answer(&self, question: PromptQuestion) -> BoxFuture<'_, Result<Answers, PromptFailure>> {
        let mut go = self.go.clone();
        self.asked.try_send(question).unwrap();
        Box::pin(async move {
            let answer = go.wait_for(Option::is_some).await.unwrap().unwrap();
            Ok(vec![answer.into()])
        })
    }
}

#[tokio::test]
async fn connects_that_need_the_same_key_wait_for_one_answer() {
    let key = random_key();
    let fixture = Fixture::new();
    let script = || Script {
        keys: vec![key.public_key().clone()],
        ..Script::default()
    };
    let mut servers = [Server::start(script()).await, Server::start(script()).await];
    let path = fixture.file("key", &locked(&key, "open sesame"));
    let (sender, mut asked) = tokio::sync::mpsc::channel(8);
    let (go, wait) = tokio::sync::watch::channel(None);
    let prompter = Arc::new(Waiting {
        asked: sender,
        go: wait,
    });
    let mut connects = tokio::task::JoinSet::new();
    for server in &servers {
        fixture.trust(server);
        let mut target = fixture.target(server);
        target.hops[0].auth = AuthMethod::PrivateKey;
        target.hops[0].private_key_path = Some(path.clone());
        let (environment, prompter) = (fixture.environment.clone(), prompter.clone());
        connects.spawn(async move {
            connect(&target, environment, prompter, Arc::new(NoObserver)).await
        });
    }
    // Both servers would take the key, and one question is open.
    for server in &mut servers {
        soon(server.wait_for(&Event::Auth("publickey offered"))).await;
    }
    soon(asked.recv()).await.unwrap();
    go.send_replace(Some("open sesame"));
    while let Some(session) = soon(connects.join_next()).await {
        session.unwrap().unwrap();
    }
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn two_keys_are_signed_with_when_the_server_wants_two() {
    let [one, two] = [random_key(), random_key()];
    let fixture = Fixture::new();
    let server = Server::start(Script {
        keys: vec![one.public_key().clone(), two.public_key().clone()],
        two_factors: true,
        same_method_again: true,
        methods: vec![MethodKind::PublicKey],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Auto;
    target.hops[0].identity_files = Some(vec![
        fixture.file("one", &locked(&one, "open sesame")),
        fixture.file("two", &openssh(&two)),
    ]);
    let prompter = Answering::with([Ok(vec!["open sesame"])]);
    let session = fixture
        .connect_asking(&target, prompter.clone())
        .await
        .unwrap();
    assert_eq!(
        session.auth_method(),
        "publickey (~/one) + publickey (~/two)"
    );

    // With one key only, it is tried again and signs again, and nobody is asked twice.
    target.hops[0].identity_files = Some(vec![fixture.directory.path().join("one")]);
    let prompter = Answering::with([Ok(vec!["open sesame"])]);
    let session = fixture
        .connect_asking(&target, prompter.clone())
        .await
        .unwrap();
    assert_eq!(
        session.auth_method(),
        "publickey (~/one) + publickey (~/one)"
    );
    assert_eq!(prompter.asked().len(), 1);
}

#[tokio::test]
async fn a_broken_agent_is_noted_and_the_login_goes_on() {
    use tokio::io::AsyncWriteExt as _;
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    // Each answers every connection with this, and hangs up.
    for (name, answer) in [
        ("closing", &b""[..]),
        ("refusing", b"\0\0\0\x01\x05\0\0\0\x01\x05"),
        ("cut", b"\0\0\0\x01\x05\0\0\0\x09\x0c\0\0\0\xff\0\0\0\0"),
        ("endless", b"\0\0\0\x01\x05\xff\xff\xff\xff\x0c"),
    ] {
        let socket = fixture.directory.path().join(name);
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(answer).await;
            }
        });
        let mut target = fixture.target(&server);
        target.hops[0].auth = AuthMethod::Auto;
        target.hops[0].identity_agent = Some(socket);
        let session = soon(fixture.connect(&target)).await.unwrap();
        assert_eq!(session.auth_method(), "password", "{name}");

        target.hops[0].auth = AuthMethod::Agent;
        let error = soon(fixture.connect(&target)).await.unwrap_err();
        assert!(
            matches!(
                error.cause,
                Cause::NoAgent {
                    problem: AgentProblem::Broken(_)
                }
            ),
            "{name}: {error:?}"
        );
    }
}
