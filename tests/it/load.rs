//! Very much at once: every request is answered once, every stream comes to its end, a storm of
//! cancellations leaves nothing behind, and the daemon stays small.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::bed::{Bed, CONFIG, by_key, prompt, with};
use crate::support::daemon::{Daemon, PATIENCE, Ticket};
use crate::support::llm_server::{Reply, Step, script};
use crate::support::measured;
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};
use crate::support::processes::{allow_descriptors, descriptors};
use crate::support::random::Random;
use crate::support::ssh_server::Greeting;

const MIB: u64 = 1024 * 1024;

/// Lines of every kind, and how often each id must be answered.
struct Flood {
    lines: String,
    due: HashMap<String, usize>,
}

impl Flood {
    fn new(requests: usize, seed: u64) -> Self {
        let mut flood = Self {
            lines: String::new(),
            due: HashMap::new(),
        };
        let mut dice = Random::new(seed);
        let mut prompts = vec!["r0".to_owned()];
        for number in 0..requests {
            let id = format!("r{number}");
            let any = |dice: &mut Random| format!("r{}", dice.within(0..requests as u64));
            match dice.within(0..10) {
                0 | 1 => flood.request(&id, "remote-llm/status", &json!({"configId": CONFIG})),
                2 => flood.request(&id, "remote-llm/list-configs", &json!({})),
                3 => flood.request(&id, "remote-llm/make-coffee", &json!({"sugar": 2})),
                4 => flood.request(&id, "remote-llm/get-config", &json!({"configId": 7})),
                5 => {
                    let name = json!({"requestId": any(&mut dice)});
                    flood.request(&id, "remote-llm/cancel", &name);
                }
                6 => {
                    // Somebody's id, who may still be in flight.
                    let taken = dice.pick(&prompts).clone();
                    flood.request(&taken, "remote-llm/list-configs", &json!({}));
                }
                7 => {
                    flood.push(&json!({"jsonrpc": "2.0", "id": id, "method": 7}));
                    *flood.due.entry(id).or_default() += 1;
                }
                _ => {
                    flood.request(&id, "remote-llm/submit-prompt", &prompt(&id, "Hello?"));
                    prompts.push(id);
                }
            }
            if dice.percent(25) {
                let params = json!({"id": any(&mut dice)});
                flood.push(
                    &json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": params}),
                );
            }
        }
        flood
    }

