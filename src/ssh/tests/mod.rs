//! The room as a whole, against an SSH server in this process.

mod answers;
mod auth;
mod host_keys;
mod keys;
mod proxy;
mod real;
mod real_auth;
mod real_key_order;
mod real_system;
mod reconnecting;
mod server;
mod sharing;
mod streams;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::server::Server;
use super::*;

/// Everything a connect needs, in a directory of the test's own.
struct Fixture {
    directory: tempfile::TempDir,
    environment: Arc<Environment>,
}

impl Fixture {
    fn new() -> Self {
        Self::with_agent(None)
    }

    fn with_agent(ssh_auth_sock: Option<PathBuf>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let environment = Arc::new(Environment {
            home: Some(directory.path().to_owned()),
            ssh_auth_sock,
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

    /// Makes the server's key known, as `ssh` would have recorded it.
    fn trust(&self, server: &Server) {
        let line = format!(
            "[127.0.0.1]:{} {}\n",
            server.address.port(),
            server.host_key.to_openssh().unwrap()
        );
        let file = &self.environment.user_known_hosts[0];
        let mut content = std::fs::read_to_string(file).unwrap_or_default();
        content.push_str(&line);
        std::fs::write(file, content).unwrap();
    }

    fn target(&self, server: &Server) -> Target {
        Target::new(vec![hop(server)])
    }

    async fn connect(&self, target: &Target) -> Result<Session, Error> {
        self.connect_asking(target, Arc::new(NoPrompter)).await
    }

    async fn connect_asking(
        &self,
        target: &Target,
        prompter: Arc<dyn Prompter>,
    ) -> Result<Session, Error> {
        let environment = self.environment.clone();
        connect(target, environment, prompter, Arc::new(NoObserver)).await
    }

    /// A private file in the test's directory.
    fn file(&self, name: &str, content: &str) -> PathBuf {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .unwrap()
            .write_all(content.as_bytes())
            .unwrap();
        path
    }
}

fn hop(server: &Server) -> Hop {
    Hop {
        auth: AuthMethod::Password,
        password: Some("secret".into()),
        ..Hop::new("127.0.0.1", server.address.port(), "ai")
    }
}

/// Anything that listens on the other side of a channel.
fn somewhere() -> Destination {
    Destination::Tcp {
        host: "127.0.0.1".into(),
        port: 8080,
    }
}

/// Answers questions from a list, and keeps them.
#[derive(Default)]
struct Answering {
    answers: Mutex<VecDeque<Result<Vec<&'static str>, PromptFailure>>>,
    asked: Mutex<Vec<PromptQuestion>>,
}

impl Answering {
    fn with<const N: usize>(answers: [Result<Vec<&'static str>, PromptFailure>; N]) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.into()),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> Vec<PromptQuestion> {
        self.asked.lock().unwrap().clone()
    }
}

impl Prompter for Answering {
    fn verify_host_key(
        &self,
        _: HostKeyQuestion,
    ) -> BoxFuture<'_, Result<HostKeyDecision, PromptFailure>> {
        Box::pin(std::future::ready(Ok(HostKeyDecision::Accept)))
    }

    fn answer(&self, question: PromptQuestion) -> BoxFuture<'_, Result<Answers, PromptFailure>> {
        self.asked.lock().unwrap().push(question);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(std::future::ready(match answer {
            Some(Ok(answers)) => Ok(answers.into_iter().map(Into::into).collect()),
            Some(Err(failure)) => Err(failure),
            None => Err(PromptFailure::Cancelled),
        }))
    }
}

/// Keeps what it is told.
#[derive(Default)]
struct Recording(Mutex<Vec<StageReport>>);

impl Observer for Recording {
    fn stage(&self, report: StageReport) {
        self.0.lock().unwrap().push(report);
    }
}

impl Recording {
    fn told(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|report| {
                let outcome = match &report.outcome {
                    StageOutcome::Started => "started",
                    StageOutcome::Passed { .. } => "passed",
                    StageOutcome::Skipped { .. } => "skipped",
                    StageOutcome::Failed => "failed",
                };
                format!("{} {:?} {outcome}", report.hop, report.stage)
            })
            .collect()
    }
}

/// A test that hangs is a failed test.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("took too long")
}
