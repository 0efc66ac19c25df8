//! One connection per route, shared by everybody who goes the same way.
//!
//! Also the hops in between are shared: two targets behind one bastion connect
//! to it once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::connect::{Dialer, no_route, place};
use super::error::{Cause, Error};
use super::flight::{Flight, Waiter};
use super::observe::Observer;
use super::prompt::{BoxFuture, Prompter};
use super::session::Session;
use super::target::{
    AddressFamily, Algorithms, AuthMethod, Environment, Hop, HostKeyPolicy, KnownHostsFiles,
    Target, Transport,
};

/// The daemon itself has to be gone within two seconds.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(1500);

/// The connections of the process. Clones are the same pool.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    environment: Arc<Environment>,
    idle: Duration,
    slots: Mutex<HashMap<Key, Slot>>,
    /// No new connections after this.
    shut: CancellationToken,
}

enum Slot {
    /// With a mark that tells one connect from the next.
    Connecting(Flight<Result<Session, Error>>, Arc<()>),
    Ready(Session),
}

impl Slot {
    /// The session, if it is good for somebody new. A worn one is left to those
    /// who use it, and ends when they are done.
    fn ready(&self) -> Option<Session> {
        match self {
            Self::Ready(session) if session.is_alive() && !session.is_worn() => {
                session.touch();
                Some(session.clone())
            }
            Self::Ready(_) | Self::Connecting(..) => None,
        }
    }
}

impl Target {
    /// Whether a pool gives both the same connection.
    pub fn shares_connection(&self, other: &Self) -> bool {
        key(self.transport, &self.hops) == key(other.transport, &other.hops)
    }
}

