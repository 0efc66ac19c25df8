//! A network that misbehaves as told: a TCP proxy on loopback, in front of any address.
//!
//! Whatever is set, bytes are never lost, doubled or put into another order, except by what says
//! so: a dead way, a cut, a reset. What waits in the proxy is bounded, so that a slow way makes
//! the sender wait. Also used by the benches.

mod connection;
mod fault;
mod lane;
mod pace;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::Socket;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::journal::Journal;
use super::port;
pub(crate) use fault::{Admission, Cut, End, Fault, Way};

/// The kernel's share of what waits in front of a slow way. Its own choice, several megabytes,
/// would make every measurement one of that buffer.
const KERNEL_BUFFER: usize = 64 * 1024;

/// A running proxy; it and its connections end when it is dropped.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    port: u16,
    shared: Arc<Shared>,
    acceptor: AbortHandle,
}

/// What the proxy has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Connections accepted since the start.
    pub(crate) connections: usize,
    /// Connections open now.
    pub(crate) live: usize,
    /// Connections that were ended by a [`Cut`].
    pub(crate) cuts: usize,
    /// Bytes taken from the clients, and from the server.
    pub(crate) taken: PerWay<u64>,
    /// Bytes handed to the server, and to the clients.
    pub(crate) delivered: PerWay<u64>,
}

/// One of each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PerWay<T> {
    pub(crate) up: T,
    pub(crate) down: T,
}

impl<T> PerWay<T> {
    fn of(&self, way: Way) -> &T {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }

    fn of_mut(&mut self, way: Way) -> &mut T {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    faults: PerWay<watch::Sender<Fault>>,
    admission: watch::Sender<Admission>,
    /// What new connections meet by now.
    admitting: watch::Sender<Admission>,
    /// How the present connections end. Replaced when it is used: later ones are not ended too.
    end: Journal<watch::Sender<Option<End>>>,
    seen: Journal<Seen>,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1; what connects there talks to `to`.
    pub(crate) async fn start(to: SocketAddr) -> io::Result<Self> {
        let reserved = port::reserve(0)?;
        let port = port::of(&reserved)?;
        let shared = Arc::new(Shared {
            to,
            faults: PerWay::default(),
            admission: watch::Sender::default(),
            admitting: watch::Sender::default(),
            end: Journal::new(watch::Sender::default()),
            seen: Journal::new(Seen::default()),
        });
        let listener = listen(port)?;
        let accepting = accept(reserved, listener, Arc::clone(&shared));
        Ok(Self {
            port,
            shared,
            acceptor: tokio::spawn(accepting).abort_handle(),
        })
    }

    /// The same in front of a port of 127.0.0.1.
    pub(crate) async fn before(port: u16) -> io::Result<Self> {
        Self::start((Ipv4Addr::LOCALHOST, port).into()).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How one way is from now on, for the present connections and for later ones.
    pub(crate) fn set(&self, way: Way, fault: Fault) {
        self.shared.faults.of(way).send_replace(fault);
    }

    pub(crate) fn set_both(&self, fault: Fault) {
        self.set(Way::Up, fault);
        self.set(Way::Down, fault);
    }

    /// Nothing is wrong any more. What waited is delivered; what is dead stays dead.
    pub(crate) fn clear(&self) {
        self.set_both(Fault::default());
    }

    /// What happens to new connections, from when this returns.
    pub(crate) async fn admit(&self, admission: Admission) {
        self.shared.admission.send_replace(admission);
        let mut admitting = self.shared.admitting.subscribe();
        // An error can't be: the sender is ours.
        let _so = admitting.wait_for(|now| *now == admission).await;
    }

    /// Ends the present connections.
    pub(crate) fn end(&self, end: End) {
        self.shared.end.update(|present| {
            let present = std::mem::take(present);
            present.send_replace(Some(end));
        });
    }

    pub(crate) fn seen(&self) -> Seen {
        self.shared.seen.read(|seen| *seen)
    }

    /// Waits for something to be seen; `None` once `limit` has passed.
    pub(crate) async fn wait<R>(
        &self,
        limit: Duration,
        find: impl FnMut(&Seen) -> Option<R>,
    ) -> Option<R> {
        self.shared.seen.wait(limit, find).await
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = port::reserve(port)?;
    socket.set_recv_buffer_size(KERNEL_BUFFER)?; // inherited by what it accepts
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

async fn accept(reserved: Socket, mut listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, which ends the connections too.
    let mut connections = JoinSet::new();
    let mut admission = shared.admission.subscribe();
    loop {
        let now = *admission.borrow_and_update();
        if now == Admission::Refused {
            drop(listener);
            shared.admitting.send_replace(now);
            let open = admission.wait_for(|admission| *admission != Admission::Refused);
            if open.await.is_err() {
                return;
            }
            match port::of(&reserved).and_then(listen) {
                Ok(again) => listener = again,
                Err(_) => return,
            }
            continue;
        }
        shared.admitting.send_replace(now);
        tokio::select! {
            biased;
            _ = admission.changed() => {}
            accepted = listener.accept() => {
                let Ok((near, _)) = accepted else { continue };
                let number = shared.seen.update(|seen| {
                    seen.connections += 1;
                    seen.live += 1;
                    seen.connections
                });
                let end = shared.end.read(watch::Sender::subscribe);
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    connection::serve(near, number, now, end, &shared).await;
                    shared.seen.update(|seen| seen.live -= 1);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
