//! An SSH server in this process that does what the script says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use russh::keys::{Algorithm, Certificate, PrivateKey, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, PublicKeyOffer, Response, Session,
    VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// What the server wants and does.
pub(super) struct Script {
    pub(super) methods: Vec<MethodKind>,
    pub(super) password: Option<&'static str>,
    pub(super) keys: Vec<PublicKey>,
    pub(super) none: bool,
    /// Never answers a password, as russh never does when it has to be changed.
    pub(super) password_hangs: bool,
    /// Keyboard-interactive: prompts (with echo) and the answers they want, round after round.
    pub(super) dialogue: Vec<Vec<(&'static str, bool, &'static str)>>,
    /// After the first factor, another one.
    pub(super) two_factors: bool,
    /// The first factor does not rule out its own method for the second.
    pub(super) same_method_again: bool,
    /// Hangs up at this many refusals, as MaxAuthTries does.
    pub(super) max_tries: usize,
    pub(super) banner: Option<&'static str>,
    pub(super) channel: OnChannel,
    /// Certificates of the host key.
    pub(super) certificates: Vec<Certificate>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            methods: vec![
                MethodKind::PublicKey,
                MethodKind::KeyboardInteractive,
                MethodKind::Password,
            ],
            password: Some("secret"),
            keys: vec![],
            none: false,
            password_hangs: false,
            dialogue: vec![],
            two_factors: false,
            same_method_again: false,
            max_tries: 6,
            banner: None,
            channel: OnChannel::Echo,
            certificates: vec![],
        }
    }
}

/// What happens to a channel that the client opens.
#[derive(Clone)]
pub(super) enum OnChannel {
    Echo,
    /// Sends without end, in messages of this size.
    Flood(usize),
    Refuse(ChannelOpenFailure),
    /// Never answers.
    Ignore,
    /// A connection to the same port here: for jump hosts.
    Forward,
    /// Sends this, and then EOF.
    Say(&'static [u8]),
    /// Accepts, and never reads more than the window.
    Silent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Auth(&'static str),
    Opened,
    Data(usize),
    Eof,
    Closed,
}

/// A running server. Dropping it ends it and its connections.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) host_key: PublicKey,
    pub(super) events: mpsc::Receiver<Event>,
    /// Connections that were accepted so far.
    pub(super) connections: Arc<AtomicUsize>,
    /// The sockets' tasks: abort them to cut the connections.
    cut: CancellationToken,
    handles: Arc<Mutex<Vec<Handle>>>,
    nudge: Arc<Notify>,
}

impl Server {
    pub(super) async fn start(script: Script) -> Self {
        Self::start_with_key(script, random_key()).await
    }

    pub(super) async fn start_with_key(script: Script, key: PrivateKey) -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_at(anywhere, script, key).await
    }

