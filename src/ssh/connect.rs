//! From a hop's name to an authenticated session: resolve, TCP, handshake, host
//! key, login, each with its own deadline.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::{AlgorithmKind, Error as RusshError, Preferred, SshId};
use tokio::io::{AsyncRead, AsyncWrite};

use super::algorithms;
use super::auth::{Ledger, Login};
use super::clock::{Clock, Expired};
use super::egress::{Egress, Gate};
use super::error::{Cause, Error, Place};
use super::handler::{ClientHandler, HandlerError, Offered, classify};
use super::host_key::{self, Verifier};
use super::link::Link;
use super::observe::{Observer, Stage};
use super::prompt::Prompter;
use super::proxy_command;
use super::session::Session;
use super::stages::Stages;
use super::stream::Stream;
use super::system::Master;
use super::target::{Destination, Environment, Hop, Target, Transport};
use super::tcp;
use super::text::sanitize_bytes;

const REACH_LIMIT: Duration = Duration::from_secs(10);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
const AUTH_LIMIT: Duration = Duration::from_secs(20);

/// A channel's receive window, granted by russh whether or not we read. What a flood has under way
/// is in front of its neighbours' next tokens, so it is no larger than an answer needs: 10 MB/s
/// at 100 ms there and back.
const WINDOW: u32 = 1024 * 1024;
const PACKET: u32 = 32 * 1024;

/// Messages between russh's loop and a pump. The pump never waits, so this only
/// bridges the time until it runs.
const CHANNEL_MESSAGES: usize = 256;

/// What every hop of a route is reached with.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) environment: Arc<Environment>,
    pub(super) prompter: Arc<dyn Prompter>,
    pub(super) observer: Arc<dyn Observer>,
}

/// Connects along the whole route, outside of any pool: for a test of a target
/// that shall not share anything with connections in use.
///
/// Dropping the future ends whatever was under way.
pub async fn connect(
    target: &Target,
    environment: Arc<Environment>,
    prompter: Arc<dyn Prompter>,
    observer: Arc<dyn Observer>,
) -> Result<Session, Error> {
    let dialer = Dialer {
        environment,
        prompter,
        observer,
    };
    if target.transport == Transport::System {
        return dialer.reach_by_system(target).await;
    }
    // Held over all hops, so that a passphrase is asked for once.
    let _keyring = dialer.environment.memory.keyring();
    let mut session = None;
    for hop in 0..target.hops.len() {
        session = Some(dialer.reach(target, hop, session).await?);
    }
    session.ok_or_else(|| no_route(target))
}

/// The error for a target without hops.
pub(super) fn no_route(target: &Target) -> Error {
    Error {
        place: place(target, 0),
        cause: Cause::NoRoute,
    }
}

pub(super) fn place(target: &Target, index: usize) -> Arc<Place> {
    let hop = target.hops.get(index);
    Arc::new(Place {
        hop: index,
        hops: target.hops.len(),
        host: hop.map(|hop| hop.host.clone()).unwrap_or_default(),
        port: hop.map_or(0, |hop| hop.port),
        username: hop.map(|hop| hop.username.clone()).unwrap_or_default(),
    })
}

impl Dialer {
    /// Connects to one hop, from here or through the hop before it.
    pub(super) async fn reach(
        &self,
        target: &Target,
        index: usize,
        before: Option<Session>,
    ) -> Result<Session, Error> {
        let Some(hop) = target.hops.get(index) else {
            return Err(no_route(target));
        };
        let stages = Stages::new(self.observer.clone(), index, &hop.host);
        let attempt = Attempt {
            dialer: self,
            hop,
            place: place(target, index),
            stages: stages.clone(),
            clock: Clock::start(hop.connect_timeout),
        };
        let reached = attempt.run(before).await;
        if reached.is_err() {
            stages.fail();
        }
        reached
    }
}

impl Dialer {
    /// Lets the system's `ssh` go the whole route.
    pub(super) async fn reach_by_system(&self, target: &Target) -> Result<Session, Error> {
        let Some((hop, before)) = target.hops.split_last() else {
            return Err(no_route(target));
        };
        for (index, hop) in before.iter().enumerate() {
            let stages = Stages::new(self.observer.clone(), index, &hop.host);
            for stage in Stage::ALL {
                stages.skip(stage, "left to the system's ssh");
            }
        }
        let stages = Stages::new(self.observer.clone(), before.len(), &hop.host);
        let link = Link::new(
            place(target, before.len()),
            self.environment.memory.budget(),
        );
        let abandon = link.cut.clone().drop_guard();
        let connected =
            Master::connect(target, &self.environment, &self.prompter, &stages, &link).await;
        match connected {
            Ok((master, login)) => {
                abandon.disarm();
                Ok(Session::start_system(link, master, login))
            }
            Err(cause) => {
                stages.fail();
                Err(link.error(cause))
            }
        }
    }
}

