//! Passwords, dialogues and methods, and servers that go away meanwhile.

use russh::MethodKind;

use super::server::{Event, Script, Server};
use super::*;

fn skipped(error: &Error) -> Vec<String> {
    let Cause::AuthFailed { tried, .. } = &error.cause else {
        panic!("{error:?}");
    };
    let reason = |attempt: &AuthAttempt| match &attempt.outcome {
        AuthOutcome::Skipped(reason) | AuthOutcome::LeftToSystem(reason) => {
            Some(format!("{}: {reason}", attempt.method))
        }
        AuthOutcome::Rejected | AuthOutcome::Partial => None,
    };
    tried.iter().filter_map(reason).collect()
}

fn is_lost(error: &Error) -> bool {
    matches!(error.cause, Cause::EndedDuringLogin { .. })
}

#[tokio::test]
async fn a_refused_stored_password_is_asked_for_and_tried_once_only() {
    let fixture = Fixture::new();
    let mut server = Server::start(Script {
        methods: vec![MethodKind::Password],
        password: Some("new"),
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let target = fixture.target(&server);
    let prompter = Answering::with([Ok(vec!["typo"]), Ok(vec!["new"])]);
    let session = fixture
        .connect_asking(&target, prompter.clone())
        .await
        .unwrap();
    assert!(!session.logged_in_silently());
    let attempts: Vec<_> = prompter.asked().iter().map(|asked| asked.attempt).collect();
    assert_eq!(attempts, [2, 3]);
    let passwords = server.events_so_far().into_iter();
    let passwords = passwords.filter(|event| *event == Event::Auth("password"));
    assert_eq!(passwords.count(), 3);

    // Three in all, the stored one included.
    let prompter = Answering::with([Ok(vec!["a"]), Ok(vec!["b"]), Ok(vec!["new"])]);
    let error = fixture
        .connect_asking(&target, prompter.clone())
        .await
        .unwrap_err();
    assert!(matches!(error.cause, Cause::AuthFailed { .. }), "{error:?}");
    assert_eq!(prompter.asked().len(), 2);
}

#[tokio::test]
async fn a_stored_password_that_a_dialogue_refused_is_asked_for() {
    let fixture = Fixture::new();
    let server = Server::start(Script {
        methods: vec![MethodKind::KeyboardInteractive],
        dialogue: vec![vec![("Password: ", false, "new")]],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    for auth in [AuthMethod::Auto, AuthMethod::Password] {
        target.hops[0].auth = auth;
        let prompter = Answering::with([Ok(vec!["new"])]);
        fixture
            .connect_asking(&target, prompter.clone())
            .await
            .unwrap();
        assert_eq!(prompter.asked()[0].attempt, 2);
    }
}

#[tokio::test]
async fn a_dialogue_may_have_several_rounds_and_several_questions_at_once() {
    let fixture = Fixture::new();
    let server = Server::start(Script {
        methods: vec![MethodKind::KeyboardInteractive],
        dialogue: vec![
            vec![("First: ", true, "1"), ("Second: ", false, "2")],
            vec![],
            vec![("Third: ", false, "3")],
        ],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::KeyboardInteractive;
    target.hops[0].password = None;
    let prompter = Answering::with([Ok(vec!["1", "2"]), Ok(vec!["3"])]);
    let session = fixture
        .connect_asking(&target, prompter.clone())
        .await
        .unwrap();
    assert_eq!(session.auth_method(), "keyboard-interactive");
    let echoes: Vec<Vec<bool>> = prompter
        .asked()
        .iter()
        .map(|asked| asked.prompts.iter().map(|prompt| prompt.echo).collect())
        .collect();
    assert_eq!(echoes, [vec![true, false], vec![false]]);
}

#[tokio::test]
async fn preferred_authentications_says_what_is_tried_and_in_which_order() {
    let fixture = Fixture::new();
    let mut server = Server::start(Script {
        password: Some("another"),
        dialogue: vec![vec![("Password: ", false, "another")]],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Auto;
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    target.hops[0].preferred_authentications = names(&["password", "unheard-of", "publickey"]);
    let error = fixture.connect(&target).await.unwrap_err();
    let events = server.events_so_far();
    assert_eq!(events, [Event::Auth("none"), Event::Auth("password")]);
    let notes = skipped(&error);
    for expected in [
        "keyboard-interactive: ssh_config leaves it out or switches it off",
        "PreferredAuthentications: no such method",
    ] {
        assert!(notes.iter().any(|note| note == expected), "{notes:?}");
    }

    for none in [&[][..], &["gssapi-with-mic", "hostbased"]] {
        target.hops[0].preferred_authentications = names(none);
        let error = fixture.connect(&target).await.unwrap_err();
        let Cause::MethodsDisabled { preferred, allowed } = &error.cause else {
            panic!("{error:?}");
        };
        assert_eq!(preferred, none);
        assert_eq!(allowed.len(), 3);
        assert!(!error.is_transient());
        assert_eq!(server.events_so_far(), [Event::Auth("none")]);
    }

    // A method that the profile names is used whatever ssh_config prefers.
    target.hops[0].auth = AuthMethod::Password;
    target.hops[0].password = Some("another".into());
    fixture.connect(&target).await.unwrap();
}

#[tokio::test]
async fn what_only_ssh_can_do_is_noted() {
    let fixture = Fixture::new();
    let server = Server::start(Script {
        methods: vec![MethodKind::GssapiWithMic],
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Auto;
    let error = fixture.connect(&target).await.unwrap_err();
    let notes = skipped(&error);
    let expected = "gssapi-with-mic: only ssh itself can do that (transport: system)";
    assert!(notes.iter().any(|note| note == expected), "{notes:?}");
}

/// Cuts the server's connections, and then answers.
struct Cutting<F>(F);

impl<F: Fn() + Send + Sync> Prompter for Cutting<F> {
    fn verify_host_key(
        &self,
        _: HostKeyQuestion,
    ) -> BoxFuture<'_, Result<HostKeyDecision, PromptFailure>> {
        Box::pin(std::future::ready(Ok(HostKeyDecision::Accept)))
    }

    fn answer(&self, question: PromptQuestion) -> BoxFuture<'_, Result<Answers, PromptFailure>> {
        (self.0)();
        let answers = question.prompts.iter().map(|_| "secret".into()).collect();
        Box::pin(std::future::ready(Ok(answers)))
    }
}

#[tokio::test]
async fn a_connection_that_ends_under_a_question_is_lost_and_not_refused() {
    let fixture = Fixture::new();
    for methods in [
        vec![MethodKind::KeyboardInteractive],
        vec![MethodKind::Password],
    ] {
        let server = Server::start(Script {
            methods,
            dialogue: vec![vec![("Code: ", false, "secret")]],
            ..Script::default()
        })
        .await;
        fixture.trust(&server);
        let mut target = fixture.target(&server);
        target.hops[0].auth = AuthMethod::Auto;
        target.hops[0].password = None;
        let prompter = Arc::new(Cutting(move || server.cut()));
        let error = soon(fixture.connect_asking(&target, prompter))
            .await
            .unwrap_err();
        assert!(is_lost(&error), "{error:?}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_after_the_password_was_sent_is_lost_and_not_refused() {
    let fixture = Fixture::new();
    let mut server = Server::start(Script {
        password_hangs: true,
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let target = fixture.target(&server);
    let cutting = async {
        server.wait_for(&Event::Auth("password")).await;
        server.cut();
    };
    let (result, ()) = tokio::join!(fixture.connect(&target), cutting);
    let error = result.unwrap_err();
    assert!(is_lost(&error), "{error:?}");
    assert!(error.is_transient());
}

/// Sends a password that is never answered, and skips the wait.
async fn unanswered(said_something: bool) -> Error {
    let fixture = Fixture::new();
    let mut server = Server::start(Script {
        password_hangs: true,
        ..Script::default()
    })
    .await;
    fixture.trust(&server);
    let target = fixture.target(&server);
    let connecting = async { fixture.connect(&target).await };
    let waiting = async {
        server.wait_for(&Event::Auth("password")).await;
        tokio::time::pause();
        if said_something {
            // Less than the length of a packet, with time to get through.
            for _ in 0..3 {
                server.nudge();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    };
    let (result, ()) = tokio::join!(connecting, waiting);
    result.unwrap_err()
}

#[tokio::test]
async fn a_password_with_an_answer_that_is_none_has_probably_expired() {
    let error = unanswered(true).await;
    assert!(
        matches!(error.cause, Cause::PasswordExpired { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_falls_silent_after_the_password_is_not_said_to_refuse_it() {
    let error = unanswered(false).await;
    assert!(
        matches!(error.cause, Cause::AuthTimeout { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn whoever_is_asked_for_a_password_is_told_why_the_named_key_was_of_no_use() {
    let server = Server::start(Script::default()).await;
    let fixture = Fixture::new();
    fixture.trust(&server);
    let mut target = fixture.target(&server);
    target.hops[0].auth = AuthMethod::Auto;
    target.hops[0].password = None;
    target.hops[0].private_key_path = Some("~/no-such-key".into());
    target.hops[0].identity_agent = Some("/no/such/agent".into());
    let prompter = Answering::with([Ok(vec!["secret"]), Ok(vec!["secret"])]);
    let session = soon(fixture.connect_asking(&target, prompter.clone()))
        .await
        .unwrap();
    let told = prompter.asked()[0].instruction.clone();
    assert_eq!(told, session.notes().join("\n"));
    assert!(told.contains("~/no-such-key"), "{told}");
    assert!(told.contains("/no/such/agent"), "{told}");
}
