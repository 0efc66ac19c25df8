//! Host keys and logins.

use russh::MethodKind;
use russh::keys::{PrivateKey, ssh_key};

use super::server::{Event, Script, Server, random_key};
use super::*;

pub(super) fn openssh(key: &PrivateKey) -> String {
    key.to_openssh(ssh_key::LineEnding::LF).unwrap().to_string()
}

pub(super) fn locked(key: &PrivateKey, passphrase: &str) -> String {
    let mut rng = russh::keys::key::safe_rng();
    openssh(&key.encrypt(&mut rng, passphrase).unwrap())
}

#[tokio::test]
async fn the_stages_are_told_as_they_happen() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let recording = Arc::new(Recording::default());
    let session = connect(
        &fixture.target(&server),
        fixture.environment.clone(),
        Arc::new(NoPrompter),
        recording.clone(),
    )
    .await
    .unwrap();
    assert_eq!(session.auth_method(), "password");
    assert!(session.host_key().fingerprint.starts_with("SHA256:"));
    assert!(session.latency().await.unwrap().unwrap() < Duration::from_secs(2));
    assert_eq!(
        recording.told(),
        [
            "0 Resolve started",
            "0 Resolve passed",
            "0 Tcp started",
            "0 Tcp passed",
            "0 SshHandshake started",
            "0 SshHandshake passed",
            "0 HostKey started",
            "0 HostKey passed",
            "0 Auth started",
            "0 Auth passed",
        ]
    );
}

#[tokio::test]
async fn no_credential_leaves_before_the_host_key_is_trusted() {
    let fixture = Fixture::new();
    let mut server = Server::start(Script::default()).await;
    let recording = Arc::new(Recording::default());
    let error = connect(
        &fixture.target(&server),
        fixture.environment.clone(),
        Arc::new(NoPrompter),
        recording.clone(),
    )
    .await
    .unwrap_err();
    let Cause::HostKeyUnknown { key, why, .. } = error.cause else {
        panic!("{error:?}");
    };
    assert_eq!(why, NotTrusted::NoAnswer(PromptFailure::Unsupported));
    assert!(key.fingerprint.starts_with("SHA256:"));
    assert_eq!(recording.told().last().unwrap(), "0 HostKey failed");
    assert_eq!(server.events_so_far(), []);
}

#[tokio::test]
async fn a_changed_key_is_refused_with_both_fingerprints_and_the_line() {
    let fixture = Fixture::new();
    let mut server = Server::start(Script::default()).await;
    let other = random_key();
    let port = server.address.port();
    let file = fixture.file(
        "user",
        &format!(
            "# comment\n[127.0.0.1]:{port} {}\n",
            other.public_key().to_openssh().unwrap()
        ),
    );
    // Whoever would accept anything is not even asked.
    let prompter = Answering::with([]);
    let error = fixture
        .connect_asking(&fixture.target(&server), prompter)
        .await
        .unwrap_err();
    assert!(!error.is_transient());
    let Cause::HostKeyChanged {
        key,
        known,
        remove_command,
    } = error.cause
    else {
        panic!("{error:?}");
    };
    let fingerprint =
        |key: &russh::keys::PublicKey| key.fingerprint(russh::keys::HashAlg::Sha256).to_string();
    assert_eq!(key.fingerprint, fingerprint(&server.host_key));
    assert_eq!(known[0].key.fingerprint, fingerprint(other.public_key()));
    assert_eq!((&known[0].file, known[0].line), (&file, 2));
    assert_eq!(
        remove_command,
        format!("ssh-keygen -f {} -R '[127.0.0.1]:{port}'", file.display())
    );
    assert_eq!(server.events_so_far(), []);
}

