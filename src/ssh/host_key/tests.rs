use std::sync::atomic::{AtomicUsize, Ordering};

use russh::keys::{Algorithm, PrivateKey};
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::ssh::prompt::{Answers, BoxFuture, NoPrompter, PromptQuestion};

fn key() -> PublicKey {
    let mut rng = russh::keys::key::safe_rng();
    let key = PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap();
    PublicKey::new(key.public_key().key_data().clone(), "")
}

fn plain(key: &PublicKey) -> Shown {
    Shown {
        key: key.clone(),
        certificate: None,
    }
}

/// Hands each question to the test, which answers it.
struct Asked {
    questions: mpsc::Sender<(HostKeyQuestion, oneshot::Sender<HostKeyDecision>)>,
    count: AtomicUsize,
}

impl Prompter for Asked {
    fn verify_host_key(
        &self,
        question: HostKeyQuestion,
    ) -> BoxFuture<'_, Result<HostKeyDecision, PromptFailure>> {
        Box::pin(async move {
            self.count.fetch_add(1, Ordering::Relaxed);
            let (answer, wait) = oneshot::channel();
            let _ = self.questions.send((question, answer)).await;
            wait.await.map_err(|_| PromptFailure::HostGone)
        })
    }

    fn answer(&self, _: PromptQuestion) -> BoxFuture<'_, Result<Answers, PromptFailure>> {
        Box::pin(std::future::pending())
    }
}

struct Fixture {
    directory: tempfile::TempDir,
    environment: Arc<Environment>,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let environment = Arc::new(Environment {
            user_known_hosts: vec![directory.path().join("user")],
            own_known_hosts: directory.path().join("own"),
            client_version: "test".into(),
            ..Environment::default()
        });
        Self {
            directory,
            environment,
        }
    }

    fn verifier(&self, policy: HostKeyPolicy, prompter: Arc<dyn Prompter>) -> Arc<Verifier> {
        Arc::new(Verifier {
            place: Place {
                hop: 0,
                hops: 1,
                host: "gpu1".into(),
                port: 2222,
                username: "ai".into(),
            },
            policy,
            files: KnownHostsFiles::default(),
            environment: self.environment.clone(),
            prompter,
            clock: Clock::start(Duration::from_secs(30)),
        })
    }

    fn own_file(&self) -> Option<String> {
        std::fs::read_to_string(&self.environment.own_known_hosts).ok()
    }
}

fn asked() -> (
    Arc<Asked>,
    mpsc::Receiver<(HostKeyQuestion, oneshot::Sender<HostKeyDecision>)>,
) {
    let (questions, inbox) = mpsc::channel(8);
    let prompter = Asked {
        questions,
        count: AtomicUsize::new(0),
    };
    (Arc::new(prompter), inbox)
}

#[tokio::test]
async fn without_anybody_to_ask_an_unknown_key_is_refused() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier(HostKeyPolicy::Ask, Arc::new(NoPrompter));
    let error = verifier.verify(&plain(&key())).await.unwrap_err();
    assert!(matches!(
        error,
        Cause::HostKeyUnknown {
            why: NotTrusted::NoAnswer(PromptFailure::Unsupported),
            ..
        }
    ));
    assert_eq!(fixture.own_file(), None);
}

#[tokio::test]
async fn somebody_who_answers_no_prompts_may_still_judge_keys() {
    struct KeysOnly;
    impl Prompter for KeysOnly {
        fn can_answer(&self) -> bool {
            false
        }

        fn verify_host_key(
            &self,
            _: HostKeyQuestion,
        ) -> BoxFuture<'_, Result<HostKeyDecision, PromptFailure>> {
            Box::pin(std::future::ready(Ok(HostKeyDecision::Accept)))
        }

        fn answer(&self, _: PromptQuestion) -> BoxFuture<'_, Result<Answers, PromptFailure>> {
            Box::pin(std::future::pending())
        }
    }
    let fixture = Fixture::new();
    let verifier = fixture.verifier(HostKeyPolicy::Ask, Arc::new(KeysOnly));
    verifier.verify(&plain(&key())).await.unwrap();
    assert!(fixture.own_file().is_some());
}

