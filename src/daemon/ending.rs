//! The end: what runs is cancelled, connections are closed, and nothing is waited for longer
//! than somebody waits for us.

use std::{pin::pin, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::rpc::{Incoming, Outbound};

use super::state::Daemon;

/// What ends the daemon, besides the end of its input.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// It was asked to leave: its host is there, and is answered first.
    pub stop: CancellationToken,
    /// Its host is dead: nobody is left to answer.
    pub orphaned: CancellationToken,
}

/// How long to wait for something.
struct Patience {
    /// While the host is there.
    limit: Duration,
    /// Once it is gone.
    orphaned: Duration,
}

/// For the replies of cancelled requests. With [`CLOSING`] it stays below the 2 s after which
/// hosts lose patience, and without a host below the half second in which we are to be gone.
const DRAINING: Patience = Patience {
    limit: Duration::from_millis(1200),
    orphaned: Duration::from_millis(100),
};

/// For closing SSH connections.
const CLOSING: Patience = Patience {
    limit: Duration::from_millis(500),
    orphaned: Duration::from_millis(150),
};

impl Ending {
    /// Does `work`, and lets the host go as soon as it is known to be dead.
    pub(super) async fn attend<T>(&self, outbound: &Outbound, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = self.orphaned.cancelled() => outbound.give_up(),
        }
        work.await
    }
}

/// Cancels what runs, answers it, and closes every connection.
pub(super) async fn leave(incoming: Incoming, outbound: &Outbound, daemon: &Daemon) {
    let drained = incoming.drain(DRAINING.over(outbound)).await;
    if drained.unanswered > 0 {
        tracing::warn!(
            unanswered = drained.unanswered,
            "requests were left unanswered"
        );
    }
    tokio::select! {
        biased;
        () = daemon.close_connections() => {}
        () = CLOSING.over(outbound) => {
            tracing::warn!("an SSH connection did not close in time");
        }
    }
}

impl Patience {
    /// Completes when it is over.
    async fn over(&self, outbound: &Outbound) {
        tokio::select! {
            () = sleep(self.limit) => {}
            () = async {
                outbound.gone().await;
                sleep(self.orphaned).await;
            } => {}
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::File;
    use std::os::{fd::OwnedFd, unix::net::UnixStream};

    use tokio::time::Instant;

    use super::*;
    use crate::rpc::{HostPipe, Limits, Peer};

    #[tokio::test(start_paused = true)]
    async fn a_host_is_given_more_time_than_a_dead_one() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let output = HostPipe::from(File::from(OwnedFd::from(ours.try_clone().unwrap())));
        let (outbound, _incoming) = Peer::start(ours, output, Limits::default()).unwrap();
        let begun = Instant::now();
        DRAINING.over(&outbound).await;
        assert_eq!(begun.elapsed(), DRAINING.limit);
        outbound.give_up();
        DRAINING.over(&outbound).await;
        assert_eq!(begun.elapsed(), DRAINING.limit + DRAINING.orphaned);
        drop(theirs);
    }
}
