//! One connection per route, shared by everybody who goes the same way.
//!
//! Also the hops in between are shared: two targets behind one bastion connect to it once. Each
//! route has one task, its [`owner`], which connects, keeps, reconnects and closes.

mod backoff;
mod demands;
mod key;
mod owner;
mod shared;
mod state;
mod wake;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::demands::Demand;
use self::key::Key;
use self::owner::{Order, Owner};
use self::shared::Shared;
pub use self::state::{State, Step};
use super::clock::LONGEST;
use super::connect::{Dialer, no_route, place};
use super::error::{Cause, Error};
use super::observe::Observer;
use super::prompt::{BoxFuture, Prompter};
use super::session::Session;
use super::target::{Environment, Target, Transport};

/// The daemon itself has to be gone within two seconds.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(1500);

/// Orders that may wait for an owner, which never takes long to look at them.
const ORDERS: usize = 64;

/// The connections of the process. Clones are the same pool.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    environment: Arc<Environment>,
    owners: Mutex<HashMap<Key, Handle>>,
    resumed: Arc<Notify>,
    /// No new connections after this.
    shut: CancellationToken,
}

/// The way to an owner.
#[derive(Clone)]
struct Handle {
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
}

impl Pool {
    /// No connections. Must be called inside a runtime.
    pub fn new(environment: Arc<Environment>) -> Self {
        let pool = Self(Arc::new(Inner {
            environment,
            owners: Mutex::default(),
            resumed: Arc::default(),
            shut: CancellationToken::new(),
        }));
        let resumed = Arc::clone(&pool.0.resumed);
        tokio::spawn(wake::watch(Arc::downgrade(&pool.0), resumed));
        pool
    }

    /// The connection to a target, made if there is none.
    ///
    /// However many ask, one connects; questions go through the `prompter` of the first to ask. A
    /// connection that was lost is waited for, for `patience`; the time that people take to answer
    /// is not limited by it.
    ///
    /// # Cancel safety
    /// Dropping the future gives up waiting; the connect goes on for the others, and stops when
    /// nobody waits any more.
    pub async fn session(
        &self,
        target: &Target,
        prompter: Arc<dyn Prompter>,
        patience: Duration,
    ) -> Result<Session, Error> {
        let until = deadline(patience);
        let wish = Wish {
            prompter,
            observer: None,
            until,
        };
        self.0.session(target, target.hops.len(), wish).await
    }

    /// The connection to a target if there is a living one; `None` also when
    /// [`session`](Self::session) would make a new one instead. Counts as use.
    pub fn current(&self, target: &Target) -> Option<Session> {
        let handle = self.0.find(&Key::of(target))?;
        handle.shared.usable()
    }

    /// What the connection to a target is doing, from now on. A target that is watched is
    /// connected again by itself when it was lost.
    pub fn watch(&self, target: &Target) -> watch::Receiver<State> {
        let mut owners = self.0.owners();
        let key = Key::of(target);
        let handle = self.0.find_or_start(&mut owners, key);
        handle.shared.subscribe()
    }

    /// Measures the round trip of a connection that is there, for at most two seconds. One that
    /// doesn't answer by then is given up, and its state says so when this returns.
    pub async fn probe(&self, target: &Target) {
        if let Some(handle) = self.0.find(&Key::of(target)) {
            handle.probe().await;
        }
    }

    /// The computer woke up, or its network changed: probes every connection soon, and tries again
    /// at once where one was lost.
    pub fn resumed(&self) {
        self.0.resumed.notify_one();
    }

    /// Ends the connection to a target, and a connect that is under way.
    pub async fn disconnect(&self, target: &Target) {
        let Some(handle) = self.0.find(&Key::of(target)) else {
            return;
        };
        let (done, ended) = oneshot::channel();
        if handle.orders.send(Order::Disconnect(done)).await.is_ok() {
            // An owner that is gone has closed everything, too.
            let _ = ended.await;
        }
    }