/// One hop's connect.
struct Attempt<'a> {
    dialer: &'a Dialer,
    hop: &'a Hop,
    place: Arc<Place>,
    stages: Arc<Stages>,
    clock: Clock,
}

impl Attempt<'_> {
    async fn run(&self, before: Option<Session>) -> Result<Session, Error> {
        match before {
            None => match &self.hop.proxy_command {
                None => {
                    let stream = self.dial().await.map_err(|cause| self.error(cause))?;
                    self.log_in(stream).await
                }
                Some(command) => self.through(command).await,
            },
            Some(before) => {
                let stream = self.jump(&before).await?;
                self.log_in(stream).await
            }
        }
    }

    fn error(&self, cause: Cause) -> Error {
        Error {
            place: self.place.clone(),
            cause,
        }
    }

    async fn dial(&self) -> Result<tcp::Stream, Cause> {
        let begun = tokio::time::Instant::now();
        self.stages.begin(Stage::Resolve);
        let addresses = self
            .clock
            .run(
                REACH_LIMIT,
                tcp::resolve(&self.hop.host, self.hop.port, self.hop.address_family),
            )
            .await
            .map_err(|expired| match expired {
                Expired::Phase(after) | Expired::Total(after) => Cause::ResolveTimeout { after },
            })??;
        let shown: Vec<_> = addresses
            .iter()
            .map(|address| address.ip().to_string())
            .collect();
        self.stages.pass(&shown.join(", "));

        self.stages.begin(Stage::Tcp);
        let left = REACH_LIMIT.saturating_sub(begun.elapsed());
        let stream = self
            .clock
            .run(
                left,
                tcp::connect(&addresses, self.hop.bind_address.as_deref()),
            )
            .await
            .map_err(|expired| Cause::Unanswered {
                after: match expired {
                    Expired::Phase(_) => REACH_LIMIT,
                    Expired::Total(after) => after,
                },
            })??;
        self.stages.pass(&stream.peer());
        Ok(stream)
    }

    /// Connects through a proxy command.
    async fn through(&self, command: &str) -> Result<Session, Error> {
        self.stages
            .skip(Stage::Resolve, "left to the proxy command");
        self.stages.begin(Stage::Tcp);
        let environment = &self.dialer.environment;
        let (stream, report) = proxy_command::start(command, &self.hop.host, environment)
            .map_err(|cause| self.error(cause))?;
        self.stages.pass("through the proxy command");
        let mut reached = self.log_in(stream).await;
        if let Err(error) = &mut reached {
            if error.cause.is_end_of_handshake()
                && let Some(cause) = report.failure().await
            {
                error.cause = cause;
            } else if error.cause.is_no_handshake() {
                let cause = Box::new(error.cause.clone());
                error.cause = Cause::ThroughProxyCommand { cause };
            }
        }
        reached
    }

    async fn jump(&self, before: &Session) -> Result<Stream, Error> {
        let via = before.place();
        let reason = format!("looked up by {}", via.host);
        self.stages.skip(Stage::Resolve, &reason);
        self.stages.begin(Stage::Tcp);
        let to = Destination::Tcp {
            host: self.hop.host.clone(),
            port: self.hop.port,
        };
        let not_reached = |cause| {
            self.error(Cause::NotReachedThrough {
                via: Place::clone(via),
                cause: Box::new(cause),
            })
        };
        let opened = self.clock.run(REACH_LIMIT, before.open(to)).await;
        let stream = match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(match error.cause {
                    cause @ (Cause::DestinationRefused { .. } | Cause::ChannelTimeout { .. }) => {
                        not_reached(cause)
                    }
                    // The hop before is what failed: its connection, or its policy.
                    _ => error,
                });
            }
            Err(Expired::Phase(after) | Expired::Total(after)) => {
                return Err(not_reached(Cause::Unanswered { after }));
            }
        };
        self.stages.pass(&format!("through {}", via.host));
        Ok(stream)
    }

    async fn log_in<S>(&self, stream: S) -> Result<Session, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let budget = self.dialer.environment.memory.budget();
        let link = Link::new(self.place.clone(), budget);
        // Until the session stands, russh's task must not outlive this attempt.
        let abandon = link.cut.clone().drop_guard();
        let (egress, gate) = Egress::new(stream, link.cut.clone(), link.backlog.clone());
        let in_session =
            async {
                let mut handle = self.handshake(egress, &gate, &link).await?;
                self.stages.begin(Stage::Auth);
                let login = Login {
                    handle: &mut handle,
                    hop: self.hop,
                    link: &link,
                    environment: &self.dialer.environment,
                    prompter: &self.dialer.prompter,
                    clock: &self.clock,
                    gate: &gate,
                    keyring: self.dialer.environment.memory.keyring(),
                    ledger: Ledger::default(),
                };
                let logged_in = self.clock.run(AUTH_LIMIT, login.run()).await.map_err(
                    |expired| match expired {
                        Expired::Phase(after) => Cause::AuthTimeout { after },
                        Expired::Total(after) => Cause::ConnectTimeout { after },
                    },
                )?;
                let logged_in = logged_in.map_err(Cause::of_login)?;
                self.stages.pass(&logged_in.method);
                Ok((handle, logged_in))
            };
        let (handle, logged_in) = in_session.await.map_err(|cause| link.error(cause))?;
        abandon.disarm();
        Ok(Session::start(link, handle, gate, logged_in))
    }

    /// Banner, key exchange and host key.
    async fn handshake<S>(
        &self,
        egress: Egress<S>,
        gate: &Gate,
        link: &Arc<Link>,
    ) -> Result<Handle<ClientHandler>, Cause>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let environment = &self.dialer.environment;
        let recorded = host_key::recorded(&self.place, &self.hop.known_hosts, environment)
            .await
            .inspect_err(|_| self.stages.begin(Stage::HostKey))?;
        self.stages.begin(Stage::SshHandshake);
        let preferred = algorithms::preferred(&self.hop.algorithms, &recorded)?;
        let offered = Offered {
            keys: preferred.key.to_vec(),
            certificates: preferred.host_key_certificates.to_vec(),
        };
        let config = Arc::new(self.config(preferred));
        let verifier = Verifier {
            place: Place::clone(&self.place),
            policy: self.hop.host_key_policy,
            files: self.hop.known_hosts.clone(),
            environment: environment.clone(),
            prompter: self.dialer.prompter.clone(),
            clock: self.clock.clone(),
        };
        let handler = ClientHandler::new(link.clone(), verifier, offered, self.stages.clone());
        let shaken = self
            .clock
            .run(
                HANDSHAKE_LIMIT,
                client::connect_stream(config, egress, handler),
            )
            .await;
        match shaken {
            Ok(Ok(handle)) => Ok(handle),
            Ok(Err(HandlerError::Refused(cause))) => Err(*cause),
            Ok(Err(HandlerError::Russh(error))) => {
                Err(handshake_failure(error, &gate.first_words(), link))
            }
            Err(expired) => {
                let said = gate.first_words();
                Err(match expired {
                    _ if is_foreign(&said) => not_ssh(&said),
                    Expired::Phase(after) => Cause::HandshakeTimeout { after },
                    Expired::Total(after) => Cause::ConnectTimeout { after },
                })
            }
        }
    }

    fn config(&self, preferred: Preferred) -> client::Config {
        let version = &self.dialer.environment.client_version;
        client::Config {
            client_id: SshId::Standard(Cow::Owned(format!("SSH-2.0-{version}"))),
            window_size: WINDOW,
            maximum_packet_size: PACKET,
            channel_buffer_size: CHANNEL_MESSAGES,
            preferred,
            keepalive_interval: self.hop.keepalive_interval.filter(|every| !every.is_zero()),
            // For russh, none means to ask for ever.
            keepalive_max: usize::try_from(self.hop.keepalive_count_max.max(1))
                .unwrap_or(usize::MAX),
            ..client::Config::default()
        }
    }
}