/// A route without its secrets and time-outs.
type Key = (Transport, Vec<HopKey>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct HopKey {
    host: String,
    port: u16,
    username: String,
    auth: AuthMethod,
    private_key_path: Option<PathBuf>,
    identity_files: Option<Vec<PathBuf>>,
    certificate_paths: Vec<PathBuf>,
    identity_agent: Option<PathBuf>,
    identities_only: bool,
    preferred_authentications: Option<Vec<String>>,
    host_key_policy: HostKeyPolicy,
    known_hosts: KnownHostsFiles,
    algorithms: Algorithms,
    address_family: AddressFamily,
    bind_address: Option<String>,
    proxy_command: Option<String>,
    /// What the system's `ssh` looks up by itself: under which name, and whether at all.
    looked_up: Option<(Option<String>, bool)>,
}

fn key(transport: Transport, hops: &[Hop]) -> Key {
    let hops = hops
        .iter()
        .map(|hop| HopKey {
            host: hop.host.to_ascii_lowercase(),
            port: hop.port,
            username: hop.username.clone(),
            auth: hop.auth,
            private_key_path: hop.private_key_path.clone(),
            identity_files: hop.identity_files.clone(),
            certificate_paths: hop.certificate_paths.clone(),
            identity_agent: hop.identity_agent.clone(),
            identities_only: hop.identities_only,
            preferred_authentications: hop.preferred_authentications.clone(),
            host_key_policy: hop.host_key_policy,
            known_hosts: hop.known_hosts.clone(),
            algorithms: hop.algorithms.clone(),
            address_family: hop.address_family,
            bind_address: hop.bind_address.clone(),
            proxy_command: hop.proxy_command.clone(),
            looked_up: (transport == Transport::System)
                .then(|| (hop.alias.clone(), hop.use_ssh_config)),
        })
        .collect();
    (transport, hops)
}

impl Pool {
    /// A connection without streams is closed after `idle`.
    pub fn new(environment: Arc<Environment>, idle: Duration) -> Self {
        Self(Arc::new(Inner {
            environment,
            idle,
            slots: Mutex::default(),
            shut: CancellationToken::new(),
        }))
    }

    /// The connection to a target, made if there is none.
    ///
    /// However many ask, one connects; `prompter` and `observer` are those of
    /// the first to ask. Dropping the future gives up waiting; the connect goes
    /// on for the others, and stops when nobody waits any more.
    pub async fn session(
        &self,
        target: &Target,
        prompter: Arc<dyn Prompter>,
        observer: Arc<dyn Observer>,
    ) -> Result<Session, Error> {
        let dialer = Dialer {
            environment: self.0.environment.clone(),
            prompter,
            observer,
        };
        self.0.session(target, target.hops.len(), dialer).await
    }

    /// The connection to a target if there is a living one; `None` also when
    /// [`session`](Self::session) would make a new one instead. Counts as use.
    pub fn current(&self, target: &Target) -> Option<Session> {
        self.0
            .slots()
            .get(&key(target.transport, &target.hops))?
            .ready()
    }

    /// Ends the connection to a target, and a connect that is under way.
    pub async fn disconnect(&self, target: &Target) {
        let slot = self.0.slots().remove(&key(target.transport, &target.hops));
        match slot {
            Some(Slot::Ready(session)) => session.close().await,
            Some(Slot::Connecting(flight, _)) => flight.stop(),
            None => {}
        }
    }

    /// Ends everything, within a second and a half; no connection is made any more.
    pub async fn shutdown(&self) {
        self.0.shut.cancel();
        let slots: Vec<_> = self.0.slots().drain().collect();
        let mut sessions: Vec<_> = slots
            .into_iter()
            .filter_map(|(key, slot)| match slot {
                Slot::Ready(session) => Some((key.1.len(), session)),
                Slot::Connecting(flight, _) => {
                    flight.stop();
                    None
                }
            })
            .collect();
        // Those behind a jump host first, so that their goodbye still gets through.
        sessions.sort_by_key(|(hops, _)| std::cmp::Reverse(*hops));
        let closing = async {
            let same_length = |a: &(usize, Session), b: &(usize, Session)| a.0 == b.0;
            for group in sessions.chunk_by(same_length) {
                join_all(group.iter().map(|(_, session)| session.close())).await;
            }
        };
        // What has not ended by then ends with the process.
        let _ = tokio::time::timeout(SHUTDOWN_LIMIT, closing).await;
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("connections", &self.0.slots().len())
            .finish_non_exhaustive()
    }
}

/// What a route's slot has for somebody who asks.
enum Found {
    Session(Session),
    Wait(Waiter<Result<Session, Error>>),
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to the first `hops` hops of a target.
    fn session<'a>(
        self: &'a Arc<Self>,
        target: &'a Target,
        hops: usize,
        dialer: Dialer,
    ) -> BoxFuture<'a, Result<Session, Error>> {
        Box::pin(async move {
            let Some(route) = target.hops.get(..hops).filter(|route| !route.is_empty()) else {
                return Err(no_route(target));
            };
            let closed = || Error {
                place: place(target, hops - 1),
                cause: Cause::Closed,
            };
            if self.shut.is_cancelled() {
                return Err(closed());
            }
            match self.find_or_start(key(target.transport, route), target, hops, dialer) {
                Found::Session(session) => Ok(session),
                Found::Wait(waiter) => tokio::select! {
                    biased;
                    () = self.shut.cancelled() => Err(closed()),
                    result = waiter.wait() => result.unwrap_or_else(|| Err(closed())),
                },
            }
        })
    }

    fn find_or_start(
        self: &Arc<Self>,
        key: Key,
        target: &Target,
        hops: usize,
        dialer: Dialer,
    ) -> Found {
        let mut slots = self.slots();
        if let Some(session) = slots.get(&key).and_then(Slot::ready) {
            return Found::Session(session);
        }
        if let Some(Slot::Connecting(flight, _)) = slots.get(&key)
            && let Some(waiter) = flight.join()
        {
            return Found::Wait(waiter);
        }
        let mark = Arc::new(());
        let work = {
            let (pool, key, target) = (Arc::clone(self), key.clone(), target.clone());
            let mark = mark.clone();
            async move {
                let result = pool.connect(&target, hops, dialer).await;
                pool.landed(key, &mark, &result);
                result
            }
        };
        let (flight, waiter) = Flight::start(work);
        slots.insert(key, Slot::Connecting(flight, mark));
        Found::Wait(waiter)
    }

    async fn connect(
        self: &Arc<Self>,
        target: &Target,
        hops: usize,
        dialer: Dialer,
    ) -> Result<Session, Error> {
        if target.transport == Transport::System {
            return dialer.reach_by_system(target).await;
        }
        // Held over all hops, so that a passphrase is asked for once.
        let _keyring = dialer.environment.memory.keyring();
        let before = if hops > 1 {
            Some(self.session(target, hops - 1, dialer.clone()).await?)
        } else {
            None
        };
        dialer.reach(target, hops - 1, before).await
    }

    /// Puts the outcome of a connect into its slot.
    fn landed(self: &Arc<Self>, key: Key, mark: &Arc<()>, result: &Result<Session, Error>) {
        let mut slots = self.slots();
        // The slot is no longer this connect's: it was stopped as it arrived.
        // Whoever waits still gets its session, and it ends with them.
        match slots.get(&key) {
            Some(Slot::Connecting(_, current)) if Arc::ptr_eq(current, mark) => {}
            _ => return,
        }
        match result {
            Ok(session) if !self.shut.is_cancelled() => {
                slots.insert(key.clone(), Slot::Ready(session.clone()));
                drop(slots);
                tokio::spawn(retire(
                    Arc::downgrade(self),
                    key,
                    session.clone(),
                    self.idle,
                ));
            }
            _ => {
                slots.remove(&key);
            }
        }
    }

    /// Takes a session out of its slot, unless `keep` says otherwise. Nobody is
    /// given it in between.
    fn forget(&self, key: &Key, session: &Session, keep: impl FnOnce() -> bool) -> bool {
        let mut slots = self.slots();
        if keep() {
            return false;
        }
        if matches!(slots.get(key), Some(Slot::Ready(current)) if current.is(session)) {
            slots.remove(key);
        }
        true
    }
}

