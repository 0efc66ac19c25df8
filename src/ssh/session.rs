//! An authenticated connection: opens streams, and ends in good order.

use std::fmt;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelOpenFailure, Disconnect, Error as RusshError};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::auth::LoggedIn;
use super::channel_io::{ChannelIo, Pump};
use super::egress::Gate;
use super::error::{Cause, Error, HostKeyInfo, Place};
use super::handler::{ClientHandler, classify};
use super::link::{Activity, Link};
use super::stream::Stream;
use super::system::Master;
use super::target::Destination;

/// How long a channel may take to open. The server's own connect to a
/// black hole takes minutes.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// The server's words about a refused channel are there already, or not at all.
/// Of several that are refused at once, each may get another's.
const WORDS_LIMIT: Duration = Duration::from_millis(100);

const PING_LIMIT: Duration = Duration::from_secs(2);

/// After so many channels closed from this side, russh's leavings are worth a
/// new connection: about 1.5 MiB.
const WORN_AFTER: usize = if cfg!(test) { 16 } else { 512 };

/// How soon a stream is opened by somebody who was given a connection.
const GIVEN_LIMIT: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 2_000 });

/// The steps of an orderly end: channels, goodbye, russh's end, the last bytes.
const CLOSE_CHANNELS_LIMIT: Duration = Duration::from_millis(300);
const GOODBYE_LIMIT: Duration = Duration::from_millis(300);
const END_LIMIT: Duration = Duration::from_millis(300);
const FLUSH_LIMIT: Duration = Duration::from_millis(200);

/// A connection to one machine. Clones are the same connection, which ends when
/// the last clone and the last stream are gone, or with [`close`](Self::close).
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    link: Arc<Link>,
    carrier: Carrier,
    login: LoggedIn,
    host_key: HostKeyInfo,
}

/// What opens streams.
enum Carrier {
    Library {
        handle: Arc<Handle<ClientHandler>>,
        gate: Gate,
    },
    System(Master),
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.link.closing.cancel();
    }
}

/// How long a connection lives: what was learned on it may hold as long.
#[derive(Debug, Clone)]
pub struct Lifetime(CancellationToken);