fn handshake_failure(error: RusshError, said: &[u8], link: &Link) -> Cause {
    match error {
        RusshError::NoCommonAlgo { kind, ours, theirs } => Cause::NoCommonAlgorithm {
            kind: match kind {
                AlgorithmKind::Kex => "key exchange",
                AlgorithmKind::Key => "host key",
                AlgorithmKind::Cipher => "cipher",
                AlgorithmKind::Compression => "compression",
                AlgorithmKind::Mac => "MAC",
            },
            ours,
            theirs: theirs
                .iter()
                .map(|name| super::text::sanitize(name))
                .collect(),
        },
        _ if is_foreign(said) => not_ssh(said),
        RusshError::Version => not_ssh(said),
        RusshError::Disconnect | RusshError::HUP | RusshError::IO(_) | RusshError::SendError => {
            if let cause @ Cause::Disconnected { message: Some(_) } = link.cause() {
                return cause;
            }
            let words = String::from_utf8_lossy(said);
            let said = words.split("SSH-2.0-").next().unwrap_or_default();
            Cause::HandshakeClosed {
                said: Some(sanitize_bytes(said.as_bytes())).filter(|said| !said.is_empty()),
            }
        }
        error => classify(error),
    }
}

/// Whether the first words are those of something else than an SSH server. One
/// that is overloaded or bans us may say so in a line of its own first.
fn is_foreign(said: &[u8]) -> bool {
    let words = String::from_utf8_lossy(said);
    !words.is_empty()
        && !words.contains("SSH-")
        && !words.contains("MaxStartups")
        && !words.contains("Not allowed at this time")
}

fn not_ssh(said: &[u8]) -> Cause {
    let words = String::from_utf8_lossy(said);
    let first = words.lines().next().unwrap_or_default();
    Cause::NotSsh {
        said: super::text::sanitize(first),
    }
}
