//! A stream goes on as if it were alone, whatever its neighbours on the same connection do. How
//! evenly is measured by `cargo bench --bench isolation`; here it has to go on at all.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, prompt, with};
use crate::support::daemon::{Daemon, Ticket};
use crate::support::fault_proxy::{Fault, FaultProxy, Way};
use crate::support::llm_server::{Reply, Step, script};
use crate::support::port::BlackHole;

const TOKENS: u64 = 150;
const CADENCE: Duration = Duration::from_millis(10);

/// Far more than any gap that a busy test machine makes, and far less than what a stream waits for
/// that has to wait for its neighbours.
const LONGEST_GAP: Duration = Duration::from_secs(2);

/// 20 Mbit/s.
const UPLINK: u64 = 2_500_000;

/// A connection that a stream shares with others.
struct Scene {
    bed: Bed,
    proxy: FaultProxy,
    daemon: Daemon,
}

impl Scene {
    async fn start() -> Self {
        let bed = Bed::alone().await;
        let proxy = FaultProxy::before(bed.ssh.port()).await.unwrap();
        let key = bed.ssh.host_key().public_line();
        bed.write_known_hosts(&format!("[127.0.0.1]:{} {key}\n", proxy.port()));
        bed.llm.on_chat(|request| {
            let talks = request.last("user") == Some("Talk.");
            let (count, every) = match talks {
                true => (Some(TOKENS), CADENCE),
                false => (None, Duration::ZERO),
            };
            let text = |number| format!("token {number}; ");
            let mut steps = vec![script::role(), Step::Tokens { count, every, text }];
            steps.extend(script::finish("stop", 1, TOKENS));
            Reply::Stream(steps)
        });
        let daemon = bed.daemon().await;
        let scene = Self { bed, proxy, daemon };
        scene.configure(CONFIG, scene.bed.llm.port()).await;
        let config = json!({"configId": CONFIG});
        scene.daemon.ok("remote-llm/connect", config).await;
        scene
    }

    /// A profile of the same machine, and of an LLM server on this port.
    async fn configure(&self, name: &str, port: u16) {
        let ssh = with(self.bed.ssh_params(), &json!({"port": self.proxy.port()}));
        let endpoint = format!("http://127.0.0.1:{port}");
        let llm = json!({
            "apiEndpoint": endpoint, "apiType": "openai-compatible", "defaultModel": "smol",
        });
        let profile = json!({"configId": name, "name": name, "ssh": ssh, "llm": llm});
        self.daemon.ok("remote-llm/configure", profile).await;
    }

    async fn send(&self, name: &str, question: &str) -> Ticket {
        self.send_params(prompt(name, question)).await
    }

    async fn send_params(&self, params: Value) -> Ticket {
        self.daemon.send("remote-llm/stream-prompt", params).await
    }

    /// Runs a stream beside what these prompts do.
    async fn talk_beside(&self, disturbing: &[Ticket]) {
        let ticket = self.send("talk", "Talk.").await;
        self.daemon.reply(&ticket).await.unwrap();
        let whole: String = (0..TOKENS).map(|n| format!("token {n}; ")).collect();
        assert!(self.daemon.text("talk") == whole);
        let chunks = self.daemon.chunks("talk");
        let times: Vec<_> = chunks
            .iter()
            .filter(|chunk| chunk.kind() == "text-delta")
            .map(|chunk| chunk.at)
            .collect();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = gaps.max().unwrap();
        assert!(longest < LONGEST_GAP, "{longest:?}");
        for ticket in disturbing {
            self.daemon.cancel(ticket).await;
            assert!(self.daemon.reply(ticket).await.is_err());
        }
        assert_eq!(self.bed.ssh.seen().connections, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_beside_floods() {
    let scene = Scene::start().await;
    let mut floods = Vec::new();
    for name in ["one", "other"] {
        floods.push(scene.send(name, "Flood.").await);
        scene.daemon.wait_text(name).await;
    }
    scene.talk_beside(&floods).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_beside_large_prompts_on_a_slow_uplink() {
    let scene = Scene::start().await;
    scene.proxy.set(Way::Up, Fault::rate(UPLINK));
    let before = scene.proxy.seen().taken.up;
    let mut uploads = Vec::new();
    for name in ["one", "two", "three"] {
        uploads.push(scene.send(name, &"large ".repeat(2_000_000)).await);
    }
    let begun = scene.proxy.wait(Duration::from_secs(30), |seen| {
        (seen.taken.up > before + 1_000_000).then_some(())
    });
    assert!(begun.await.is_some());
    scene.talk_beside(&uploads).await;
    let sent = scene.proxy.seen().delivered.up - before;
    assert!(sent < 30_000_000, "over too early");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_beside_channels_that_never_open() {
    let scene = Scene::start().await;
    let nowhere = BlackHole::dig().await.unwrap();
    scene.configure("nowhere", nowhere.port()).await;
    let mut hanging = Vec::new();
    for number in 0..20 {
        let params = prompt(&format!("hangs{number}"), "Anybody there?");
        let params = with(params, &json!({"configId": "nowhere"}));
        hanging.push(scene.send_params(params).await);
    }
    scene.talk_beside(&hanging).await;
}
