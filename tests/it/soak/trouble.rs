//! What happens to networks, servers and hosts.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use super::world::{PROFILES, Road, World};
use crate::support::fault_proxy::{Admission, Cut, End, Fault, Way};
use crate::support::random::Random;

/// How often something happens, unless it lasts longer.
const EVERY: Duration = Duration::from_secs(5);

/// Longer than it takes to notice a dead peer.
const DEAD: Duration = Duration::from_secs(6);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    // Of a network:
    Reset,
    Close,
    CutAtByte,
    Hiccup,
    Stall,
    HalfOpen,
    OneWay,
    SlowLink,
    Jitter,
    Unreachable,
    Silent,
    // Of an sshd:
    SessionsKilled,
    Restart,
    Frozen,
    MaxStartups,
    // Of the LLM server:
    ModelDies,
    ModelAway,
    ModelStalls,
    ModelSlow,
    // Of the host:
    Deaf,
    Resumed,
    Disconnect,
}

const ALL: [(Trouble, &str); 22] = [
    (Trouble::Reset, "network: reset"),
    (Trouble::Close, "network: closed"),
    (Trouble::CutAtByte, "network: cut at a byte"),
    (Trouble::Hiccup, "network: stalls for a moment"),
    (Trouble::Stall, "network: stalls beyond the keepalive"),
    (Trouble::HalfOpen, "network: half-open"),
    (Trouble::OneWay, "network: dead one way"),
    (Trouble::SlowLink, "network: slow"),
    (Trouble::Jitter, "network: delay and jitter"),
    (Trouble::Unreachable, "network: refuses"),
    (Trouble::Silent, "network: accepts and is silent"),
    (Trouble::SessionsKilled, "sshd: sessions killed"),
    (Trouble::Restart, "sshd: stopped and started"),
    (Trouble::Frozen, "sshd: sessions frozen"),
    (Trouble::MaxStartups, "sshd: no room for a login"),
    (Trouble::ModelDies, "LLM server: dies"),
    (Trouble::ModelAway, "LLM server: refuses"),
    (Trouble::ModelStalls, "LLM server: stalls"),
    (Trouble::ModelSlow, "LLM server: slow"),
    (Trouble::Deaf, "host: does not read"),
    (Trouble::Resumed, "host: system-resumed"),
    (Trouble::Disconnect, "host: disconnects"),
];

/// What is still to come of the present round of troubles, so that none is left out.
#[derive(Debug, Default)]
pub(super) struct Troubles(Vec<(Trouble, &'static str)>);

impl Troubles {
    /// Makes trouble until then, one after the other; nothing is wrong any more when it returns.
    pub(super) async fn happen(&mut self, world: &World, until: Instant, random: &mut Random) {
        while Instant::now() < until {
            if self.0.is_empty() {
                self.0.extend(ALL);
                random.shuffle(&mut self.0);
            }
            let Some((trouble, name)) = self.0.pop() else {
                return;
            };
            let next = Instant::now() + EVERY.mul_f64(0.5 + random.within(0..100) as f64 / 100.0);
            world.tally.trouble(name);
            strike(world, trouble, random).await;
            sleep_until(next.min(until)).await;
        }
    }
}

async fn strike(world: &World, trouble: Trouble, random: &mut Random) {
    let road = *random.pick(&world.roads());
    let (proxy, llm) = (&road.proxy, &world.llm);
    let end = *random.pick(&[End::Reset, End::Close]);
    let way = *random.pick(&[Way::Up, Way::Down]);
    match trouble {
        Trouble::Reset => proxy.end(End::Reset),
        Trouble::Close => proxy.end(End::Close),
        Trouble::CutAtByte => {
            // Within the login or far behind it.
            let most = *random.pick(&[4_000, 40_000, 400_000]);
            let after = random.within(0..most);
            let once = true;
            proxy.set(way, Fault::cut(Cut { after, end, once }));
            proxy.end(end);
            sleep(between(random, 2000..4000)).await;
            proxy.clear();
        }
        Trouble::Hiccup => for_a_while(road, Fault::stall(), between(random, 100..2000)).await,
        Trouble::Stall => for_a_while(road, Fault::stall(), DEAD).await,
        Trouble::HalfOpen => for_a_while(road, Fault::dead(), DEAD).await,
        Trouble::OneWay => {
            proxy.set(way, Fault::dead());
            sleep(DEAD).await;
            proxy.clear();
        }
        Trouble::SlowLink => {
            let rate = Fault::rate(random.within(20_000..200_000));
            for_a_while(road, rate, between(random, 2000..5000)).await;
        }
        Trouble::Jitter => {
            let jitter = Fault {
                delay: between(random, 5..100),
                jitter: between(random, 5..100),
                seed: random.next(),
                ..Fault::default()
            };
            for_a_while(road, jitter, between(random, 2000..5000)).await;
        }
        Trouble::Unreachable => {
            proxy.admit(Admission::Refused).await;
            proxy.end(end);
            sleep(between(random, 200..4000)).await;
            proxy.admit(Admission::Open).await;
        }
        Trouble::Silent => {
            proxy.admit(Admission::Silent).await;
            proxy.end(end);
            sleep(between(random, 500..6000)).await;
            proxy.admit(Admission::Open).await;
        }
        Trouble::SessionsKilled => road.sshd.kill_sessions(),
        Trouble::Restart => {
            proxy.admit(Admission::Refused).await;
            road.sshd.stop().await;
            sleep(between(random, 200..4000)).await;
            road.sshd.start_again().await;
            proxy.admit(Admission::Open).await;
        }
        Trouble::Frozen => {
            road.sshd.freeze();
            sleep(between(random, 500..6000)).await;
            road.sshd.thaw();
        }
        Trouble::MaxStartups => {
            let logins: Vec<_> = (0..3)
                .map(|_| TcpStream::connect(("127.0.0.1", world.narrow.sshd.port())))
                .collect();
            world.narrow.proxy.end(end);
            sleep(between(random, 500..3000)).await;
            drop(logins);
        }
        Trouble::ModelDies => llm.end(end),
        Trouble::ModelAway => {
            llm.admit(Admission::Refused).await;
            llm.end(end);
            sleep(between(random, 200..2000)).await;
            llm.admit(Admission::Open).await;
        }
        Trouble::ModelStalls => {
            llm.set_both(Fault::stall());
            sleep(between(random, 200..3000)).await;
            llm.clear();
        }
        Trouble::ModelSlow => {
            llm.set_both(Fault::rate(random.within(20_000..200_000)));
            sleep(between(random, 1000..4000)).await;
            llm.clear();
        }
        Trouble::Deaf => {
            let _undisturbed = world.measuring.write().await;
            world.daemon.pause_stdout();
            sleep(between(random, 500..3000)).await;
            world.daemon.resume_stdout();
        }
        Trouble::Resumed => {
            let _undisturbed = world.measuring.write().await;
            let params = json!({});
            world
                .daemon
                .notify("remote-llm/system-resumed", params)
                .await;
        }
        Trouble::Disconnect => {
            let _undisturbed = world.measuring.write().await;
            let params = json!({"configId": random.pick(&PROFILES)});
            world.daemon.ok("remote-llm/disconnect", params).await;
        }
    }
}

async fn for_a_while(road: &Road, fault: Fault, time: Duration) {
    road.proxy.set_both(fault);
    sleep(time).await;
    road.proxy.clear();
}

fn between(random: &mut Random, milliseconds: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.within(milliseconds))
}
