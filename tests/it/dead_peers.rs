//! A machine or a network that goes silent while TCP stays up: whoever waits is told in time.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::bed::{Bed, by_key, prompt, with};
use crate::support::daemon::{Daemon, PATIENCE, RpcError, Ticket};
use crate::support::fault_proxy::{End, Fault, FaultProxy, Way};
use crate::support::llm_server::{Reply, Step, script};
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};

/// The contract's limit.
const TOLD: Duration = Duration::from_secs(21);

/// A profile with a connection of its own, for one way of using it.
struct Profile {
    name: &'static str,
    ssh: Value,
}

impl Profile {
    async fn connect(&self, bed: &Bed, daemon: &Daemon) {
        // Nothing is sent again, and only the way to the server can be what ends a request.
        let more = json!({"maxRetries": 0, "timeouts": {"connectMs": 60_000}});
        let params = json!({
            "configId": self.name,
            "name": self.name,
            "ssh": self.ssh,
            "llm": with(bed.llm_params(), &more),
        });
        daemon.ok("remote-llm/configure", params).await;
        let config = json!({"configId": self.name});
        let status = daemon.ok("remote-llm/connect", config).await;
        assert_eq!(status["state"], "ready", "{status:#}");
    }

    /// Sends a prompt whose request has the profile's name.
    async fn ask(&self, daemon: &Daemon, question: &str) -> Ticket {
        let profile = json!({"configId": self.name, "model": "smol"});
        let params = with(prompt(self.name, question), &profile);
        daemon.send("remote-llm/stream-prompt", params).await
    }

    /// The error that a prompt ends with, in time.
    async fn failure(&self, daemon: &Daemon, ticket: &Ticket, since: Instant) -> RpcError {
        let reply = daemon.timed_reply(ticket).await;
        self.assert_in_time(since, reply.at);
        reply.outcome.unwrap_err()
    }

    /// Waits for news, after so many lines of it, that the connection is not usable.
    async fn assert_told(&self, daemon: &Daemon, before: usize, since: Instant) {
        let what = format!("news of the connection of {}", self.name);
        let told = daemon.wait(&what, |traffic| {
            let mut news = traffic.notifications.iter().skip(before);
            let is_it = |news: &Value| {
                let params = &news["params"];
                news["method"] == "remote-llm/connection-status"
                    && params["configId"] == self.name
                    && params["state"] != "ready"
            };
            news.any(is_it).then(Instant::now)
        });
        self.assert_in_time(since, told.await);
    }

    fn assert_in_time(&self, since: Instant, when: Instant) {
        let took = when.saturating_duration_since(since);
        assert!(took <= TOLD, "{} after {took:?}", self.name);
    }
}

/// All of it at once: each would take the same twenty seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_is_noticed_in_time_whatever_its_connection_is_used_for() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::alone().await;
    let (sshd, suspended) = (Sshd::start(&[]), Sshd::start(&[]));
    let proxy = || async { FaultProxy::before(sshd.port()).await.unwrap() };
    let (idle, waiting, streaming) = (proxy().await, proxy().await, proxy().await);
    let (uploading, swallowed, bastion) = (proxy().await, proxy().await, proxy().await);
    let proxies = [
        &idle, &waiting, &streaming, &uploading, &swallowed, &bastion,
    ];
    let known = proxies
        .map(|proxy| sshd.known_hosts_at(proxy.port()))
        .concat();
    bed.write_known_hosts(&(known + &sshd.host_key_line() + &suspended.host_key_line()));

    let to = |sshd: &Sshd, port| by_key(sshd.username(), port, &sshd.keys.ed25519);
    let through = |name, proxy: &FaultProxy| Profile {
        name,
        ssh: to(&sshd, proxy.port()),
    };
    let idle_one = through("idle", &idle);
    let waiting_one = through("waiting", &waiting);
    let mut streaming_ones = vec![through("streaming", &streaming)];
    let ssh = to(&suspended, suspended.port());
    streaming_ones.push(Profile {
        name: "suspended",
        ssh,
    });
    let jump = json!({"jumpHosts": [to(&sshd, bastion.port())]});
    let ssh = with(to(&sshd, sshd.port()), &jump);
    streaming_ones.push(Profile {
        name: "jumping",
        ssh,
    });
    let uploading_ones = [
        through("uploading", &uploading),
        through("swallowed", &swallowed),
    ];
    let all = || {
        [&idle_one, &waiting_one]
            .into_iter()
            .chain(&streaming_ones)
            .chain(&uploading_ones)
    };

    bed.llm.on_chat(|request| match request.last("user") {
        Some("Think.") => Reply::Silence,
        Some("Talk.") => Reply::Stream(vec![script::role(), script::text("so far"), Step::Silence]),
        _ => Reply::text(&["Here I am."]),
    });
    let daemon = bed.daemon().await;
    join_all(all().map(|profile| profile.connect(&bed, &daemon))).await;

    // Everything is under way when the silence begins.
    let waits = waiting_one.ask(&daemon, "Think.").await;
    let asked = bed.llm.wait(PATIENCE, |all| {
        all.iter()
            .any(|one| one.request.last("user") == Some("Think."))
            .then_some(())
    });
    asked.await.unwrap();
    let mut streams = Vec::new();
    for profile in &streaming_ones {
        streams.push(profile.ask(&daemon, "Talk.").await);
        daemon.wait_text(profile.name).await;
    }
    let mut uploads = Vec::new();
    for (profile, proxy) in uploading_ones.iter().zip([&uploading, &swallowed]) {
        proxy.set(Way::Up, Fault::rate(200_000));
        let question = "much ado about nothing. ".repeat(300_000);
        uploads.push(profile.ask(&daemon, &question).await);
        let enough = proxy.wait(PATIENCE, |seen| (seen.delivered.up > 100_000).then_some(()));
        enough.await.unwrap();
    }

    for proxy in proxies {
        proxy.set_both(Fault::stall());
    }
    // Here TCP has no reason to complain: all is taken, and lost.
    swallowed.set_both(Fault::dead());
    suspended.freeze();
    let since = Instant::now();
    let news_before = daemon.read(|traffic| traffic.notifications.len());

    for (profile, ticket) in streaming_ones.iter().zip(&streams) {
        let error = profile.failure(&daemon, ticket, since).await;
        assert_eq!(
            error.code(),
            "STREAM_INTERRUPTED",
            "{}: {error:?}",
            profile.name
        );
        assert_eq!(error.data["partial"], "so far");
    }
    let unanswered = uploading_ones
        .iter()
        .zip(&uploads)
        .chain([(&waiting_one, &waits)]);
    for (profile, ticket) in unanswered {
        let error = profile.failure(&daemon, ticket, since).await;
        assert_eq!(
            error.code(),
            "SSH_DISCONNECTED",
            "{}: {error:?}",
            profile.name
        );
        assert!(error.message.contains("127.0.0.1"), "{error:?}");
    }
    for profile in all() {
        profile.assert_told(&daemon, news_before, since).await;
    }

    // And that was all: what is there again is used again.
    proxies.iter().for_each(|proxy| proxy.clear());
    swallowed.end(End::Reset); // Its next connection is as dead.
    suspended.thaw();
    for profile in all() {
        let ticket = profile.ask(&daemon, "And now?").await;
        let answered = daemon.reply(&ticket).await;
        assert!(answered.is_ok(), "{}: {answered:?}", profile.name);
    }
}
