//! Plain HTTP on byte streams: through the ssh room alone, and through `ssh -L`.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use puffin_remote_llm::ssh;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::gaps::Arrivals;
use crate::model::{FLOOD, LISTEN, STEADY};
use crate::support::peer::free_port;
use crate::support::peer::sshd::Sshd;
use crate::way::{Disturbance, Guard, Task, UPLOADS, Way, long_question};

pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

type Opening = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>>;

/// Opens streams on one SSH connection.
pub(crate) struct Plain {
    name: &'static str,
    open: Arc<dyn Fn(To) -> Opening + Send + Sync>,
    _held: Option<Child>,
}

#[derive(Clone, Copy)]
pub(crate) enum To {
    Model,
    Nowhere,
}

/// The ports of the model and of nobody, at the far end.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) model: u16,
    pub(crate) nowhere: u16,
}

impl Plain {
    /// Through the ssh room of this crate, without the daemon around it.
    pub(crate) async fn room(sshd: &Sshd, port: u16, ports: Ports) -> Self {
        let hop = ssh::Hop {
            private_key_path: Some(sshd.keys.ed25519.clone()),
            host_key_policy: ssh::HostKeyPolicy::AcceptNew,
            ..ssh::Hop::new("127.0.0.1", port, sshd.username())
        };
        let folder = tempfile::tempdir().expect("a folder");
        let environment = ssh::Environment {
            own_known_hosts: folder.path().join("known_hosts"),
            client_version: "bench".into(),
            ..ssh::Environment::default()
        };
        let target = ssh::Target::new(vec![hop]);
        let prompter = Arc::new(ssh::NoPrompter);
        let observer = Arc::new(ssh::NoObserver);
        let session = ssh::connect(&target, Arc::new(environment), prompter, observer).await;
        let session = session.expect("a connection");
        let open = move |to| {
            let session = session.clone();
            let port = match to {
                To::Model => ports.model,
                To::Nowhere => ports.nowhere,
            };
            let opening = async move {
                let host = "127.0.0.1".to_owned();
                let stream = session.open(ssh::Destination::Tcp { host, port }).await;
                let stream = stream.map_err(io::Error::other)?;
                Ok(Box::new(stream) as Box<dyn Io>)
            };
            Box::pin(opening) as Opening
        };
        Self {
            name: "ssh room",
            open: Arc::new(open),
            _held: None,
        }
    }

    /// Through OpenSSH's client.
    pub(crate) async fn tunnel(sshd: &Sshd, port: u16, ports: Ports) -> Self {
        let here = Ports {
            model: free_port(),
            nowhere: free_port(),
        };
        let lead = |near: u16, far: u16| format!("-L127.0.0.1:{near}:127.0.0.1:{far}");
        let mut command = Command::new("ssh");
        command
            .args([
                "-F",
                "none",
                "-N",
                "-oBatchMode=yes",
                "-oStrictHostKeyChecking=no",
            ])
            .args(["-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"])
            .args(["-oExitOnForwardFailure=yes", "-oIdentitiesOnly=yes", "-i"])
            .arg(&sshd.keys.ed25519)
            .arg(lead(here.model, ports.model))
            .arg(lead(here.nowhere, ports.nowhere))
            .arg(format!("-p{port}"))
            .arg(format!("{}@127.0.0.1", sshd.username()))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let child = command.spawn().expect("ssh starts");
        while TcpStream::connect(("127.0.0.1", here.model)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let open = move |to| {
            let port = match to {
                To::Model => here.model,
                To::Nowhere => here.nowhere,
            };
            let opening = async move {
                let stream = TcpStream::connect(("127.0.0.1", port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream) as Box<dyn Io>)
            };
            Box::pin(opening) as Opening
        };
        Self {
            name: "ssh -L",
            open: Arc::new(open),
            _held: Some(child),
        }
    }

    fn spawn<F>(&self, to: To, work: impl FnOnce(Box<dyn Io>) -> F + Send + 'static) -> Task
    where
        F: Future<Output = io::Result<()>> + Send,
    {
        let opening = (self.open)(to);
        Task(tokio::spawn(async move {
            // How a disturbance ends is of no interest.
            if let Ok(stream) = opening.await {
                let _ended = work(stream).await;
            }
        }))
    }
}

impl Way for Plain {
    fn name(&self) -> &'static str {
        self.name
    }

    fn can(&self, _: Disturbance) -> bool {
        true
    }

    async fn talk(&self, arrivals: Arrivals) -> Guard {
        let talk = |mut stream: Box<dyn Io>| async move {
            ask(&mut stream, STEADY).await?;
            let mut space = vec![0; 4096];
            loop {
                let length = stream.read(&mut space).await?;
                let text = space.get(..length).unwrap_or_default();
                // Tokens that come together are noted together.
                let tokens = text.windows(6).filter(|six| six == b"data: ");
                tokens.for_each(|_| arrivals.note());
                if length == 0 {
                    return Ok(());
                }
            }
        };
        Box::new(self.spawn(To::Model, talk))
    }

    async fn disturb(&self, disturbance: Disturbance) -> Guard {
        match disturbance {
            Disturbance::Nothing => Box::new(()),
            Disturbance::Unread => Box::new(self.spawn(To::Model, |mut stream| async move {
                ask(&mut stream, FLOOD).await?;
                std::future::pending().await
            })),
            Disturbance::Flood => Box::new(self.spawn(To::Model, |mut stream| async move {
                ask(&mut stream, FLOOD).await?;
                tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
                Ok(())
            })),
            Disturbance::Upload => {
                let question = long_question(LISTEN);
                let upload = |question: Arc<str>| {
                    self.spawn(To::Model, move |mut stream| async move {
                        ask(&mut stream, &question).await?;
                        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
                        Ok(())
                    })
                };
                let uploads: Vec<_> = (0..UPLOADS).map(|_| upload(question.clone())).collect();
                Box::new(uploads)
            }
            Disturbance::Hang => Box::new(self.spawn(To::Nowhere, |mut stream| async move {
                stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
                std::future::pending().await
            })),
        }
    }
}

async fn ask(stream: &mut Box<dyn Io>, question: &str) -> io::Result<()> {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: model\r\nContent-Length: {}\r\n\r\n",
        question.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(question.as_bytes()).await?;
    stream.flush().await
}