#[tokio::test]
async fn a_wrong_password_is_told_with_what_the_server_allows() {
    let fixture = Fixture::new();
    let server = Server::start(Script {
        methods: vec![MethodKind::Password],
        password: Some("other"),
        banner: Some("Authorised\x1b users only"),
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let error = fixture.connect(&fixture.target(&server)).await.unwrap_err();
    assert!(!error.is_transient());
    let Cause::AuthFailed {
        username,
        tried,
        allowed,
        banner,
    } = error.cause
    else {
        panic!("{error:?}");
    };
    assert_eq!(username, "ai");
    assert_eq!(allowed, ["password"]);
    assert_eq!(banner.unwrap(), "Authorised\\u{1b} users only");
    let rejected = |method| AuthAttempt {
        method,
        detail: None,
        outcome: AuthOutcome::Rejected,
    };
    assert_eq!(tried[0], rejected("password"));
}

#[tokio::test]
async fn a_server_that_wants_nothing_gets_nothing() {
    let fixture = Fixture::new();
    let mut server = Server::start(Script {
        none: true,
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let session = fixture.connect(&fixture.target(&server)).await.unwrap();
    assert_eq!(session.auth_method(), "none");
    assert_eq!(server.events_so_far(), [Event::Auth("none")]);
}

#[tokio::test]
async fn a_key_file_logs_in() {
    let key = random_key();
    let fixture = Fixture::new();
    let server = Server::start(Script {
        keys: vec![key.public_key().clone()],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    fixture.file(".ssh/mine", &openssh(&key));
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::PrivateKey;
    target.hops[0].private_key_path = Some("~/.ssh/mine".into());
    let session = fixture.connect(&target).await.unwrap();
    assert_eq!(session.auth_method(), "publickey (~/.ssh/mine)");
    assert!(session.logged_in_silently());
}

#[tokio::test]
async fn a_default_key_is_found_and_other_ways_follow() {
    let (known, unknown) = (random_key(), random_key());
    let fixture = Fixture::new();
    let server = Server::start(Script {
        keys: vec![known.public_key().clone()],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    fixture.file(".ssh/id_ed25519", &openssh(&unknown));
    fixture.file(".ssh/id_ecdsa", &openssh(&known));
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Auto;
    let session = fixture.connect(&target).await.unwrap();
    assert_eq!(session.auth_method(), "publickey (~/.ssh/id_ecdsa)");

    std::fs::remove_file(fixture.directory.path().join(".ssh/id_ecdsa")).unwrap();
    let session = fixture.connect(&target).await.unwrap();
    assert_eq!(session.auth_method(), "password");
}

#[tokio::test]
async fn a_stored_passphrase_opens_the_key() {
    let key = random_key();
    let fixture = Fixture::new();
    let server = Server::start(Script {
        keys: vec![key.public_key().clone()],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let path = fixture.file("key", &locked(&key, "open sesame"));
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::PrivateKey;
    target.hops[0].private_key_path = Some(path);
    target.hops[0].passphrase = Some("open sesame".into());
    fixture.connect(&target).await.unwrap();

    target.hops[0].passphrase = Some("wrong".into());
    let error = fixture.connect(&target).await.unwrap_err();
    assert!(
        matches!(
            error.cause,
            Cause::KeyUnusable {
                problem: KeyProblem::PassphraseWrong,
                ..
            }
        ),
        "{error:?}"
    );

    target.hops[0].passphrase = None;
    let error = fixture.connect(&target).await.unwrap_err();
    assert!(
        matches!(
            error.cause,
            Cause::KeyUnusable {
                problem: KeyProblem::PassphraseNeeded,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_passphrase_is_asked_for_only_when_the_server_would_take_the_key() {
    let key = random_key();
    let fixture = Fixture::new();
    let taking = Server::start(Script {
        keys: vec![key.public_key().clone()],
        ..Script::default()
    })
    .await;
    let refusing = Server::start(Script::default()).await;
    fixture.trust(&taking);
    fixture.trust(&refusing);
    let path = fixture.file("key", &locked(&key, "open sesame"));

    let with_key = |server| {
        let mut target = fixture.target(server);
        target.hops[0].auth = AuthMethod::PrivateKey;
        target.hops[0].private_key_path = Some(path.clone());
        target
    };
    let prompter = Answering::with([Ok(vec!["wrong"]), Ok(vec!["open sesame"])]);
    let session = fixture
        .connect_asking(&with_key(&taking), prompter.clone())
        .await
        .unwrap();
    assert!(!session.logged_in_silently());
    let attempts: Vec<_> = prompter.asked().iter().map(|q| q.attempt).collect();
    assert_eq!(attempts, [1, 2]);
    assert_eq!(
        prompter.asked()[0].kind,
        PromptKind::Passphrase { path: path.clone() }
    );

    let prompter = Answering::with([]);
    let error = fixture
        .connect_asking(&with_key(&refusing), prompter.clone())
        .await
        .unwrap_err();
    assert!(matches!(error.cause, Cause::AuthFailed { .. }), "{error:?}");
    assert!(prompter.asked().is_empty());
}

#[tokio::test]
async fn an_unusable_key_file_is_named_with_its_problem() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Auto;
    target.hops[0].password = None;
    target.hops[0].private_key_path = Some("~/missing".into());
    let error = fixture.connect(&target).await.unwrap_err();
    let Cause::KeyUnusable { path, problem } = error.cause else {
        panic!("{error:?}");
    };
    assert_eq!(path, fixture.directory.path().join("missing"));
    assert!(matches!(problem, KeyProblem::Unreadable(_)));
}

#[tokio::test]
async fn a_password_is_asked_for_when_the_server_s_own_dialogue_asked_nothing() {
    let fixture = Fixture::new();
    let server = Server::start(Script {
        methods: vec![MethodKind::KeyboardInteractive, MethodKind::Password],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Auto;
    target.hops[0].password = None;
    let prompter = Answering::with([Ok(vec!["secret"])]);
    let session = fixture
        .connect_asking(&target, prompter.clone())
        .await
        .unwrap();
    assert_eq!(session.auth_method(), "password");
    assert_eq!(prompter.asked()[0].kind, PromptKind::Password);
}

#[tokio::test]
async fn two_factors_are_chained() {
    let key = random_key();
    let fixture = Fixture::new();
    let server = Server::start(Script {
        keys: vec![key.public_key().clone()],
        two_factors: true,
        dialogue: vec![vec![("Verification code: ", true, "123456")]],
        methods: vec![MethodKind::PublicKey, MethodKind::KeyboardInteractive],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let path = fixture.file("key", &openssh(&key));
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::PrivateKey;
    target.hops[0].private_key_path = Some(path);
    let prompter = Answering::with([Ok(vec!["123456"])]);
    let session = fixture
        .connect_asking(&target, prompter.clone())
        .await
        .unwrap();
    assert_eq!(
        session.auth_method(),
        "publickey (~/key) + keyboard-interactive"
    );
    assert!(!session.logged_in_silently());
    let question = &prompter.asked()[0];
    assert_eq!(question.kind, PromptKind::KeyboardInteractive);
    assert_eq!(question.name, "Title\\u{1b}[0m");
    assert_eq!(
        question.prompts,
        [Prompt {
            text: "Verification code: ".into(),
            echo: true
        }]
    );
}

#[tokio::test]
async fn the_stored_password_answers_one_hidden_question_once() {
    let fixture = Fixture::new();
    let mut server = Server::start(Script {
        methods: vec![MethodKind::KeyboardInteractive],
        dialogue: vec![
            vec![("Password: ", false, "secret")],
            vec![("One-time token: ", false, "42")],
        ],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let prompter = Answering::with([Ok(vec!["42"])]);
    fixture
        .connect_asking(&fixture.target(&server), prompter.clone())
        .await
        .unwrap();
    assert_eq!(prompter.asked().len(), 1);
    assert_eq!(prompter.asked()[0].prompts[0].text, "One-time token: ");
    server.events_so_far();

    // Without anybody to ask, a dialogue that wants more just fails.
    let error = fixture.connect(&fixture.target(&server)).await.unwrap_err();
    assert!(matches!(error.cause, Cause::AuthFailed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_cancelled_question_ends_the_connect() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].password = None;
    let prompter = Answering::with([Err(PromptFailure::Cancelled)]);
    let error = fixture.connect_asking(&target, prompter).await.unwrap_err();
    assert!(
        matches!(
            error.cause,
            Cause::Unanswerable {
                kind: PromptKind::Password,
                failure: PromptFailure::Cancelled,
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_missing_agent_is_an_error_only_when_it_was_chosen() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Agent;
    let error = fixture.connect(&target).await.unwrap_err();
    assert!(
        matches!(
            error.cause,
            Cause::NoAgent {
                problem: AgentProblem::NoSocket
            }
        ),
        "{error:?}"
    );
    target.hops[0].auth = AuthMethod::Auto;
    let session = fixture.connect(&target).await.unwrap();
    assert_eq!(session.auth_method(), "password");
}

#[tokio::test]
async fn something_else_than_an_ssh_server_is_told_by_its_first_words() {
    use tokio::io::AsyncWriteExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    });
    let fixture = Fixture::new();
    let target = Target::new(vec![Hop::new("127.0.0.1", port, "ai")]);
    let error = fixture.connect(&target).await.unwrap_err();
    let Cause::NotSsh { said } = error.cause else {
        panic!("{error:?}");
    };
    assert_eq!(said, "HTTP/1.1 400 Bad Request");
}

#[tokio::test]
async fn a_closed_port_and_a_hung_up_connection_are_told_apart() {
    let fixture = Fixture::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = Target::new(vec![Hop::new("127.0.0.1", port, "ai")]);
    let hang_up = async {
        drop(listener.accept().await.unwrap());
    };
    let (result, ()) = tokio::join!(fixture.connect(&target), hang_up);
    let error = result.unwrap_err();
    assert!(
        matches!(error.cause, Cause::HandshakeClosed { said: None }),
        "{error:?}"
    );
    drop(listener);
    let error = fixture.connect(&target).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Refused { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_does_not_hold_us_up() {
    let fixture = Fixture::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = Target::new(vec![Hop::new("127.0.0.1", port, "ai")]);
    let error = fixture.connect(&target).await.unwrap_err();
    assert!(
        matches!(
            error.cause,
            Cause::HandshakeTimeout { .. } | Cause::Unanswered { .. }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_unreadable_known_hosts_file_is_never_ignored() {
    let fixture = Fixture::new();
    let server = Server::start(Script::default()).await;
    std::fs::create_dir(fixture.directory.path().join("user")).unwrap();
    let recording = Arc::new(Recording::default());
    let error = connect(
        &fixture.target(&server),
        fixture.environment.clone(),
        Answering::with([]),
        recording.clone(),
    )
    .await
    .unwrap_err();
    assert_eq!(recording.told().last().unwrap(), "0 HostKey failed");
    assert!(
        matches!(error.cause, Cause::KnownHostsUnreadable { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn no_error_says_what_the_host_takes_for_its_own_login() {
    let fixture = Fixture::new();
    let server = Server::start(Script {
        password: None,
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let error = fixture.connect(&fixture.target(&server)).await.unwrap_err();
    let text = format!("{error} {error:?}").to_lowercase();
    for words in [
        "failed to authenticate",
        "not logged in",
        "token expired",
        "secret",
    ] {
        assert!(!text.contains(words), "{text}");
    }
}
