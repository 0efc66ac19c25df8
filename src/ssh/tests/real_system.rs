//! The system's `ssh` as the transport, against OpenSSH's sshd. Run like `real`.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::real::{Real, echo_server, free_port, round_trip, run};
use super::*;

/// A server, and an environment in which `ssh` is found.
async fn system(extra: &str) -> Real {
    let mut real = Real::sshd(extra).await;
    real.fixture.environment = Arc::new(Environment {
        ssh_program: Some("/usr/bin/ssh".into()),
        temporary: real.fixture.directory.path().to_owned(),
        ..(*real.fixture.environment).clone()
    });
    real
}

fn through_system(real: &Real, key: &str) -> Target {
    let mut target = real.target(key);
    target.transport = Transport::System;
    target
}

async fn fails(real: &Real, target: &Target) -> (SystemProblem, String) {
    let error = soon(real.fixture.connect(target)).await.unwrap_err();
    match error.cause {
        Cause::SystemSsh { problem, said } => (problem, said),
        cause => panic!("{cause:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd and root"]
async fn streams_share_one_sign_in_and_end_with_it() {
    let real = system("").await;
    let (echo, mut ends) = echo_server().await;
    let recording = Arc::new(Recording::default());
    let session = soon(connect(
        &through_system(&real, "key"),
        real.fixture.environment.clone(),
        Arc::new(NoPrompter),
        recording.clone(),
    ))
    .await
    .unwrap();
    assert_eq!(session.auth_method(), "publickey, by the system's ssh");
    assert_eq!(session.host_key().key_type, "ssh-ed25519");
    assert!(session.host_key().fingerprint.starts_with("SHA256:"));
    assert_eq!(
        recording.told(),
        [
            "0 Resolve skipped",
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
    assert_eq!(session.latency().await.unwrap(), None);

    let mut first = soon(session.open(echo.clone())).await.unwrap();
    let mut second = soon(session.open(echo.clone())).await.unwrap();
    soon(round_trip(&mut first)).await;
    soon(round_trip(&mut second)).await;
    let mut large = vec![7; 3 << 20];
    let sent = large.clone();
    let (mut reading, mut writing) = tokio::io::split(second);
    let send = tokio::spawn(async move {
        writing.write_all(&sent).await.unwrap();
        writing
    });
    soon(reading.read_exact(&mut large)).await.unwrap();
    assert!(large.iter().all(|byte| *byte == 7));
    drop((reading, soon(send).await.unwrap()));
    soon(ends.recv()).await.unwrap();
    let log = real.log();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");

    // What is open when the connection goes is lost, not at its end.
    soon(session.close()).await;
    assert!(!session.is_alive());
    let error = soon(first.read_u8()).await.unwrap_err();
    assert!(
        error.get_ref().is_some_and(|source| source.is::<Lost>()),
        "{error:?}"
    );
    soon(ends.recv()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd and root"]
async fn a_killed_server_is_a_lost_connection() {
    let real = system("").await;
    let (echo, _ends) = echo_server().await;
    let session = soon(real.fixture.connect(&through_system(&real, "key")))
        .await
        .unwrap();
    let mut stream = soon(session.open(echo)).await.unwrap();
    soon(round_trip(&mut stream)).await;
    for child in real.children() {
        run("kill", &["-9", &child]);
    }
    let error = soon(stream.read_u8()).await.unwrap_err();
    assert!(
        error.get_ref().is_some_and(|source| source.is::<Lost>()),
        "{error:?}"
    );
    let cause = soon(session.closed()).await.cause;
    assert!(cause.is_transient(), "{cause:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd and root"]
async fn the_end_of_the_data_is_no_loss() {
    let real = system("").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = Destination::Tcp {
        host: "127.0.0.1".into(),
        port: listener.local_addr().unwrap().port(),
    };
    let session = soon(real.fixture.connect(&through_system(&real, "key")))
        .await
        .unwrap();
    let mut stream = soon(session.open(to)).await.unwrap();
    let (mut peer, _) = soon(listener.accept()).await.unwrap();
    peer.write_all(b"all of it").await.unwrap();
    drop(peer);
    let mut text = String::new();
    soon(stream.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "all of it");
    assert!(session.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd and root"]
async fn refused_streams_say_why() {
    let real = system("").await;
    let session = soon(real.fixture.connect(&through_system(&real, "key")))
        .await
        .unwrap();
    let nothing = Destination::Tcp {
        host: "127.0.0.1".into(),
        port: free_port(),
    };
    let error = soon(session.open(nothing)).await.unwrap_err();
    assert!(
        matches!(error.cause, Cause::DestinationRefused { .. }),
        "{error:?}"
    );

    let real = system("AllowTcpForwarding no").await;
    let session = soon(real.fixture.connect(&through_system(&real, "key")))
        .await
        .unwrap();
    let error = soon(session.open(somewhere())).await.unwrap_err();
    assert!(
        matches!(error.cause, Cause::ForwardingDenied { .. }),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd and root"]
async fn its_words_become_our_errors() {
    let real = system("").await;
    let (problem, said) = fails(&real, &through_system(&real, "stranger")).await;
    assert_eq!(problem, SystemProblem::SignIn);
    assert!(said.contains("Permission denied"), "{said}");

    let mut target = through_system(&real, "key");
    target.hops[0].port = free_port();
    let (problem, said) = fails(&real, &target).await;
    assert_eq!(problem, SystemProblem::Unreachable);
    assert!(said.contains("Connection refused"), "{said}");

    let known = &real.fixture.environment.user_known_hosts[0];
    let other = std::fs::read_to_string(real.fixture.directory.path().join("stranger.pub"));
    std::fs::write(
        known,
        format!("[127.0.0.1]:{} {}", real.port, other.unwrap()),
    )
    .unwrap();
    let (problem, _) = fails(&real, &through_system(&real, "key")).await;
    assert_eq!(problem, SystemProblem::HostKeyChanged);

    std::fs::write(known, "").unwrap();
    let (problem, _) = fails(&real, &through_system(&real, "key")).await;
    assert_eq!(problem, SystemProblem::HostKeyUnknown);

    // With accept-new, the key goes into our own file, not into the user's.
    let mut target = through_system(&real, "key");
    target.hops[0].host_key_policy = HostKeyPolicy::AcceptNew;
    drop(soon(real.fixture.connect(&target)).await.unwrap());
    assert_eq!(std::fs::read_to_string(known).unwrap(), "");
    let own = &real.fixture.environment.own_known_hosts;
    assert!(!std::fs::read_to_string(own).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd and root"]
async fn a_jump_host_is_held_to_the_policy_whatever_ssh_config_says() {
    let bastion = system("").await;
    let real = system("").await;
    let (echo, _ends) = echo_server().await;
    let config = real.fixture.file(
        "home/.ssh/config",
        "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n",
    );
    let known: String = [&real, &bastion]
        .map(|real| std::fs::read_to_string(&real.fixture.environment.user_known_hosts[0]).unwrap())
        .concat();
    let environment = |known: &str| {
        std::fs::write(&real.fixture.environment.user_known_hosts[0], known).unwrap();
        Arc::new(Environment {
            home: Some(real.fixture.directory.path().join("home")),
            local_user: LocalUser {
                home: Some("/elsewhere".into()),
                ..LocalUser::default()
            },
            user_config: Some(config.clone()),
            ..(*real.fixture.environment).clone()
        })
    };
    let mut target = through_system(&real, "key");
    target.hops.insert(0, bastion.target("key").hops[0].clone());

    let go = |known: String| {
        let target = target.clone();
        let environment = environment(&known);
        async move {
            connect(
                &target,
                environment,
                Arc::new(NoPrompter),
                Arc::new(NoObserver),
            )
            .await
        }
    };
    let session = soon(go(known.clone())).await.unwrap();
    let mut stream = soon(session.open(echo)).await.unwrap();
    soon(round_trip(&mut stream)).await;

    let only_the_last = known.lines().next().unwrap().to_owned() + "\n";
    let error = soon(go(only_the_last)).await.unwrap_err();
    assert!(
        matches!(
            error.cause,
            Cause::SystemSsh {
                problem: SystemProblem::HostKeyUnknown,
                ..
            }
        ),
        "{error:?}"
    );
}

/// Starts what `ssh` starts to ask: a script that passes the question on as our binary does.
fn with_askpass(real: &mut Real) {
    let script = real.fixture.file(
        "askpass",
        "#!/usr/bin/env python3\n\
         import os, socket, sys\n\
         s = socket.socket(socket.AF_UNIX)\n\
         s.connect(os.environ['PUFFIN_REMOTE_LLM_ASKPASS'])\n\
         s.sendall(sys.argv[1].encode()); s.shutdown(socket.SHUT_WR)\n\
         answer = s.makefile().read()\n\
         print(answer) if answer else sys.exit(1)\n",
    );
    run("chmod", &["700", script.to_str().unwrap()]);
    real.fixture.environment = Arc::new(Environment {
        own_program: Some(script),
        ..(*real.fixture.environment).clone()
    });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd and root"]
async fn its_questions_reach_the_person_and_saved_answers_come_first() {
    let mut real = system("").await;
    with_askpass(&mut real);
    let target = through_system(&real, "locked");
    let ask = |prompter: Arc<Answering>| {
        let connecting = connect(
            &target,
            real.fixture.environment.clone(),
            prompter.clone(),
            Arc::new(NoObserver),
        );
        async move { (soon(connecting).await, prompter.asked()) }
    };
    let (session, asked) = ask(Answering::with([
        Ok(vec!["wrong"]),
        Ok(vec!["open sesame"]),
    ]))
    .await;
    assert!(!session.unwrap().logged_in_silently());
    let attempts: Vec<_> = asked.iter().map(|question| question.attempt).collect();
    assert_eq!(attempts, [1, 2]);
    assert_eq!(
        asked[0].kind,
        PromptKind::Passphrase {
            path: real.fixture.directory.path().join("locked")
        }
    );

    let (refused, asked) = ask(Answering::with([Err(PromptFailure::Cancelled)])).await;
    assert!(
        matches!(
            refused.unwrap_err().cause,
            Cause::Unanswerable {
                failure: PromptFailure::Cancelled,
                ..
            }
        ),
        "{asked:?}"
    );

    let mut saved = target.clone();
    saved.hops[0].passphrase = Some("open sesame".into());
    let session = soon(real.fixture.connect_asking(&saved, Answering::with([])))
        .await
        .unwrap();
    assert!(session.logged_in_silently());
}
