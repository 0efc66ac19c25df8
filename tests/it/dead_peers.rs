//! A machine or a network that goes silent, and TCP with it: whoever waits is told in time.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::bed::{Bed, by_key, prompt, with};
use crate::support::daemon::{Daemon, PATIENCE, RpcError, Ticket};
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::llm_server::{Reply, Step, script};
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};

/// The contract's limit.
const TOLD: Duration = Duration::from_secs(21);

/// A profile of its own for each way in which a connection can be used when its peer dies.
struct Path<'a> {
    name: &'a str,
    ssh: Value,
}

impl Path<'_> {
    async fn configure(&self, bed: &Bed, daemon: &Daemon) {
        let params = json!({
            "configId": self.name, "name": self.name, "ssh": self.ssh, "llm": bed.llm_params(),
        });
        daemon.ok("remote-llm/configure", params).await;
        let config = json!({"configId": self.name});
        let status = daemon.ok("remote-llm/connect", config).await;
        assert_eq!(status["state"], "ready", "{status:#}");
    }

    /// Sends a prompt whose request has the profile's name.
    async fn ask(&self, daemon: &Daemon, question: &str) -> Ticket {
        let changes = json!({"configId": self.name, "model": "smol"});
        let params = with(prompt(self.name, question), &changes);
        daemon.send("remote-llm/stream-prompt", params).await
    }

    /// The news that the connection is gone.
    async fn lost(&self, daemon: &Daemon) -> Instant {
        let what = format!("news of {}", self.name);
        let news = |news: &&Value| {
            news["method"] == "remote-llm/connection-status"
                && news["params"]["configId"] == self.name
        };
        daemon
            .wait(&what, |traffic| {
                let last = traffic.notifications.iter().rfind(news)?;
                (last["params"]["state"] != "ready").then(Instant::now)
            })
            .await
    }
}

fn in_time(what: &str, since: Instant, when: Instant) {
    let took = when.saturating_duration_since(since);
    assert!(took <= TOLD, "{what}: {took:?}");
}

async fn ended(daemon: &Daemon, name: &str, ticket: &Ticket, since: Instant) -> RpcError {
    let reply = daemon.timed_reply(ticket).await;
    in_time(name, since, reply.at);
    let error = reply.outcome.unwrap_err();
    assert!(!error.message.is_empty(), "{name}: {error:?}");
    error
}

/// All of it at once: each would take the same twenty seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_gone_silent_is_noticed_whatever_its_connection_is_used_for() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::alone().await;
    let (sshd, frozen) = (Sshd::start(&[]), Sshd::start(&[]));
    let mut proxies = Vec::new();
    for _ in 0..6 {
        proxies.push(FaultProxy::before(sshd.port()).await.unwrap());
    }
    let known = proxies.iter().map(|proxy| sshd.known_hosts_at(proxy.port()));
    let known = known.chain([sshd.host_key_line(), frozen.host_key_line()]);
    bed.write_known_hosts(&known.collect::<String>());
    let way = |sshd: &Sshd, port| by_key(sshd.username(), port, &sshd.keys.ed25519);
    let names = ["idle", "pushing", "swallowed", "streaming", "waiting"];
    let mut paths = Vec::new();
    for (name, proxy) in names.into_iter().zip(&proxies) {
        let ssh = way(&sshd, proxy.port());
        paths.push(Path { name, ssh });
    }
    let bastion = json!({"jumpHosts": [way(&sshd, proxies[5].port())]});
    let ssh = with(way(&sshd, sshd.port()), &bastion);
    paths.push(Path { name: "jumping", ssh });
    let ssh = way(&frozen, frozen.port());
    paths.push(Path { name: "frozen", ssh });
    let [idle, pushing, swallowed, streaming, waiting, jumping, freezing] = paths.as_slice() else {
        panic!("one path for each name");
    };

    bed.llm.on_chat(|request| match request.last("user") {
        Some("Think.") => Reply::Silence,
        Some("Still there?") => Reply::text(&["Yes."]),
        _ => Reply::Stream(vec![script::role(), script::text("so far"), Step::Silence]),
    });
    let daemon = bed.daemon().await;
    join_all(paths.iter().map(|path| path.configure(&bed, &daemon))).await;
    let mut talking = Vec::new();
    for path in [streaming, jumping, freezing] {
        talking.push((path, path.ask(&daemon, "Talk.").await));
        daemon.wait_text(path.name).await;
    }
    let thinking = waiting.ask(&daemon, "Think.").await;
    let asked = bed.llm.wait(PATIENCE, |all| {
        let asked = all.iter().filter(|exchange| exchange.request.method == "POST");
        (asked.count() == 4).then_some(())
    });
    assert!(asked.await.is_some());

    for proxy in &proxies {
        proxy.set_both(Fault::stall());
    }
    // Here TCP itself has no reason to complain: all is taken.
    proxies[2].set_both(Fault::dead());
    frozen.freeze();
    let since = Instant::now();
    let large = "much ado about nothing. ".repeat(300_000);
    let mut unsent = Vec::new();
    for path in [pushing, swallowed] {
        unsent.push((path, path.ask(&daemon, &large).await));
    }
    let upload = (daemon.wait_chunk("pushing", "its end", |_| true), async {
        ended(&daemon, "pushing", &unsent[0].1, since).await
    });
    drop(upload);

    for (path, ticket) in &talking {
        let error = ended(&daemon, path.name, ticket, since).await;
        assert_eq!(error.code(), "STREAM_INTERRUPTED", "{}: {error:?}", path.name);
        assert_eq!(error.data["partial"], "so far", "{}", path.name);
    }
    for (path, ticket) in unsent.iter().chain([&(waiting, thinking)]) {
        let error = ended(&daemon, path.name, ticket, since).await;
        eprintln!("{} {error:?}", path.name);
    }
    for path in &paths {
        let _ = idle;
        in_time(path.name, since, path.lost(&daemon).await);
    }
}