impl Lifetime {
    /// Whether the connection is gone.
    pub fn is_over(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Session {
    pub(super) fn start(
        link: Arc<Link>,
        handle: Handle<ClientHandler>,
        gate: Gate,
        login: LoggedIn,
    ) -> Self {
        let handle = Arc::new(handle);
        tokio::spawn(end_in_order(link.clone(), handle.clone(), gate.clone()));
        Self::new(link, Carrier::Library { handle, gate }, login)
    }

    /// A connection that the system's `ssh` holds.
    pub(super) fn start_system(link: Arc<Link>, master: Master, login: LoggedIn) -> Self {
        Self::new(link, Carrier::System(master), login)
    }

    fn new(link: Arc<Link>, carrier: Carrier, login: LoggedIn) -> Self {
        let host_key = link.host_key.get().cloned().unwrap_or(HostKeyInfo {
            key_type: String::new(),
            fingerprint: String::new(),
            bits: 0,
        });
        Self(Arc::new(Inner {
            link,
            carrier,
            login,
            host_key,
        }))
    }

    /// Opens a stream. Costs one round trip.
    ///
    /// Dropping the future gives the stream up: should it open later, it is
    /// closed at once.
    pub async fn open(&self, to: Destination) -> Result<Stream, Error> {
        let link = &self.0.link;
        link.touch(|streams| streams);
        let begun = Instant::now();
        let cause = match timeout(OPEN_LIMIT, self.open_unlimited(to.clone())).await {
            Ok(Ok(stream)) => {
                link.opened(begun.elapsed());
                return Ok(stream);
            }
            Ok(Err(cause)) => cause,
            Err(_) => Cause::ChannelTimeout {
                destination: to,
                after: OPEN_LIMIT,
            },
        };
        Err(link.error(cause))
    }

    async fn open_unlimited(&self, to: Destination) -> Result<Stream, Cause> {
        let inner = &self.0;
        match &inner.carrier {
            Carrier::Library { handle, gate } => {
                let (sender, receiver) = oneshot::channel();
                // An open that is cancelled would leave its channel behind at the
                // server: it runs in a task of its own.
                inner.link.tasks.spawn(open_detached(
                    Arc::downgrade(inner),
                    inner.link.clone(),
                    handle.clone(),
                    gate.clone(),
                    to,
                    sender,
                ));
                let opened = receiver.await.map_err(|_| inner.link.cause())?;
                opened.map(Stream::from)
            }
            Carrier::System(master) => {
                let opened = tokio::select! {
                    biased;
                    () = inner.link.dead.cancelled() => return Err(inner.link.cause()),
                    opened = master.open(&to, self.clone()) => opened?,
                };
                Ok(opened.into())
            }
        }
    }

    /// How the login was done: `publickey (~/.ssh/id_ed25519)`, `password`, …
    pub fn auth_method(&self) -> &str {
        &self.0.login.method
    }

    /// What the user named and was of no use for the login. Sentences.
    pub fn notes(&self) -> &[String] {
        &self.0.login.notes
    }

    /// Whether the login needed nobody's help, and can be repeated without any.
    pub fn logged_in_silently(&self) -> bool {
        self.0.login.silent
    }

    pub fn host_key(&self) -> &HostKeyInfo {
        &self.0.host_key
    }

    /// The machine at the end of the route.
    pub fn place(&self) -> &Place {
        &self.0.link.place
    }

    pub fn is_alive(&self) -> bool {
        !self.0.link.dead.is_cancelled() && !self.0.link.closing.is_cancelled()
    }

    /// Waits until the connection is gone, for whatever reason, and tells it.
    pub async fn closed(&self) -> Error {
        self.0.link.dead.cancelled().await;
        self.0.link.loss()
    }

    /// One round trip to the server, at most two seconds; `None` where it can't be
    /// measured, because the system's `ssh` holds the connection.
    pub async fn latency(&self) -> Result<Option<Duration>, Error> {
        let link = &self.0.link;
        let Carrier::Library { handle, .. } = &self.0.carrier else {
            return if self.is_alive() {
                Ok(None)
            } else {
                Err(link.loss())
            };
        };
        let begun = Instant::now();
        let ping = timeout(PING_LIMIT, handle.send_ping());
        // russh calls a ping to a dead connection answered.
        let answered = tokio::select! {
            biased;
            () = link.dead.cancelled() => return Err(link.loss()),
            answered = ping => answered,
        };
        match answered {
            Ok(Ok(())) if !link.dead.is_cancelled() => Ok(Some(begun.elapsed())),
            Ok(_) => Err(link.loss()),
            Err(_) => Err(link.error(Cause::KeepaliveTimeout)),
        }
    }

    /// Closes all streams, says goodbye, and waits until the connection is gone;
    /// about a second at most.
    pub async fn close(&self) {
        self.0.link.closing.cancel();
        self.0.link.over.cancelled().await;
    }

    /// Ends the connection at once, because its server does not answer.
    pub(super) fn give_up(&self) {
        self.0.link.end(Cause::KeepaliveTimeout);
        self.0.link.cut.cancel();
    }

    /// Whether it ended because this side wanted it to.
    pub(super) fn was_closed_here(&self) -> bool {
        matches!(self.0.link.cause(), Cause::Closed)
    }

    /// Ends the connection in good order when it has no streams, and those who were given it have
    /// had the time to open one.
    pub(super) async fn retire(self) {
        unused_for(&mut self.activity(), Some(GIVEN_LIMIT)).await;
        self.close().await;
    }

    /// When it was used last; `None`: never. A stream that is open is in use now.
    pub(super) fn last_use(&self) -> Option<Instant> {
        let activity = *self.0.link.activity.borrow();
        if activity.streams > 0 {
            return Some(Instant::now());
        }
        Some(activity.last).filter(|last| *last > self.0.link.begun)
    }

    /// How long ago it began to be made.
    pub(super) fn age(&self) -> Duration {
        self.0.link.begun.elapsed()
    }

    /// How many streams are open.
    pub(super) fn streams(&self) -> usize {
        self.0.link.activity.borrow().streams
    }

    /// Waits until its channels take too long to open.
    pub(super) fn when_saturated(&self) -> impl Future<Output = ()> + Send + 'static {
        let link = self.0.link.clone();
        async move { link.saturated.notified().await }
    }

    /// Whether this connection had better be replaced, and can be without
    /// asking anybody.
    pub(super) fn is_worn(&self) -> bool {
        self.0.login.silent && self.0.link.closed_here.load(Ordering::Relaxed) >= WORN_AFTER
    }

    /// The error for everything that was under way.
    pub(super) fn loss(&self) -> Error {
        self.0.link.loss()
    }

    #[cfg(test)]
    pub(super) fn link(&self) -> &Link {
        &self.0.link
    }

    pub(super) fn stream_opened(&self) {
        self.0.link.touch(|streams| streams + 1);
    }

    pub(super) fn stream_closed(&self) {
        self.0.link.touch(|streams| streams.saturating_sub(1));
    }

    pub(super) fn touch(&self) {
        self.0.link.touch(|streams| streams);
    }

    pub(super) fn activity(&self) -> watch::Receiver<Activity> {
        self.0.link.activity.subscribe()
    }

    /// Without keeping the connection open.
    pub(super) fn when_gone(&self) -> impl Future<Output = ()> + Send + 'static {
        let link = self.0.link.clone();
        async move { link.dead.cancelled().await }
    }

