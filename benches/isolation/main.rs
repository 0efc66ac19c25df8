//! How much a stream suffers from what its neighbours on the same SSH connection do: the time from
//! one token to the next, undisturbed and beside each disturbance, through the daemon, through its
//! ssh room alone, and through `ssh -L`.
//!
//! ```text
//! cargo bench --bench isolation
//! cargo bench --bench isolation -- --seconds 60 --json
//! ```
//!
//! Needs OpenSSH. A real sshd, a scripted LLM server whose tokens come each 10 ms, loopback only.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on fails"
)]
#![expect(clippy::print_stdout, reason = "a table for people")]

mod daemon;
mod gaps;
mod model;
mod plain;
#[expect(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    reason = "the tests' own"
)]
#[path = "../../tests/it/support/mod.rs"]
mod support;
mod way;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;

use daemon::Daemon;
use gaps::{Arrivals, Gaps};
use model::Model;
use plain::{Plain, Ports};
use support::bed::{Bed, by_key};
use support::fault_proxy::{Fault, FaultProxy, Way as Direction};
use support::peer::sshd::{self, Sshd};
use support::port::BlackHole;
use way::{Disturbance, Way};

/// 20 Mbit/s.
const UPLINK: u64 = 2_500_000;

/// A p99 below this is taken for it: less is the scheduler of the machine, not the stream.
const FLOOR: Duration = Duration::from_millis(15);

/// How long a disturbance may take to begin.
const BEGIN: Duration = Duration::from_secs(20);

#[derive(Debug, Parser)]
struct Arguments {
    /// How long each row is measured
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only the ways whose name contains this
    #[arg(long, default_value = "")]
    way: String,
    /// Only undisturbed and beside what contains this
    #[arg(long, default_value = "")]
    beside: String,
    /// A line of JSON for each row, too
    #[arg(long)]
    json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

struct Row {
    way: &'static str,
    disturbance: Disturbance,
    gaps: Gaps,
    /// Megabytes a second that the disturbance moved.
    moved: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(missing) = sshd::available() {
        println!("skipped: {missing}");
        return ExitCode::SUCCESS;
    }
    let bed = Bed::alone().await;
    let sshd = Sshd::start(&[]);
    let proxy = FaultProxy::before(sshd.port())
        .await
        .expect("loopback has ports");
    bed.write_known_hosts(&sshd.known_hosts_at(proxy.port()));
    let model = Model::start().expect("loopback has ports");
    let nowhere = BlackHole::dig().await.expect("loopback has ports");
    let ports = Ports {
        model: model.port,
        nowhere: nowhere.port(),
    };
    let mut bench = Bench {
        length: Duration::from_secs(arguments.seconds),
        beside: &arguments.beside,
        proxy: &proxy,
        model: &model,
        rows: Vec::new(),
    };
    let wanted = |name: &str| name.contains(&arguments.way);
    if wanted("daemon") {
        let ssh = by_key(sshd.username(), proxy.port(), &sshd.keys.ed25519);
        let daemon = Daemon::start(&bed, &ssh, ports.model, ports.nowhere).await;
        bench.measure_all(&daemon).await;
    }
    if wanted("ssh room") {
        let room = Plain::room(&sshd, proxy.port(), ports).await;
        bench.measure_all(&room).await;
    }
    if wanted("ssh -L") {
        let tunnel = Plain::tunnel(&sshd, proxy.port(), ports).await;
        bench.measure_all(&tunnel).await;
    }
    bench.conclude(arguments.json)
}

struct Bench<'a> {
    length: Duration,
    beside: &'a str,
    proxy: &'a FaultProxy,
    model: &'a Model,
    rows: Vec<Row>,
}

impl Bench<'_> {
    async fn measure_all(&mut self, way: &impl Way) {
        use Disturbance::{Flood, Hang, Nothing, Unread, Upload};
        // The machine has other things to do, too: the measure is taken twice.
        for disturbance in [Nothing, Unread, Flood, Upload, Hang, Nothing] {
            let wanted = disturbance.to_string().contains(self.beside);
            if way.can(disturbance) && (wanted || disturbance == Nothing) {
                let row = self.measure(way, disturbance).await;
                println!("{row}");
                self.rows.push(row);
            }
        }
    }

    async fn measure(&self, way: &impl Way, disturbance: Disturbance) -> Row {
        if disturbance == Disturbance::Upload {
            self.proxy.set(Direction::Up, Fault::rate(UPLINK));
        }
        let arrivals = Arrivals::default();
        let _talking = way.talk(arrivals.clone()).await;
        until("the first token", || arrivals.any()).await;
        let (begin, before) = (Instant::now(), self.model.moved());
        let disturbing = way.disturb(disturbance).await;
        if disturbance.moves() {
            until("the disturbance", || self.model.moved() > before + 100_000).await;
        }
        tokio::time::sleep(self.length).await;
        let (end, after) = (Instant::now(), self.model.moved());
        drop(disturbing);
        self.proxy.clear();
        self.settle().await;
        Row {
            way: way.name(),
            disturbance,
            gaps: arrivals.between(begin, end),
            moved: (after - before) as f64 / 1e6 / (end - begin).as_secs_f64(),
        }
    }

    /// Waits until nothing is under way any more.
    async fn settle(&self) {
        let mut before = u64::MAX;
        while before != self.model.moved() {
            before = self.model.moved();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Says whether what is ours keeps its promise.
    fn conclude(&self, as_json: bool) -> ExitCode {
        let mut kept = true;
        println!(
            "\n{:32} {:>8} {:>8} {:>8} {:>8}",
            "gaps in ms", "p50", "p99", "max", "MB/s"
        );
        for row in &self.rows {
            let undisturbed = self
                .rows
                .iter()
                .filter(|other| other.way == row.way && other.disturbance == Disturbance::Nothing);
            let p99 = undisturbed.map(|row| row.gaps.p99).max();
            let limit = 2 * p99.unwrap_or_default().max(FLOOR);
            let ok = row.gaps.p99 <= limit;
            kept &= ok || row.way == "ssh -L";
            println!("{row}{}", if ok { "" } else { "  more than twice" });
            if as_json {
                let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
                let line = json!({
                    "way": row.way,
                    "disturbance": format!("{:?}", row.disturbance),
                    "p50": milliseconds(row.gaps.p50),
                    "p99": milliseconds(row.gaps.p99),
                    "max": milliseconds(row.gaps.max),
                    "megabytesPerSecond": row.moved,
                    "limit": milliseconds(limit),
                });
                println!("{line}");
            }
        }
        if kept {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let Gaps { p50, p99, max } = self.gaps;
        let [p50, p99, max] = [p50, p99, max].map(milliseconds);
        let name = format!("{}, {}", self.way, self.disturbance);
        write!(
            out,
            "{name:32} {p50:8.1} {p99:8.1} {max:8.1} {:8.1}",
            self.moved
        )
    }
}

/// Waits for something that only has to be looked at.
async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + BEGIN;
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