    /// Ends everything, within a second and a half; no connection is made any more.
    pub async fn shutdown(&self) {
        self.0.shut.cancel();
        let owners: Vec<_> = self.0.owners().drain().collect();
        let mut sessions: Vec<_> = owners
            .into_iter()
            .flat_map(|(key, handle)| {
                let taken = handle.shared.take_all();
                taken.into_iter().map(move |session| (key.hops(), session))
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
            .field("routes", &self.0.owners().len())
            .finish_non_exhaustive()
    }
}

/// How somebody wants a connection.
struct Wish {
    prompter: Arc<dyn Prompter>,
    observer: Option<Arc<dyn Observer>>,
    until: Instant,
}

impl Inner {
    fn owners(&self) -> MutexGuard<'_, HashMap<Key, Handle>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &Key) -> Option<Handle> {
        self.owners().get(key).cloned()
    }

    fn find_or_start(self: &Arc<Self>, owners: &mut HashMap<Key, Handle>, key: Key) -> Handle {
        if let Some(handle) = owners.get(&key)
            && !handle.orders.is_closed()
        {
            return handle.clone();
        }
        let (orders, received) = mpsc::channel(ORDERS);
        let shared = Arc::new(Shared::default());
        let handle = Handle {
            orders,
            shared: Arc::clone(&shared),
        };
        let owner = Owner::new(Arc::downgrade(self), key.clone(), shared, received);
        tokio::spawn(owner.run(self.shut.clone()));
        owners.insert(key, handle.clone());
        handle
    }

    /// The connection to the first `hops` hops of a target.
    fn session<'a>(
        self: &'a Arc<Self>,
        target: &'a Target,
        hops: usize,
        wish: Wish,
    ) -> BoxFuture<'a, Result<Session, Error>> {
        Box::pin(async move {
            if hops == 0 || hops > target.hops.len() {
                return Err(no_route(target));
            }
            let closed = || Error {
                place: place(target, hops - 1),
                cause: Cause::Closed,
            };
            if self.shut.is_cancelled() {
                return Err(closed());
            }
            let key = Key::of_beginning(target, hops);
            let (reply, answer) = oneshot::channel();
            let mut order = Order::Demand(Box::new(Demand {
                target: target.clone(),
                prompter: wish.prompter,
                observer: wish.observer,
                until: wish.until,
                reply,
            }));
            loop {
                let handle = self.find_or_start(&mut self.owners(), key.clone());
                if let Some(session) = handle.shared.usable() {
                    return Ok(session);
                }
                match handle.orders.send(order).await {
                    Ok(()) => break,
                    // It has ended in this moment, for want of work.
                    Err(mpsc::error::SendError(refused)) => order = refused,
                }
                if self.shut.is_cancelled() {
                    return Err(closed());
                }
            }
            answer.await.unwrap_or_else(|_| Err(closed()))
        })
    }

    /// Connects to the first `hops` hops of a target, sharing what is before the last of them.
    async fn connect(
        self: Arc<Self>,
        target: Target,
        hops: usize,
        dialer: Dialer,
        until: Instant,
    ) -> Result<Session, Error> {
        if target.transport == Transport::System {
            return dialer.reach_by_system(&target).await;
        }
        // Held over all hops, so that a passphrase is asked for once.
        let _keyring = dialer.environment.memory.keyring();
        let before = if hops > 1 {
            let wish = Wish {
                prompter: Arc::clone(&dialer.prompter),
                observer: Some(Arc::clone(&dialer.observer)),
                until,
            };
            Some(self.session(&target, hops - 1, wish).await?)
        } else {
            None
        };
        dialer.reach(&target, hops - 1, before).await
    }

    async fn probe_all(&self) {
        let handles: Vec<_> = self.owners().values().cloned().collect();
        join_all(handles.iter().map(Handle::probe)).await;
    }

    /// Takes an owner that has nothing to do out of the table, unless somebody wants something
    /// of it after all.
    fn forget(&self, key: &Key, unwanted: impl FnOnce() -> bool) -> bool {
        let mut owners = self.owners();
        let forgotten = unwanted();
        if forgotten {
            owners.remove(key);
        }
        forgotten
    }
}

impl Handle {
    async fn probe(&self) {
        let (done, probed) = oneshot::channel();
        if self.orders.send(Order::Probe(done)).await.is_ok() {
            let _ = probed.await;
        }
    }
}

fn deadline(patience: Duration) -> Instant {
    Instant::now() + patience.min(LONGEST)
}
