//! Five SSH servers, the network in front of them, an LLM server, and the daemon under test.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::time::{Instant, sleep};

use super::ledger::Ledger;
use super::model;
use super::tally::Tally;
use crate::support::bed::{Bed, by_key, with};
use crate::support::daemon::{Daemon, Status};
use crate::support::fault_proxy::FaultProxy;
use crate::support::peer::sshd::Sshd;

/// What prompts go through.
pub(super) const PROFILES: [&str; 6] = ["plain", "twin", "jump", "bastion", "narrow", STRAIGHT];

/// Without a proxy, so that what is refused is refused by the system.
pub(super) const STRAIGHT: &str = "straight";

/// The same, and nobody ever asks for the connection.
pub(super) const LONELY: &str = "lonely";

/// How often a request may be sent again.
pub(super) const MOST_RESENT: usize = 2;

/// How long a profile may take to be connected when nothing is wrong any more: a server that hung
/// up on us before a login is left alone for a while.
const CONNECTED: Duration = Duration::from_secs(90);

pub(super) struct World {
    pub(super) daemon: Daemon,
    pub(super) bed: Bed,
    /// In front of the LLM server.
    pub(super) llm: FaultProxy,
    pub(super) plain: Road,
    pub(super) bastion: Road,
    pub(super) inner: Road,
    /// Room for three logins at a time, new keys with every megabyte.
    pub(super) narrow: Road,
    pub(super) straight: Sshd,
    pub(super) lonely: Sshd,
    pub(super) ledger: Ledger,
    pub(super) tally: Tally,
    /// Read while a reconnect is measured, written by what would spoil that.
    pub(super) measuring: RwLock<()>,
}

/// An SSH server and the network in front of it.
pub(super) struct Road {
    pub(super) sshd: Sshd,
    pub(super) proxy: FaultProxy,
}

impl Road {
    async fn to(sshd: Sshd) -> Self {
        let proxy = FaultProxy::before(sshd.port()).await;
        let proxy = proxy.expect("loopback has ports");
        Self { sshd, proxy }
    }

    fn ssh(&self) -> Value {
        with(ssh(&self.sshd), &json!({"port": self.proxy.port()}))
    }

    fn known_host(&self) -> String {
        self.sshd.known_hosts_at(self.proxy.port())
    }
}

impl World {
    pub(super) async fn start() -> Self {
        let bed = Bed::start().await;
        bed.llm.remember_nothing();
        let llm = FaultProxy::before(bed.llm.port()).await;
        let (plain, bastion, inner, narrow, straight, lonely) = tokio::join!(
            server(&[]),
            server(&[]),
            server(&[]),
            server(&["MaxStartups 3:100:3", "RekeyLimit 1M"]),
            server(&[]),
            server(&[]),
        );
        let tally = Tally::default();
        let launch = bed.launch().argument("--log").argument("info");
        let world = Self {
            daemon: bed.launched(&launch).await,
            llm: llm.expect("loopback has ports"),
            plain: Road::to(plain).await,
            bastion: Road::to(bastion).await,
            inner: Road::to(inner).await,
            narrow: Road::to(narrow).await,
            straight,
            lonely,
            ledger: Ledger::new(tally.clone()),
            bed,
            tally,
            measuring: RwLock::default(),
        };
        world.populate().await;
        world
    }

    pub(super) fn roads(&self) -> [&Road; 4] {
        [&self.plain, &self.bastion, &self.inner, &self.narrow]
    }

    /// Every profile there is.
    pub(super) fn profiles() -> impl Iterator<Item = &'static str> {
        PROFILES.into_iter().chain([LONELY])
    }

    /// Makes the model, the tools, the known hosts and the profiles.
    async fn populate(&self) {
        let (ledger, tally) = (self.ledger.clone(), self.tally.clone());
        self.bed
            .llm
            .on_chat(move |request| model::answer(&ledger, &tally, request));
        let ledger = self.ledger.clone();
        self.daemon
            .answer_with(move |question| model::run_tool(&ledger, question));

        let mut known: String = self.roads().map(Road::known_host).concat();
        for sshd in [&self.straight, &self.lonely] {
            known += &sshd.host_key_line();
        }
        self.bed.write_known_hosts(&known);
        let bastion = json!({"jumpHosts": [self.bastion.ssh()]});
        for (profile, ssh) in [
            ("plain", self.plain.ssh()),
            ("twin", self.plain.ssh()),
            ("jump", with(self.inner.ssh(), &bastion)),
            ("bastion", self.bastion.ssh()),
            ("narrow", self.narrow.ssh()),
            (STRAIGHT, ssh(&self.straight)),
            (LONELY, ssh(&self.lonely)),
        ] {
            let params = json!({
                "configId": profile, "name": profile, "ssh": ssh, "llm": self.llm_params(),
            });
            self.daemon.ok("remote-llm/configure", params).await;
        }
    }

    fn llm_params(&self) -> Value {
        json!({
            "apiEndpoint": format!("http://127.0.0.1:{}", self.llm.port()),
            "apiType": "openai-compatible",
            "maxRetries": MOST_RESENT,
            "timeouts": {"connectMs": 5000, "firstTokenMs": 8000, "idleMs": 8000},
        })
    }

    /// Connects every profile, as often as it takes.
    pub(super) async fn connect(&self) {
        let deadline = Instant::now() + CONNECTED;
        for profile in Self::profiles() {
            let params = json!({"configId": profile});
            while let Err(error) = self.daemon.call("remote-llm/connect", params.clone()).await {
                if Instant::now() > deadline {
                    self.daemon
                        .fail(&format!("{profile} cannot be connected: {error:?}"));
                }
                sleep(Duration::from_millis(500)).await;
            }
        }
    }

    /// Waits until a profile's newest status fits.
    pub(super) async fn status(&self, profile: &str, fits: impl Fn(&Status) -> bool) -> Status {
        self.daemon
            .wait(&format!("another status of {profile}"), |traffic| {
                let status = traffic.statuses.get(profile);
                status.filter(|status| fits(status)).cloned()
            })
            .await
    }

    pub(super) async fn disconnect(&self) {
        for profile in Self::profiles() {
            let params = json!({"configId": profile});
            self.daemon.ok("remote-llm/disconnect", params).await;
        }
    }
}

/// A server that keeps no log to speak of, and no session of a client that is gone without a word.
async fn server(config: &'static [&str]) -> Sshd {
    const ALL: &[&str] = &[
        "LogLevel ERROR",
        "ClientAliveInterval 3",
        "ClientAliveCountMax 2",
    ];
    // It makes its keys first, which takes a while.
    tokio::task::spawn_blocking(move || Sshd::start(&[config, ALL].concat()))
        .await
        .expect("it starts")
}

/// A dead connection is noticed within some four seconds.
fn ssh(sshd: &Sshd) -> Value {
    with(
        by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519),
        &json!({"connectTimeout": 4000, "keepaliveInterval": 1000, "keepaliveCountMax": 3}),
    )
}
