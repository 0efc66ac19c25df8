//! Idle connections of one server.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until},
};

use super::connection::Connection;

/// Below the shortest limit of the servers (5 s), so that we let go first.
const IDLE: Duration = Duration::from_secs(4);

/// Some servers give each connection a thread, idle or not, and have few.
const MAX_IDLE: usize = 2;

/// Clone = same connections.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    /// In the order in which they were put; not the order of expiry.
    idle: Vec<Idle>,
    /// A task is waiting to throw the expired ones away.
    swept: bool,
}

struct Idle {
    connection: Connection,
    expires: Instant,
}

impl Pool {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection used last that is still good.
    pub(super) fn take(&self) -> Option<Connection> {
        loop {
            let Idle {
                mut connection,
                expires,
            } = self.shelf().idle.pop()?;
            if Instant::now() < expires && connection.is_reusable() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose response has been read to its end. `limit` is what the server
    /// says of its own patience.
    pub(super) fn put(&self, mut connection: Connection, limit: Option<Duration>) {
        let margin = Duration::from_secs(1);
        let idle = limit.map_or(IDLE, |limit| limit.saturating_sub(margin).min(IDLE));
        // Without a runtime nobody would close it again.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if idle.is_zero() || !connection.is_reusable() {
            return;
        }
        let mut shelf = self.shelf();
        if shelf.idle.len() >= MAX_IDLE {
            shelf.idle.remove(0);
        }
        let expires = Instant::now() + idle;
        shelf.idle.push(Idle {
            connection,
            expires,
        });
        if !std::mem::replace(&mut shelf.swept, true) {
            runtime.spawn(sweep(Arc::downgrade(&self.0)));
        }
    }
}

/// Closes connections as they expire, and ends when none is left.
async fn sweep(shelf: std::sync::Weak<Mutex<Shelf>>) {
    loop {
        let next = {
            let Some(shelf) = shelf.upgrade() else { return };
            let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            shelf.idle.retain(|idle| idle.expires > now);
            let Some(next) = shelf.idle.iter().map(|idle| idle.expires).min() else {
                shelf.swept = false;
                return;
            };
            next
        };
        sleep_until(next).await;
    }
}
