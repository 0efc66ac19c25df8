//! An SSH server in this process that forwards `direct-tcpip` channels to real sockets, counts what
//! it sees, and misbehaves on demand. Also used by `examples/quickstart`.

mod keys;
mod line;
mod session;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::server::Config;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::journal::Journal;
pub(crate) use keys::Key;
pub(crate) use line::Line;

/// Who may log in, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) none: bool,
    pub(crate) password: Option<String>,
    /// Lines as in `authorized_keys`.
    pub(crate) authorized_keys: Vec<String>,
    /// Rounds of keyboard-interactive questions, all of which must be answered right.
    pub(crate) questions: Vec<Vec<Question>>,
    /// A good key alone is not enough: the questions come after it.
    pub(crate) key_then_questions: bool,
}

impl Login {
    pub(crate) fn password(user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: Some(password.to_owned()),
            ..Self::default()
        }
    }

    pub(crate) fn key(user: &str, key: &Key) -> Self {
        Self {
            user: user.to_owned(),
            authorized_keys: vec![key.public_line()],
            ..Self::default()
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) text: &'static str,
    pub(crate) echo: bool,
    pub(crate) answer: &'static str,
}

/// What happens to a new TCP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Greeting {
    #[default]
    Ssh,
    /// The connection is accepted, then nothing comes.
    Silent,
    /// This text instead of an SSH banner, then the end.
    Text(&'static str),
}

/// What happens to a request for a `direct-tcpip` channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Forwarding {
    #[default]
    Allowed,
    /// As with `AllowTcpForwarding no`.
    Prohibited,
    /// As if nothing listened there.
    Refused,
    /// No answer, ever, while keepalives go on.
    Unanswered,
}

/// What the server has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// TCP connections accepted since the start.
    pub(crate) connections: usize,
    /// TCP connections open now.
    pub(crate) live_connections: usize,
    /// Methods of every authentication attempt, in order.
    pub(crate) auth_attempts: Vec<&'static str>,
    /// Sessions that got through authentication.
    pub(crate) logins: usize,
    /// `host:port` of every channel asked for.
    pub(crate) targets: Vec<String>,
    /// Forwarded channels open now.
    pub(crate) open_channels: usize,
    /// The most that were ever open at once.
    pub(crate) most_channels: usize,
}

/// A running server; it and its connections end when it is dropped.
#[derive(Debug)]
pub(crate) struct SshServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    login: Login,
    seen: Journal<Seen>,
    script: Journal<Script>,
}

/// What a test may change while the server runs.
#[derive(Debug)]
struct Script {
    host_key: Key,
    greeting: Greeting,
    forwarding: Forwarding,
    /// The state of the present connections. A cut replaces it, so that later ones are not cut too.
    line: watch::Sender<Line>,
}

impl SshServer {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) async fn start(login: Login) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            login,
            seen: Journal::new(Seen::default()),
            script: Journal::new(Script {
                host_key: Key::generate(),
                greeting: Greeting::default(),
                forwarding: Forwarding::default(),
                line: watch::Sender::new(Line::Open),
            }),
        });
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            acceptor,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn login(&self) -> &Login {
        &self.shared.login
    }

    pub(crate) fn host_key(&self) -> Key {
        self.shared.script.read(|script| script.host_key.clone())
    }

    /// The line that makes this server known.
    pub(crate) fn known_hosts_line(&self) -> String {
        format!(
            "[127.0.0.1]:{} {}\n",
            self.port(),
            self.host_key().public_line()
        )
    }

    /// The next connections see another host key.
    pub(crate) fn change_host_key(&self) {
        self.shared
            .script
            .update(|script| script.host_key = Key::generate());
    }

    pub(crate) fn greet(&self, greeting: Greeting) {
        self.shared
            .script
            .update(|script| script.greeting = greeting);
    }

    pub(crate) fn forward(&self, forwarding: Forwarding) {
        self.shared
            .script
            .update(|script| script.forwarding = forwarding);
    }

    /// Present connections stop being read and written; `thaw` lets them go on.
    pub(crate) fn freeze(&self) {
        self.shared
            .script
            .update(|script| script.line.send_replace(Line::Frozen));
    }

    pub(crate) fn thaw(&self) {
        self.shared
            .script
            .update(|script| script.line.send_replace(Line::Open));
    }

    /// Drops every TCP connection, as `kill -9` on sshd's children does. New ones are accepted.
    pub(crate) fn cut(&self) {
        self.shared.script.update(|script| {
            let line = std::mem::replace(&mut script.line, watch::Sender::new(Line::Open));
            line.send_replace(Line::Cut);
        });
    }

    /// Nothing listens any more; present connections stay.
    pub(crate) fn stop_listening(&self) {
        self.acceptor.abort();
    }

    pub(crate) fn seen(&self) -> Seen {
        self.shared.seen.read(Seen::clone)
    }

    /// Waits for something to be seen.
    pub(crate) async fn wait<R>(
        &self,
        limit: Duration,
        find: impl FnMut(&Seen) -> Option<R>,
    ) -> Option<R> {
        self.shared.seen.wait(limit, find).await
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        shared.seen.update(|seen| {
            seen.connections += 1;
            seen.live_connections += 1;
        });
        tokio::spawn(async move {
            serve(socket, &shared).await;
            shared.seen.update(|seen| seen.live_connections -= 1);
        });
    }
}

async fn serve(mut socket: TcpStream, shared: &Arc<Shared>) {
    let (greeting, key, line) = shared.script.read(|script| {
        (
            script.greeting,
            script.host_key.clone(),
            script.line.subscribe(),
        )
    });
    match greeting {
        Greeting::Silent => {
            line::cut(line).await;
            return;
        }
        Greeting::Text(text) => {
            // The client may be gone already; there is nobody to tell.
            let _sent = socket.write_all(text.as_bytes()).await;
            let _ended = socket.shutdown().await;
            return;
        }
        Greeting::Ssh => {}
    }
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let config = Arc::new(Config {
        methods: session::methods(&shared.login),
        auth_rejection_time: Duration::ZERO,
        keys: vec![key.private().clone()],
        inactivity_timeout: None,
        max_auth_attempts: 6,
        ..Config::default()
    });
    let (near, far) = tokio::io::duplex(64 * 1024);
    let visitor = session::Visitor::new(Arc::clone(shared));
    let wire = tokio::spawn(line::carry(socket, far, line));
    if let Ok(session) = russh::server::run_stream(config, near, visitor).await {
        // However it ended, the client has seen it too.
        let _ended = session.await;
    }
    // Lets the last packets (a disconnect message, say) reach the client.
    let _carried = wire.await;
}