    fn request(&mut self, id: &str, method: &str, params: &Value) {
        self.push(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        *self.due.entry(id.to_owned()).or_default() += 1;
    }

    fn push(&mut self, message: &Value) {
        self.lines += &format!("{message}\n");
    }

    /// Waits for all answers, and for the daemon to be idle; tells how often each code came.
    async fn answered(&self, daemon: &Daemon) -> HashMap<String, usize> {
        let due: usize = self.due.values().sum();
        daemon
            .wait("an answer to each request", |traffic| {
                (traffic.orphans.len() >= due).then_some(())
            })
            .await;
        // A second answer to anything would be on its way before this one's.
        daemon.ok("remote-llm/list-configs", json!({})).await;
        let mut answered = HashMap::<String, usize>::new();
        let mut codes = HashMap::<String, usize>::new();
        daemon.read(|traffic| {
            for reply in &traffic.orphans {
                let id = reply["id"].as_str().unwrap_or("null").to_owned();
                *answered.entry(id).or_default() += 1;
                let code = reply["error"]["data"]["code"].as_str().unwrap_or("ok");
                *codes.entry(code.to_owned()).or_default() += 1;
            }
        });
        let wrong: Vec<_> = answered
            .iter()
            .filter(|(id, times)| self.due.get(*id) != Some(times))
            .take(10)
            .collect();
        assert!(wrong.is_empty(), "answered more or less often: {wrong:?}");
        assert_eq!(answered.len(), self.due.len(), "some are never answered");
        codes
    }
}

/// As the flood of a host that reads all the time, and of one that first writes everything.
async fn every_request_is_answered_once(reads_meanwhile: bool) {
    allow_descriptors();
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let flood = Flood::new(10_000, 4);
    if !reads_meanwhile {
        daemon.pause_stdout();
    }
    let begun = Instant::now();
    daemon.send_raw(flood.lines.clone()).await;
    daemon.written().await;
    daemon.resume_stdout();
    let codes = flood.answered(&daemon).await;
    let (_, most) = daemon.memory();
    measured(&format!(
        "10000 requests, host reads meanwhile: {reads_meanwhile}: {:?}, at most {} KiB, {codes:?}",
        begun.elapsed(),
        most / 1024
    ));
    assert!(most <= 150 * MIB, "{} MiB", most / MIB);
    assert!(codes.contains_key("ok"), "{codes:?}");
    daemon
        .ok("remote-llm/stream-prompt", prompt("p", "Hi."))
        .await;
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_at_once_are_each_answered_once() {
    every_request_is_answered_once(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_of_a_host_that_reads_nothing_before_are_each_answered_once() {
    every_request_is_answered_once(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_prompt_too_many_is_told_to_wait_and_everything_else_gets_through() {
    let bed = Bed::start().await;
    bed.ssh.greet(Greeting::Silent);
    let daemon = Daemon::spawn(&bed.launch());
    let hello = daemon.ok("initialize", bed.hello()).await;
    let prompts = hello["limits"]["maxPrompts"].as_u64().unwrap();
    assert!(prompts >= 1000 && prompts < hello["limits"]["maxInFlight"].as_u64().unwrap());
    bed.configure(&daemon).await;
    let other = json!({
        "configId": "other", "name": "Other", "ssh": bed.ssh_params(), "llm": bed.llm_params(),
    });
    daemon.ok("remote-llm/configure", other).await;
    let mut tickets = Vec::new();
    for number in 0..prompts {
        let mut params = prompt(&format!("p{number}"), "Wait.");
        // However many one profile has, there are places for others.
        if number >= prompts - OTHERS {
            if number == prompts - OTHERS {
                assert_busy(&daemon).await;
            }
            params["configId"] = "other".into();
            params["model"] = "smol".into();
        }
        tickets.push(daemon.send("remote-llm/submit-prompt", params).await);
    }
    assert_busy(&daemon).await;

    let config = json!({"configId": CONFIG});
    let status = daemon.ok("remote-llm/status", config.clone()).await;
    assert_eq!(status["state"], "connecting");
    let connect = daemon.send("remote-llm/connect", config).await;
    let cancelled = daemon
        .ok("remote-llm/cancel", json!({"requestId": "p0"}))
        .await;
    assert_eq!(cancelled["cancelled"], true);
    assert_eq!(daemon.reply(&tickets[0]).await.unwrap_err().number, -32800);
    // Its place is free.
    let next = daemon
        .send("remote-llm/submit-prompt", prompt("last", "Straw."))
        .await;
    let cancelled = daemon
        .ok("remote-llm/cancel", json!({"requestId": "last"}))
        .await;
    assert_eq!(cancelled["cancelled"], true);
    assert_eq!(daemon.reply(&next).await.unwrap_err().number, -32800);

    let shutdown = daemon.send("shutdown", json!({})).await;
    daemon.reply(&shutdown).await.unwrap();
    for ticket in tickets.iter().skip(1).chain([&connect]) {
        assert_eq!(daemon.reply(ticket).await.unwrap_err().number, -32800);
    }
}

/// Places that the first profile can't have.
const OTHERS: u64 = 24;

async fn assert_busy(daemon: &Daemon) {
    let params = prompt("last", "Straw.");
    let error = daemon.err("remote-llm/stream-prompt", params).await;
    assert_eq!((error.number, error.code()), (5002, "HOST_BUSY"));
    assert_eq!(error.data["retryable"], true);
}

const STREAMS: usize = 1000;

/// A stream's whole text, of several pieces that no other stream has.
fn pieces(name: &str) -> Vec<String> {
    (0..20).map(|n| format!("{name} says {n}; ")).collect()
}

/// Streams `pieces`, the first at once and the others when all may go on.
fn told_in_two_parts(bed: &Bed) -> watch::Sender<bool> {
    let (go, gate) = watch::channel(false);
    bed.llm.on_chat(move |request| {
        let name = request.last("user").unwrap_or_default();
        let pieces = pieces(name);
        let mut steps = vec![script::role()];
        steps.extend(pieces.iter().map(|piece| script::text(piece)));
        steps.insert(2, Step::Until(gate.clone()));
        steps.extend(script::finish("stop", 12, pieces.len() as u64));
        Reply::Stream(steps)
    });
    go
}

async fn start_streams(daemon: &Daemon) -> Vec<(String, Ticket)> {
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        let name = format!("p{number}");
        let ticket = daemon
            .send("remote-llm/stream-prompt", prompt(&name, &name))
            .await;
        streams.push((name, ticket));
    }
    daemon
        .wait("the first words of every stream", |traffic| {
            let said = |(name, _): &(String, Ticket)| {
                let chunks = traffic.chunks.get(name);
                chunks.is_some_and(|all| all.iter().any(|chunk| chunk.kind() == "text-delta"))
            };
            streams.iter().rev().all(said).then_some(())
        })
        .await;
    streams
}

/// Runs a thousand streams that are all open at once, on a connection that is there; `all_open`
/// looks at it then.
async fn run_streams(bed: &Bed, daemon: &Daemon, all_open: impl FnOnce()) {
    let (idle, _) = daemon.memory();
    assert!(idle <= 15 * MIB, "{} MiB", idle / MIB);
    let go = told_in_two_parts(bed);
    let streams = start_streams(daemon).await;
    all_open();
    let (open, _) = daemon.memory();
    go.send_replace(true);
    for (name, ticket) in &streams {
        let result = daemon.reply(ticket).await.unwrap();
        let whole = pieces(name).concat();
        assert_eq!(daemon.text(name), whole);
        assert_eq!(result["message"]["content"][0]["text"], whole);
    }
    let (_, most) = daemon.memory();
    measured(&format!(
        "1000 streams: idle {} KiB, all open {} KiB, at most {} KiB",
        idle / 1024,
        open / 1024,
        most / 1024
    ));
    assert!(most <= 64 * MIB, "{} MiB", most / MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_share_one_connection() {
    allow_descriptors();
    let bed = Bed::alone().await;
    let daemon = bed.configured().await;
    daemon
        .ok("remote-llm/connect", json!({"configId": CONFIG}))
        .await;
    run_streams(&bed, &daemon, || {
        let seen = bed.ssh.seen();
        assert_eq!((seen.connections, seen.open_channels), (1, STREAMS));
    })
    .await;
    assert_eq!(bed.ssh.seen().connections, 1);
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_share_one_connection_of_an_sshd() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    allow_descriptors();
    let bed = Bed::alone().await;
    let sshd = Sshd::start(&[]);
    bed.write_known_hosts(&sshd.host_key_line());
    let daemon = bed.daemon().await;
    let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
    let llm = with(bed.llm_params(), &json!({"defaultModel": "smol"}));
    bed.configure_with(&daemon, ssh, llm).await;
    daemon
        .ok("remote-llm/connect", json!({"configId": CONFIG}))
        .await;
    run_streams(&bed, &daemon, || ()).await;
    assert_eq!(sshd.logins(), 1);
    daemon.shut_down().await;
}

/// Cancels its prompt at some moment: with its very line, or while it connects, waits or talks.
async fn cancel_at_some_moment(daemon: Arc<Daemon>, name: String, mut dice: Random) -> Instant {
    let ticket = daemon
        .send("remote-llm/stream-prompt", prompt(&name, &name))
        .await;
    if dice.percent(88) {
        tokio::time::sleep(Duration::from_millis(dice.within(0..3000))).await;
    }
    let when = Instant::now();
    if dice.percent(50) {
        daemon.cancel(&ticket).await;
    } else {
        let params = json!({"requestId": name});
        daemon.ok("remote-llm/cancel", params).await;
    }
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!((error.number, error.code()), (-32800, "CANCELLED"));
    when
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_cancellations_leaves_nothing_behind() {
    allow_descriptors();
    let bed = Bed::alone().await;
    bed.llm.on_chat(|request| {
        let name = request.last("user").unwrap_or_default().as_bytes();
        let wait = u64::from(*name.last().unwrap_or(&0)) * 10;
        Reply::Stream(vec![
            Step::Pause(Duration::from_millis(wait)),
            script::role(),
            Step::Tokens {
                count: None,
                every: Duration::from_millis(250),
                text: |number| format!("word{number} "),
            },
        ])
    });
    let daemon = Arc::new(bed.configured().await);
    daemon
        .ok("remote-llm/connect", json!({"configId": CONFIG}))
        .await;
    // The conversations' file is opened once and for all.
    daemon.ok("remote-llm/list-conversations", json!({})).await;
    let before = descriptors(daemon.pid());
    let mut dice = Random::new(7);
    let mut storm = JoinSet::new();
    for number in 0..STREAMS {
        let (name, dice) = (format!("p{number}"), Random::new(dice.next()));
        let daemon = Arc::clone(&daemon);
        storm.spawn(async move {
            let when = cancel_at_some_moment(daemon, name.clone(), dice).await;
            (name, when)
        });
    }
    let cancelled: HashMap<String, Instant> = storm.join_all().await.into_iter().collect();

    assert_eq!(bed.llm.wait_open(0, PATIENCE).await, Ok(()));
    // A connection that is worn out by the storm gives way to another one.
    let closed = bed.ssh.wait(PATIENCE, |seen| {
        (seen.open_channels == 0 && seen.live_connections == 1).then_some(seen.connections)
    });
    let connections = closed.await;
    assert!(
        connections.is_some_and(|count| count <= 3),
        "{:?}",
        bed.ssh.seen()
    );
    let deadline = Instant::now() + PATIENCE;
    while descriptors(daemon.pid()) != before {
        assert!(Instant::now() < deadline, "{}", descriptors(daemon.pid()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let chats = bed.llm.chats();
    let mut latencies: Vec<_> = chats
        .iter()
        .filter_map(|chat| {
            let name = chat.request.last("user")?;
            let seen = chat.abandoned.expect("none came to its end");
            Some(seen.saturating_duration_since(*cancelled.get(name)?))
        })
        .collect();
    latencies.sort();
    measured(&format!(
        "cancelled to closed at the server, of {} that got there: p50 {:?}, p99 {:?}",
        latencies.len(),
        latencies[latencies.len() / 2],
        latencies[latencies.len() * 99 / 100],
    ));
    bed.llm.on_chat(|_| Reply::text(&["Still here."]));
    daemon
        .ok("remote-llm/stream-prompt", prompt("last", "Still there?"))
        .await;
    Arc::into_inner(daemon).unwrap().shut_down().await;
}