    /// How long the connection lives, without keeping it open.
    pub fn lifetime(&self) -> Lifetime {
        Lifetime(self.0.link.dead.clone())
    }

    /// Whether both are the same connection.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("place", &self.0.link.place)
            .field("alive", &self.is_alive())
            .finish_non_exhaustive()
    }
}

/// Waits until a connection has had no streams, and was given to nobody, for so long; for ever if
/// `None`. Later use shows as a change of `activity`.
pub(super) async fn unused_for(activity: &mut watch::Receiver<Activity>, idle: Option<Duration>) {
    loop {
        let now = *activity.borrow_and_update();
        let unused = async {
            match idle.and_then(|idle| now.last.checked_add(idle)) {
                Some(end) if now.streams == 0 => sleep_until(end).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // Its sender lives as long as the session that is watched.
            _ = activity.changed() => {}
            () = unused => return,
        }
    }
}

async fn open_detached(
    inner: Weak<Inner>,
    link: Arc<Link>,
    handle: Arc<Handle<ClientHandler>>,
    gate: Gate,
    to: Destination,
    answer: oneshot::Sender<Result<ChannelIo, Cause>>,
) {
    let mut refusals = link.refusal.subscribe();
    let opened = tokio::select! {
        biased;
        () = link.dead.cancelled() => Err(link.cause()),
        () = link.closing.cancelled() => Err(Cause::Closed),
        opened = open_channel(&handle, &to) => match opened {
            Ok(channel) => Ok(channel),
            Err(error) => {
                let told = timeout(WORDS_LIMIT, refusals.changed()).await;
                let said = told.is_ok_and(|told| told.is_ok());
                let said = said.then(|| refusals.borrow().clone());
                Err(refusal(error, to, &link, said.filter(|said| !said.is_empty())))
            }
        },
    };
    let result = opened.and_then(|channel| {
        let pump = Pump::start(channel, &link, gate);
        match inner.upgrade() {
            Some(inner) => Ok(ChannelIo::new(&pump, Session(inner))),
            None => {
                pump.stop();
                Err(Cause::Closed)
            }
        }
    });
    // Nobody waits any more: dropping the stream closes it.
    let _ = answer.send(result);
}

async fn open_channel(
    handle: &Handle<ClientHandler>,
    to: &Destination,
) -> Result<Channel<Msg>, RusshError> {
    match to {
        // The originator is of no use to anybody; OpenSSH sends the like for -W.
        Destination::Tcp { host, port } => {
            handle
                .channel_open_direct_tcpip(host.clone(), u32::from(*port), "127.0.0.1", 0)
                .await
        }
        Destination::Unix { path } => handle.channel_open_direct_streamlocal(path.clone()).await,
    }
}

fn refusal(
    error: RusshError,
    destination: Destination,
    link: &Link,
    said: Option<String>,
) -> Cause {
    match error {
        RusshError::ChannelOpenFailure(failure) => match failure {
            ChannelOpenFailure::ConnectFailed => Cause::DestinationRefused { destination, said },
            ChannelOpenFailure::AdministrativelyProhibited => {
                Cause::ForwardingDenied { destination }
            }
            ChannelOpenFailure::UnknownChannelType => Cause::ForwardingUnsupported { destination },
            ChannelOpenFailure::ResourceShortage => Cause::ServerFull { destination },
            ChannelOpenFailure::Other { .. } => Cause::DestinationRefused { destination, said },
        },
        RusshError::SendError | RusshError::Disconnect => link.cause(),
        error => classify(error),
    }
}

/// Lives as long as the connection: ends it in good order when asked to.
async fn end_in_order(link: Arc<Link>, handle: Arc<Handle<ClientHandler>>, gate: Gate) {
    let _over = link.over.clone().drop_guard();
    tokio::select! {
        biased;
        () = link.dead.cancelled() => {}
        () = link.closing.cancelled() => {
            link.tasks.close();
            let _ = timeout(CLOSE_CHANNELS_LIMIT, link.tasks.wait()).await;
            let goodbye = handle.disconnect(Disconnect::ByApplication, "", "");
            let _ = timeout(GOODBYE_LIMIT, goodbye).await;
            let _ = timeout(END_LIMIT, link.dead.cancelled()).await;
            let _ = timeout(FLUSH_LIMIT, gate.emptied()).await;
        }
    }
    link.cut.cancel();
    // Without its socket, russh's task ends, and that ends the connection. Should
    // it be stuck, nobody waits for it all the same.
    let _ = timeout(END_LIMIT, link.dead.cancelled()).await;
    link.dead.cancel();
}