/// Waits until a session is gone, or was of no use for long enough; then lets it go.
async fn retire(pool: Weak<Inner>, key: Key, session: Session, idle: Duration) {
    let gone = session.when_gone();
    tokio::pin!(gone);
    let mut activity = session.activity();
    loop {
        let now = *activity.borrow_and_update();
        let unused = async {
            match now.last.checked_add(idle) {
                Some(end) if now.streams == 0 => tokio::time::sleep_until(end).await,
                _ => std::future::pending().await,
            }
        };
        let gone = tokio::select! {
            biased;
            () = &mut gone => true,
            changed = activity.changed() => match changed {
                Ok(()) => continue,
                Err(_) => true,
            },
            () = unused => false,
        };
        // Who was given it at the last moment has touched it.
        let used = || !gone && activity.has_changed().unwrap_or(false);
        let kept = pool
            .upgrade()
            .is_some_and(|pool| !pool.forget(&key, &session, used));
        if !kept {
            break;
        }
    }
    session.close().await;
}

#[cfg(test)]
mod tests {
    use super::super::target::Hop;
    use super::*;

    #[test]
    fn another_name_for_the_same_way_is_another_connection_only_for_the_system_s_ssh() {
        let named = |alias: &str, transport| Target {
            transport,
            ..Target::new(vec![Hop {
                alias: Some(alias.into()),
                ..Hop::new("gpu1", 22, "ai")
            }])
        };
        for (transport, shared) in [(Transport::Library, true), (Transport::System, false)] {
            let (one, other) = (named("a", transport), named("b", transport));
            assert_eq!(one.shares_connection(&other), shared, "{transport:?}");
            assert!(one.shares_connection(&named("a", transport)));
        }
        let [own, systems] = [Transport::Library, Transport::System].map(|by| named("a", by));
        assert!(!own.shares_connection(&systems));
    }

    #[tokio::test]
    async fn a_connect_that_was_stopped_leaves_the_slot_of_the_next_one_alone() {
        let environment = Environment::default();
        let pool = Pool::new(Arc::new(environment), Duration::ZERO);
        let target = Target::new(vec![Hop::new("gpu1", 22, "ai")]);
        let (stopped, current) = (Arc::new(()), Arc::new(()));
        let (flight, _waiter) = Flight::start(std::future::pending());
        let route = key(target.transport, &target.hops);
        let slot = Slot::Connecting(flight, current.clone());
        pool.0.slots().insert(route.clone(), slot);

        pool.0
            .landed(route.clone(), &stopped, &Err(no_route(&target)));
        assert!(pool.0.slots().contains_key(&route));
        pool.0
            .landed(route.clone(), &current, &Err(no_route(&target)));
        assert!(!pool.0.slots().contains_key(&route));
    }
}