    /// As a machine that was there before, with the same key or with another.
    pub(super) async fn start_at(address: SocketAddr, script: Script, key: PrivateKey) -> Self {
        let listener = bind(address).await;
        let address = listener.local_addr().unwrap();
        let (sender, events) = mpsc::channel(4096);
        let host_key = PublicKey::new(key.public_key().key_data().clone(), "");
        let config = Arc::new(Config {
            keys: vec![key],
            certificates: script.certificates.clone(),
            methods: MethodSet::from(&script.methods[..]),
            // russh counts "none", and hangs up on the try after the last one.
            max_auth_attempts: script.max_tries + 1,
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            window_size: 256 * 1024,
            ..Config::default()
        });
        let script = Arc::new(script);
        let cut = CancellationToken::new();
        let connections = Arc::new(AtomicUsize::new(0));
        let handles = Arc::new(Mutex::new(Vec::new()));
        let nudge = Arc::new(Notify::new());
        let server = Self {
            address,
            host_key,
            events,
            connections: connections.clone(),
            cut: cut.clone(),
            handles: handles.clone(),
            nudge: nudge.clone(),
        };
        tokio::spawn(async move {
            loop {
                let socket = tokio::select! {
                    () = cut.cancelled() => return,
                    accepted = listener.accept() => accepted.unwrap().0,
                };
                connections.fetch_add(1, Ordering::SeqCst);
                let handler = Connection {
                    script: script.clone(),
                    events: sender.clone(),
                    rounds: script.dialogue.clone().into(),
                    factors: 0,
                    allowed: MethodSet::from(&script.methods[..]),
                };
                let (config, cut, handles) = (config.clone(), cut.clone(), handles.clone());
                let nudge = nudge.clone();
                tokio::spawn(async move {
                    let (near, far) = tokio::io::duplex(64 * 1024);
                    // Between socket and server, so that it can be cut.
                    let (mut reading, mut writing) = socket.into_split();
                    let (mut from, mut to) = tokio::io::split(far);
                    let copy = async {
                        let up = async {
                            let _ = tokio::io::copy(&mut reading, &mut to).await;
                            let _ = to.shutdown().await;
                        };
                        let down = async {
                            let mut buffer = vec![0; 64 * 1024];
                            loop {
                                let count = tokio::select! {
                                    count = from.read(&mut buffer) => count.unwrap_or_default(),
                                    () = nudge.notified() => 1,
                                };
                                if count == 0 || writing.write_all(&buffer[..count]).await.is_err()
                                {
                                    break;
                                }
                            }
                            let _ = writing.shutdown().await;
                        };
                        tokio::join!(up, down);
                    };
                    let serve = async {
                        if let Ok(session) = russh::server::run_stream(config, near, handler).await
                        {
                            handles.lock().unwrap().push(session.handle());
                            let _ = session.await;
                        }
                    };
                    tokio::select! {
                        () = cut.cancelled() => {}
                        _ = async { tokio::join!(copy, serve) } => {}
                    }
                });
            }
        });
        server
    }

    /// Sends a byte that is no answer: the client stays with an unfinished packet.
    pub(super) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Cuts all connections without a word.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    /// Says goodbye on all connections.
    pub(super) async fn disconnect(&self, message: &str) {
        let handles = self.handles.lock().unwrap().clone();
        for handle in handles {
            let _ = handle
                .disconnect(
                    russh::Disconnect::ByApplication,
                    message.to_owned(),
                    String::new(),
                )
                .await;
        }
    }

    pub(super) async fn handle(&self) -> Handle {
        self.handles.lock().unwrap().last().unwrap().clone()
    }

    /// Waits for an event of a kind, letting others pass.
    pub(super) async fn wait_for(&mut self, wanted: &Event) {
        while let Some(event) = self.events.recv().await {
            if event == *wanted {
                return;
            }
        }
        panic!("the server ended without {wanted:?}");
    }

    /// The events that happened up to now.
    pub(super) fn events_so_far(&mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            all.push(event);
        }
        all
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

/// The port may still be in use for a moment, by a server that has just ended.
async fn bind(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

pub(super) fn random_key() -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()
}

struct Connection {
    script: Arc<Script>,
    events: mpsc::Sender<Event>,
    rounds: VecDeque<Vec<(&'static str, bool, &'static str)>>,
    factors: usize,
    allowed: MethodSet,
}

impl Connection {
    fn tell(&self, event: Event) {
        let _ = self.events.try_send(event);
    }

    /// Every method may be tried again, as sshd has it.
    fn reject(&self) -> Auth {
        Auth::Reject {
            proceed_with_methods: Some(self.allowed.clone()),
            partial_success: false,
        }
    }

    fn accept(&mut self, method: MethodKind) -> Auth {
        self.factors += 1;
        if self.script.two_factors && self.factors == 1 {
            let rest: Vec<_> = self
                .script
                .methods
                .iter()
                .copied()
                .filter(|other| self.script.same_method_again || *other != method)
                .collect();
            self.allowed = MethodSet::from(&rest[..]);
            return Auth::Reject {
                proceed_with_methods: Some(self.allowed.clone()),
                partial_success: true,
            };
        }
        Auth::Accept
    }

    fn accepts(&self, key: &PublicKey) -> bool {
        self.script
            .keys
            .iter()
            .any(|known| known.key_data() == key.key_data())
    }

