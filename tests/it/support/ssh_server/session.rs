//! One client: its authentication and its forwarded channels.

use std::borrow::Cow;
use std::sync::Arc;

use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelMsg, ChannelOpenFailure, MethodKind, MethodSet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Forwarding, Login, Shared};

/// The methods the server says it has.
pub(super) fn methods(login: &Login) -> MethodSet {
    let mut methods = MethodSet::empty();
    if login.none {
        methods.push(MethodKind::None);
    }
    if !login.authorized_keys.is_empty() {
        methods.push(MethodKind::PublicKey);
    }
    if login.password.is_some() {
        methods.push(MethodKind::Password);
    }
    if !login.questions.is_empty() && !login.key_then_questions {
        methods.push(MethodKind::KeyboardInteractive);
    }
    methods
}

pub(super) struct Visitor {
    shared: Arc<Shared>,
    /// Rounds of questions answered right.
    rounds: usize,
    good_key: bool,
    /// Channel opens that never get an answer; dropping one would answer it.
    unanswered: Vec<ChannelOpenHandle>,
}

impl Visitor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            rounds: 0,
            good_key: false,
            unanswered: Vec::new(),
        }
    }

    fn attempt(&self, method: &'static str) {
        self.shared
            .seen
            .update(|seen| seen.auth_attempts.push(method));
    }

    fn accept_if(&self, good: bool) -> Auth {
        if good { Auth::Accept } else { Auth::reject() }
    }

    fn is_authorized(&self, user: &str, key: &russh::keys::PublicKey) -> bool {
        let login = &self.shared.login;
        let line = key.to_openssh().unwrap_or_default();
        user == login.user && login.authorized_keys.contains(&line)
    }

    fn ask(&self) -> Option<Auth> {
        let round = self.shared.login.questions.get(self.rounds)?;
        Some(Auth::Partial {
            name: Cow::Borrowed("Second factor"),
            instructions: Cow::Borrowed("Answer to go on"),
            prompts: round
                .iter()
                .map(|question| (Cow::Borrowed(question.text), question.echo))
                .collect::<Vec<_>>()
                .into(),
        })
    }

    fn is_right(&self, answers: Response<'_>) -> bool {
        let Some(round) = self.shared.login.questions.get(self.rounds) else {
            return false;
        };
        let answers: Vec<_> = answers.collect();
        answers.len() == round.len()
            && answers
                .iter()
                .zip(round)
                .all(|(answer, question)| answer == question.answer.as_bytes())
    }
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Self::Error> {
        self.attempt("none");
        let login = &self.shared.login;
        Ok(self.accept_if(login.none && user == login.user))
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.attempt("password");
        let login = &self.shared.login;
        let good = user == login.user && login.password.as_deref() == Some(password);
        Ok(self.accept_if(good))
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let good = self.is_authorized(user, offer.public_key);
        if !good {
            self.attempt("publickey");
        }
        Ok(self.accept_if(good))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        self.attempt("publickey");
        let good = self.is_authorized(user, key.public_key);
        if good && self.shared.login.key_then_questions {
            self.good_key = true;
            return Ok(Auth::Reject {
                proceed_with_methods: Some(MethodSet::from(
                    [MethodKind::KeyboardInteractive].as_slice(),
                )),
                partial_success: true,
            });
        }
        Ok(self.accept_if(good))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let login = &self.shared.login;
        if user != login.user || (login.key_then_questions && !self.good_key) {
            self.attempt("keyboard-interactive");
            return Ok(Auth::reject());
        }
        let Some(answers) = response else {
            self.attempt("keyboard-interactive");
            self.rounds = 0;
            return Ok(self.ask().unwrap_or_else(Auth::reject));
        };
        if !self.is_right(answers) {
            return Ok(Auth::reject());
        }
        self.rounds += 1;
        Ok(self.ask().unwrap_or(Auth::Accept))
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Result<(), Self::Error> {
        self.shared.seen.update(|seen| seen.logins += 1);
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    /// Every command does nothing and succeeds.
    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        session.exit_status_request(channel, 0)?;
        session.eof(channel)?;
        session.close(channel)?;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let host = host.to_owned();
        let port = u16::try_from(port).unwrap_or(0);
        self.shared
            .seen
            .update(|seen| seen.targets.push(format!("{host}:{port}")));
        match self.shared.script.read(|script| script.forwarding) {
            Forwarding::Allowed => {
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move {
                    match TcpStream::connect((host.as_str(), port)).await {
                        Ok(socket) => {
                            reply.accept().await;
                            shared.seen.update(|seen| {
                                seen.open_channels += 1;
                                seen.most_channels = seen.most_channels.max(seen.open_channels);
                            });
                            forward(channel, socket).await;
                            shared.seen.update(|seen| seen.open_channels -= 1);
                        }
                        Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
                    }
                });
            }
            Forwarding::Prohibited => {
                reply
                    .reject(ChannelOpenFailure::AdministrativelyProhibited)
                    .await;
            }
            Forwarding::Refused => reply.reject(ChannelOpenFailure::ConnectFailed).await,
            Forwarding::Unanswered => self.unanswered.push(reply),
        }
        Ok(())
    }
}

/// Carries a channel as sshd does: CLOSE from the client closes the socket at once, EOF only its
/// sending half.
async fn forward(channel: Channel<Msg>, socket: TcpStream) {
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let (mut from_client, to_client) = channel.split();
    let (mut from_server, mut to_server) = socket.into_split();
    let upload = async {
        while let Some(message) = from_client.wait().await {
            let written = match message {
                ChannelMsg::Data { data } => to_server.write_all(&data).await,
                ChannelMsg::Eof => to_server.shutdown().await,
                ChannelMsg::Close => return,
                _ => Ok(()),
            };
            if written.is_err() {
                return;
            }
        }
    };
    let download = async {
        let mut buffer = vec![0; 32 * 1024];
        loop {
            match from_server.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default().to_vec();
                    if to_client.data_bytes(bytes).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    tokio::select! {
        () = upload => {}
        () = download => {
            let _ended = to_client.eof().await;
        }
    }
    // The client may have closed it first, or be gone altogether.
    let _closed = to_client.close().await;
}
