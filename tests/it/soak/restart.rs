//! An sshd that is stopped and started again, and how soon the daemon is back.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::world::World;
use crate::support::daemon::{Status, Traffic};
use crate::support::peer::sshd::Sshd;
use crate::support::processes::listens;
use crate::support::random::Random;

/// How often to look whether it listens: the error of the measurement.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A connection that is lost sooner counts as one that was never there.
const STOOD: Duration = Duration::from_millis(1300);

/// Restarts the server of a profile again and again until then.
pub(super) async fn happen(
    world: &World,
    profile: &'static str,
    sshd: &Sshd,
    until: tokio::time::Instant,
    random: &mut Random,
) {
    let is_ready = |(_, status): &Status| status["state"] == "ready";
    while tokio::time::Instant::now() < until {
        let params = json!({"configId": profile});
        if world
            .daemon
            .call("remote-llm/connect", params)
            .await
            .is_err()
        {
            continue;
        }
        sleep(STOOD + Duration::from_millis(random.within(0..1000))).await;

        let _undisturbed = world.measuring.read().await;
        let is_still_ready =
            |traffic: &Traffic| traffic.statuses.get(profile).is_some_and(is_ready);
        if !world.daemon.read(is_still_ready) {
            // Another trouble has disconnected it.
            continue;
        }
        let stopped = Instant::now();
        sshd.stop().await;
        sleep(Duration::from_millis(random.within(200..4000))).await;
        world.status(profile, |status| !is_ready(status)).await;
        let ((), listening) = tokio::join!(sshd.start_again(), when_it_listens(sshd));
        let (ready, _) = world
            .status(profile, |status| is_ready(status) && status.0 > stopped)
            .await;
        let took = ready.saturating_duration_since(listening);
        let mut counts = world.tally.lock();
        counts.reconnects.entry(profile).or_default().push(took);
    }
}

async fn when_it_listens(sshd: &Sshd) -> Instant {
    // It is another process: there is nothing to wait for.
    while !listens(sshd.port()) {
        sleep(LOOK_AGAIN).await;
    }
    Instant::now()
}