    fn serve(&self, channel: Channel<Msg>, port: u32) {
        let behaviour = self.script.channel.clone();
        let events = self.events.clone();
        tokio::spawn(async move {
            let (mut reading, writing) = channel.split();
            match behaviour {
                OnChannel::Echo => {
                    while let Some(message) = reading.wait().await {
                        if let russh::ChannelMsg::Data { data } = message {
                            let _ = events.try_send(Event::Data(data.len()));
                            if writing.data_bytes(data).await.is_err() {
                                return;
                            }
                        }
                    }
                }
                OnChannel::Flood(size) => {
                    let message = Bytes::from(vec![7; size]);
                    let flood =
                        async { while writing.data_bytes(message.clone()).await.is_ok() {} };
                    let drain = async { while reading.wait().await.is_some() {} };
                    tokio::select! { () = flood => {}, () = drain => {} }
                }
                OnChannel::Forward => {
                    let Ok(mut target) =
                        tokio::net::TcpStream::connect(("127.0.0.1", port as u16)).await
                    else {
                        return;
                    };
                    let mut stream =
                        tokio::io::join(reading_stream(reading), writing.make_writer());
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
                    let _ = writing.close().await;
                }
                OnChannel::Say(text) => {
                    let _ = writing.data_bytes(text).await;
                    let _ = writing.eof().await;
                    while reading.wait().await.is_some() {}
                }
                OnChannel::Silent => {
                    let (_keep, wait) = watch::channel(());
                    let mut wait = wait;
                    let _reading = reading;
                    let _writing = writing;
                    let _ = wait.changed().await;
                }
                OnChannel::Refuse(_) | OnChannel::Ignore => {}
            }
        });
    }
}

/// The data of a channel as a reader.
fn reading_stream(mut reading: russh::ChannelReadHalf) -> impl tokio::io::AsyncRead + Unpin {
    let (mut to, from) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while let Some(message) = reading.wait().await {
            if let russh::ChannelMsg::Data { data } = message
                && to.write_all(&data).await.is_err()
            {
                return;
            }
        }
    });
    from
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        self.tell(Event::Auth("none"));
        Ok(if self.script.none {
            Auth::Accept
        } else {
            self.reject()
        })
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        self.tell(Event::Auth("password"));
        if self.script.password_hangs {
            std::future::pending::<()>().await;
        }
        if self.script.password == Some(password) {
            return Ok(self.accept(MethodKind::Password));
        }
        Ok(self.reject())
    }

    async fn auth_publickey_offered(
        &mut self,
        _: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        self.tell(Event::Auth("publickey offered"));
        Ok(if self.accepts(offer.public_key) {
            Auth::Accept
        } else {
            self.reject()
        })
    }

    async fn auth_publickey(
        &mut self,
        _: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        self.tell(Event::Auth("publickey"));
        if self.accepts(key.public_key) {
            return Ok(self.accept(MethodKind::PublicKey));
        }
        Ok(self.reject())
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        if let Some(response) = response {
            let wanted = self.rounds.pop_front().unwrap_or_default();
            let given: Vec<_> = response.collect();
            let right = wanted.len() == given.len()
                && wanted
                    .iter()
                    .zip(&given)
                    .all(|((_, _, wanted), given)| given.as_ref() == wanted.as_bytes());
            if !right {
                self.tell(Event::Auth("keyboard-interactive refused"));
                self.rounds = self.script.dialogue.clone().into();
                return Ok(self.reject());
            }
            if self.rounds.is_empty() {
                return Ok(self.accept(MethodKind::KeyboardInteractive));
            }
        }
        self.tell(Event::Auth("keyboard-interactive"));
        let Some(round) = self.rounds.front() else {
            return Ok(self.reject());
        };
        Ok(Auth::Partial {
            name: "Title\x1b[0m".into(),
            instructions: "Look at your phone".into(),
            prompts: round
                .iter()
                .map(|(text, echo, _)| ((*text).into(), *echo))
                .collect::<Vec<_>>()
                .into(),
        })
    }

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(self.script.banner.map(str::to_owned))
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        match &self.script.channel {
            OnChannel::Refuse(reason) => {
                reply.reject(reason.clone()).await;
            }
            OnChannel::Ignore => std::mem::forget(reply),
            _ => {
                reply.accept().await;
                self.tell(Event::Opened);
                self.serve(channel, port);
            }
        }
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        self.serve(channel, 0);
        Ok(())
    }

    async fn channel_eof(&mut self, _: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.tell(Event::Eof);
        Ok(())
    }

    async fn channel_close(&mut self, _: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.tell(Event::Closed);
        Ok(())
    }
}
