//! Everything at once, for as long as one likes: prompts of every kind through networks and servers
//! that fail in every way. Nothing may be lost, doubled, reordered, falsely completed or leaked.
//!
//! `./check --soak 10m` runs the long one on its own.

mod census;
mod crowd;
mod judge;
mod ledger;
mod model;
mod plan;
mod report;
mod restart;
mod tally;
mod token;
mod trouble;
mod world;

use std::env;
use std::io::{self, Write as _};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::support::peer::{is_here, sshd};
use crate::support::random::Random;
use report::Report;
use trouble::Troubles;
use world::{LONELY, STRAIGHT, World};

/// How soon the last prompt ends when nothing is wrong any more.
const ENDED: Duration = Duration::from_secs(25);

/// What a run is like.
#[derive(Clone, Copy, Debug)]
struct Settings {
    seed: u64,
    time: Duration,
    /// In flight.
    prompts: usize,
    /// Between two quiet moments.
    stretch: Duration,
    /// Tells what it does while it does it.
    talks: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_trouble_nothing_is_lost_doubled_reordered_falsely_completed_or_leaked() {
    run(Settings {
        seed: 1,
        time: Duration::from_secs(6),
        prompts: 12,
        stretch: Duration::from_secs(6),
        talks: false,
    })
    .await;
}

/// `PUFFIN_SOAK=10m`, and `PUFFIN_SOAK_SEED` of an earlier run to have the same troubles again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes as long as PUFFIN_SOAK says; ./check --soak 10m runs it"]
async fn soak() {
    let time = env::var("PUFFIN_SOAK").unwrap_or_else(|_| "1m".to_owned());
    let time = humantime::parse_duration(&time).expect("PUFFIN_SOAK is a duration, as 10m");
    let seed = match env::var("PUFFIN_SOAK_SEED") {
        Ok(seed) => seed.parse().expect("PUFFIN_SOAK_SEED is a number"),
        Err(_) => fresh_seed(),
    };
    run(Settings {
        seed,
        time,
        prompts: 20,
        stretch: (time / 12).clamp(Duration::from_secs(10), Duration::from_secs(30)),
        talks: true,
    })
    .await;
}

fn fresh_seed() -> u64 {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::from(time.expect("after 1970").subsec_nanos())
}

async fn run(settings: Settings) {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let tell = |text: String| {
        if settings.talks {
            // Not `eprintln!`, which the test runner may hide.
            let _told = writeln!(io::stderr(), "{text}");
        }
    };
    tell(format!("{settings:?}"));
    let world = World::start().await;
    let mut random = Random::new(settings.seed);
    // What the first connection makes once and for all is no leak.
    world.connect().await;
    world.disconnect().await;
    // The conversations' file is opened once and for all.
    world
        .daemon
        .ok("remote-llm/list-conversations", json!({}))
        .await;
    let descriptors = world.daemon.descriptors();
    world.connect().await;

    let began = Instant::now();
    let mut troubles = Troubles::default();
    while began.elapsed() < settings.time {
        let left = settings.time.saturating_sub(began.elapsed());
        let until = Instant::now() + settings.stretch.min(left);
        stretch(&world, settings.prompts, until, &mut troubles, &mut random).await;
        census::take(&world, descriptors, &mut random).await;
        let counts = world.tally.lock();
        tell(format!(
            "{:4} s: {} prompts, wrong: {:?}",
            began.elapsed().as_secs(),
            counts.prompts,
            counts.wrongs
        ));
    }
    let World {
        daemon, tally, bed, ..
    } = world;
    daemon.shut_down().await;
    drop(bed);

    let counts = tally.lock();
    let report = Report {
        seed: settings.seed,
        took: began.elapsed(),
        counts: &counts,
    };
    tell(report.to_string());
    let missed = report.missed();
    assert!(missed.is_empty(), "{missed:#?}\n{report}");
}

/// Prompts and troubles until then, and the end of all of them.
async fn stretch(
    world: &World,
    prompts: usize,
    until: Instant,
    troubles: &mut Troubles,
    random: &mut Random,
) {
    let mut randoms = [(); 4].map(|()| Random::new(random.next()));
    let [for_crowd, for_troubles, for_straight, for_lonely] = &mut randoms;
    let crowd = crowd::work(world, prompts, until, for_crowd);
    let calm = Notify::new();
    let weather = async {
        tokio::join!(
            troubles.happen(world, until, for_troubles),
            restart::happen(world, STRAIGHT, &world.straight, until, for_straight),
            restart::happen(world, LONELY, &world.lonely, until, for_lonely),
        );
        calm.notify_one();
    };
    let too_late = async {
        calm.notified().await;
        sleep(ENDED).await;
    };
    let crowd = async {
        tokio::select! {
            () = crowd => {}
            () = too_late => {
                let running = world.ledger.running();
                let what = format!("{ENDED:?} after all trouble these still run: {running:#?}");
                world.daemon.fail(&what);
            }
        }
    };
    tokio::join!(weather, crowd);
}
