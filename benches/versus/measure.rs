//! How much is measured, and through what.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::course::Course;
use crate::figures::{Figures, Way};
use crate::host::Host;
use crate::model::Model;
use crate::ssh2::Ssh2;
use crate::support::fault_proxy::{Fault, FaultProxy, Way as Direction};
use crate::support::peer::{free_port, sshd::Sshd};

/// 20 Mbit/s.
const UPLINK: u64 = 2_500_000;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) starts: usize,
    pub(crate) colds: usize,
    pub(crate) warms: usize,
    /// Of each stream whose tokens come every 20 ms.
    pub(crate) paced: Duration,
    /// Of all streams of a burst together.
    pub(crate) burst: usize,
    /// Profiles that streams are spread over.
    pub(crate) profiles: &'static [usize],
    /// Milliseconds there and back.
    pub(crate) trips: &'static [u64],
}

impl Plan {
    pub(crate) fn quick() -> Self {
        Self {
            rounds: 1,
            starts: 10,
            colds: 3,
            warms: 30,
            paced: Duration::from_secs(2),
            burst: 50_000,
            profiles: &[10],
            trips: &[20],
        }
    }

    pub(crate) fn whole(rounds: usize) -> Self {
        Self {
            rounds,
            starts: 40,
            colds: 5,
            warms: 200,
            paced: Duration::from_secs(6),
            burst: 200_000,
            profiles: &[10, 50],
            trips: &[20, 50],
        }
    }
}

/// What every way goes through.
pub(crate) struct Lab<'a> {
    sshd: &'a Sshd,
    proxy: &'a FaultProxy,
    daemon: &'a Path,
    ssh2: Option<Ssh2>,
    model: Model,
    home: TempDir,
}

impl<'a> Lab<'a> {
    pub(crate) fn new(
        sshd: &'a Sshd,
        proxy: &'a FaultProxy,
        daemon: &'a Path,
        ssh2: Option<Ssh2>,
    ) -> Result<Self, String> {
        let problem = |error: std::io::Error| error.to_string();
        let home = tempfile::tempdir().map_err(problem)?;
        std::fs::create_dir(home.path().join(".ssh")).map_err(problem)?;
        let known = sshd.known_hosts_at(sshd.port()) + &sshd.known_hosts_at(proxy.port());
        std::fs::write(home.path().join(".ssh/known_hosts"), known).map_err(problem)?;
        Ok(Self {
            sshd,
            proxy,
            daemon,
            ssh2,
            model: Model::start().map_err(problem)?,
            home,
        })
    }

    pub(crate) fn measure(
        &self,
        way: Way,
        plan: &Plan,
        figures: &mut Figures,
    ) -> Result<(), String> {
        let mut course = self.open(way, self.sshd.port(), 1, figures)?;
        course.first_tokens(plan, "")?;
        course.streams(plan)?;
        course.bulk()?;
        course.host.call("close", json!({}))?;
        if way.uses_ssh() {
            self.profiles(way, plan, figures)?;
            self.far_away(way, plan, figures)?;
        }
        Ok(())
    }

    /// The same streams, spread over profiles.
    fn profiles(&self, way: Way, plan: &Plan, figures: &mut Figures) -> Result<(), String> {
        for &profiles in plan.profiles {
            let mut course = self.open(way, self.sshd.port(), profiles, figures)?;
            let tokens = plan.paced.as_millis() / 20;
            let content = format!("MODE tokens={tokens} every=20000 together=100;");
            let pace = format!("20 ms a token, {profiles} profiles");
            course.stream(100, &content, &pace, Some(plan.paced))?;
            course.host.call("close", json!({}))?;
        }
        Ok(())
    }

    /// The same over longer and narrower lines.
    fn far_away(&self, way: Way, plan: &Plan, figures: &mut Figures) -> Result<(), String> {
        for &trip in plan.trips {
            self.proxy.set_both(Fault {
                delay: Duration::from_millis(trip) / 2,
                buffer: 4 << 20,
                ..Fault::default()
            });
            let mut course = self.open(way, self.proxy.port(), 1, figures)?;
            let plan = Plan {
                colds: 2,
                warms: 5,
                ..plan.clone()
            };
            course.first_tokens(&plan, &format!(", {trip} ms round trip"))?;
            course.upload(1, 10, &format!(", {trip} ms round trip"))?;
            course.host.call("close", json!({}))?;
            self.proxy.clear();
        }
        self.proxy.set(Direction::Up, Fault::rate(UPLINK));
        let mut course = self.open(way, self.proxy.port(), 1, figures)?;
        course.upload(1, 1, ", 20 Mbit/s")?;
        course.host.call("close", json!({}))?;
        self.proxy.clear();
        Ok(())
    }

    fn open<'b>(
        &'b self,
        way: Way,
        port: u16,
        profiles: usize,
        figures: &'b mut Figures,
    ) -> Result<Course<'b>, String> {
        let mut host = Host::start(way.argument())?;
        let key = host_key(&self.sshd.known_hosts_at(port));
        let anchor: Option<PathBuf> = self.ssh2.as_ref().map(|ssh2| ssh2.anchor.clone());
        let local_ports: Vec<_> = (0..profiles).map(|_| free_port()).collect();
        let settings = json!({
            "daemon": self.daemon,
            "home": self.home.path(),
            "ssh": {"port": port, "username": self.sshd.username(), "key": self.sshd.keys.ed25519},
            "hostKey": key,
            "port": self.model.port,
            "profiles": profiles,
            "localPorts": local_ports,
            "ssh2": anchor,
        });
        host.call("open", settings)?;
        Ok(Course {
            way,
            sshd: self.sshd,
            model: &self.model,
            host,
            figures,
        })
    }
}

/// The key of a line of known_hosts, in base64.
fn host_key(line: &str) -> String {
    line.split(' ').nth(2).unwrap_or_default().trim().to_owned()
}