#[tokio::test]
async fn fifty_connections_ask_once_and_the_answer_is_recorded() {
    let fixture = Fixture::new();
    let (prompter, mut inbox) = asked();
    let shown = key();
    let all: Vec<_> = (0..50)
        .map(|_| {
            let verifier = fixture.verifier(HostKeyPolicy::Ask, prompter.clone());
            let shown = shown.clone();
            tokio::spawn(async move { verifier.verify(&plain(&shown)).await })
        })
        .collect();
    let (question, answer) = inbox.recv().await.unwrap();
    assert_eq!(question.key, known_hosts::describe(&shown));
    answer.send(HostKeyDecision::Accept).unwrap();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(prompter.count.load(Ordering::Relaxed), 1);
    assert_eq!(fixture.own_file().unwrap().lines().count(), 1);
    // The next one finds it in the file.
    let verifier = fixture.verifier(HostKeyPolicy::Strict, Arc::new(NoPrompter));
    assert_eq!(verifier.verify(&plain(&shown)).await.unwrap(), "known");
}

#[tokio::test]
async fn accepted_once_lives_in_the_process_only() {
    let fixture = Fixture::new();
    let (prompter, mut inbox) = asked();
    let shown = plain(&key());
    let verifier = fixture.verifier(HostKeyPolicy::Ask, prompter.clone());
    let answering = async {
        let (_, answer) = inbox.recv().await.unwrap();
        answer.send(HostKeyDecision::AcceptOnce).unwrap();
    };
    let (verified, ()) = tokio::join!(verifier.verify(&shown), answering);
    verified.unwrap();
    verifier.verify(&shown).await.unwrap();
    assert_eq!(prompter.count.load(Ordering::Relaxed), 1);
    assert_eq!(fixture.own_file(), None);
}

#[tokio::test]
async fn two_keys_for_one_host_at_the_same_time_are_both_refused() {
    let fixture = Fixture::new();
    let (prompter, mut inbox) = asked();
    let (one, other) = (key(), key());
    let first = tokio::spawn({
        let verifier = fixture.verifier(HostKeyPolicy::Ask, prompter.clone());
        let one = one.clone();
        async move { verifier.verify(&plain(&one)).await }
    });
    let _open = inbox.recv().await.unwrap();
    let verifier = fixture.verifier(HostKeyPolicy::Ask, prompter.clone());
    for result in [verifier.verify(&plain(&other)).await, first.await.unwrap()] {
        assert!(
            matches!(result, Err(Cause::HostKeyConflict { .. })),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_rejected_key_is_not_remembered() {
    let fixture = Fixture::new();
    let (prompter, mut inbox) = asked();
    let verifier = fixture.verifier(HostKeyPolicy::Ask, prompter.clone());
    let shown = plain(&key());
    for _ in 0..2 {
        let answering = async {
            let (_, answer) = inbox.recv().await.unwrap();
            answer.send(HostKeyDecision::Reject).unwrap();
        };
        let (verified, ()) = tokio::join!(verifier.verify(&shown), answering);
        assert!(matches!(verified, Err(Cause::HostKeyRejected { .. })));
    }
    assert!(fixture.own_file().is_none());
    assert!(fixture.directory.path().exists());
}

#[tokio::test]
async fn accept_new_records_without_asking() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier(HostKeyPolicy::AcceptNew, Arc::new(NoPrompter));
    verifier.verify(&plain(&key())).await.unwrap();
    assert_eq!(fixture.own_file().unwrap().lines().count(), 1);
    assert!(matches!(
        verifier.verify(&plain(&key())).await,
        Err(Cause::HostKeyChanged { .. })
    ));
}
