//! The measurements of one way.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::figures::{Figures, Way, median};
use crate::host::Host;
use crate::measure::Plan;
use crate::model::Model;
use crate::process::{cpu_seconds, parent, resident_mib};
use crate::support::peer::sshd::Sshd;

/// Streams beside each other.
pub(crate) const WIDTHS: [usize; 3] = [1, 100, 1000];

/// A first token at once, and the end.
const ONE: &str = "MODE tokens=1;";
const MEGABYTE: usize = 1_000_000;
const DOWNLOAD: usize = 32 * MEGABYTE;

/// One way, open.
pub(crate) struct Course<'a> {
    pub(crate) way: Way,
    pub(crate) sshd: &'a Sshd,
    pub(crate) model: &'a Model,
    pub(crate) host: Host,
    pub(crate) figures: &'a mut Figures,
}

impl Course<'_> {
    fn add(&mut self, group: &'static str, what: String, unit: &'static str, value: f64) {
        self.figures.add(self.way, group, what, unit, value);
    }

    pub(crate) fn first_tokens(&mut self, plan: &Plan, line: &str) -> Result<(), String> {
        const GROUP: &str = "Until something comes";
        let warm = json!({"count": plan.warms, "content": ONE});
        // What is compiled, looked up or opened once.
        self.host
            .call("warm", json!({"count": 3, "content": ONE}))?;
        let answer = self.host.call("warm", warm)?;
        self.add(
            GROUP,
            format!("warm request to first token{line}"),
            "ms",
            middle(&answer),
        );
        if line.is_empty() {
            let models = json!({"count": plan.warms.min(30)});
            let answer = self.host.call("models", models)?;
            self.add(
                GROUP,
                "the list of models, anew".to_owned(),
                "ms",
                middle(&answer),
            );
        }
        if self.way.uses_ssh() {
            for _ in 0..plan.colds {
                let answer = self.host.call("cold", json!({"content": ONE}))?;
                let what = format!("no connection to first token{line}");
                self.add(GROUP, what, "ms", answer["ms"].as_f64().unwrap_or(f64::NAN));
            }
        }
        Ok(())
    }

    pub(crate) fn streams(&mut self, plan: &Plan) -> Result<(), String> {
        const MEMORY: &str = "Memory";
        self.memory(MEMORY, "idle");
        for width in WIDTHS {
            let tokens = plan.paced.as_millis() / 20;
            let content = format!("MODE tokens={tokens} every=20000 together={width};");
            self.stream(width, &content, "20 ms a token", Some(plan.paced))?;
        }
        for width in WIDTHS {
            // One stream alone is soon done.
            let tokens = plan.burst / if width == 1 { 2 } else { width };
            let content = format!("MODE tokens={tokens} every=0 together={width};");
            self.stream(width, &content, "burst", None)?;
        }
        Ok(())
    }

    pub(crate) fn stream(
        &mut self,
        width: usize,
        content: &str,
        pace: &str,
        length: Option<Duration>,
    ) -> Result<(), String> {
        let mut openings = self.model.openings();
        openings.borrow_and_update();
        let command = json!({"command": "streams", "count": width, "content": content});
        self.host.send(&command)?;
        await_opening(&mut openings)?;
        let before = self.cpu();
        if let Some(length) = length {
            std::thread::sleep(length / 2);
            let profiles = pace.split_once(", ").map(|(_, profiles)| profiles);
            let when = match profiles {
                Some(profiles) => format!("{}, {profiles}", streams(width)),
                None => streams(width),
            };
            self.memory("Memory", &when);
        }
        let answer = self.host.answer("streams")?;
        let after = self.cpu();

        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let tokens = number(&answer["tokens"]);
        let of = format!("{}, {pace}", streams(width));
        self.add(
            "Tokens a second",
            of.clone(),
            "tokens/s",
            tokens / number(&answer["seconds"]),
        );
        if length.is_some() {
            for part in ["p50", "p99", "max"] {
                let micros = number(&answer["latencyMicros"][part]);
                self.add(
                    "From the server to the host's code",
                    format!("{of}, {part}"),
                    "ms",
                    micros / 1e3,
                );
            }
        }
        let loop_delay = number(&answer["loopMs"]["p99"]);
        self.add(
            "Event loop's delay in the host, p99",
            of.clone(),
            "ms",
            loop_delay,
        );
        // A single paced stream has too few tokens for the kernel's clock.
        if width > 1 || length.is_none() {
            let host = number(&answer["cpuMicros"]) / tokens;
            self.add("CPU of the host", of.clone(), "µs/token", host);
            let [client, sshd] = [0, 1].map(|who| (after[who] - before[who]) * 1e6 / tokens);
            if !self.host.client.is_empty() {
                self.add("CPU of daemon or ssh", of.clone(), "s/M tokens", client);
            }
            self.add(
                "CPU of daemon or ssh, and host",
                of.clone(),
                "s/M tokens",
                client + host,
            );
            if self.way.uses_ssh() {
                self.add("CPU of sshd", of, "s/M tokens", sshd);
            }
        }
        Ok(())
    }

    /// Of the daemon or `ssh`, and of sshd.
    fn cpu(&self) -> [f64; 2] {
        let mut sshd = self.sshd.sessions();
        // Sessions that end count as its children's.
        sshd.extend(sshd.first().copied().and_then(parent));
        [cpu_seconds(&self.host.client), cpu_seconds(&sshd)]
    }

    fn memory(&mut self, group: &'static str, when: &str) {
        let host = resident_mib(&[self.host.pid()]);
        self.add(group, format!("host, {when}"), "MiB", host);
        if !self.host.client.is_empty() {
            let client = resident_mib(&self.host.client);
            self.add(group, format!("daemon or ssh, {when}"), "MiB", client);
        }
    }

    pub(crate) fn bulk(&mut self) -> Result<(), String> {
        self.upload(1, 1, "")?;
        self.upload(1, 10, "")?;
        // A line to the daemon has 16 MiB at most; a hundred come as ten.
        self.upload(10, 10, "")?;
        self.download("32 MB down, at 49 MB/s", "pieces=6");
        self.download("32 MB down, as fast as it is taken", "pieces=0");
        Ok(())
    }

    /// That it fails is a result, too.
    fn download(&mut self, what: &str, pace: &str) {
        let content = format!("MODE bytes={DOWNLOAD} {pace};");
        let command = json!({"bytes": DOWNLOAD, "content": content});
        match self.host.call("download", command) {
            Ok(answer) => self.bulk_figures(DOWNLOAD, what.to_owned(), &answer),
            Err(error) => {
                let first = error.lines().next().unwrap_or_default();
                let failure = format!("{}, {what}: {first}", self.way.title());
                self.figures.fail(failure);
            }
        }
    }

    pub(crate) fn upload(
        &mut self,
        count: usize,
        megabytes: usize,
        line: &str,
    ) -> Result<(), String> {
        let bytes = megabytes * MEGABYTE;
        let command = json!({"count": count, "bytes": bytes, "content": ONE});
        let answer = self.host.call("upload", command)?;
        let what = match count {
            1 => format!("{megabytes} MB up{line}"),
            _ => format!("{} MB up, as {count} prompts{line}", count * megabytes),
        };
        self.bulk_figures(count * bytes, what, &answer);
        Ok(())
    }

    fn bulk_figures(&mut self, bytes: usize, what: String, answer: &Value) {
        let seconds = answer["seconds"].as_f64().unwrap_or(f64::NAN);
        self.add("Bulk", what.clone(), "MB/s", bytes as f64 / 1e6 / seconds);
        let delay = answer["loopMs"]["p99"].as_f64().unwrap_or(f64::NAN);
        self.add("Event loop's delay in the host, p99", what, "ms", delay);
    }
}

/// `1 stream`, `100 streams`.
pub(crate) fn streams(width: usize) -> String {
    format!("{width} stream{}", if width == 1 { "" } else { "s" })
}

/// The median of an answer's times.
fn middle(answer: &Value) -> f64 {
    let times = answer["ms"].as_array().into_iter().flatten();
    let mut times: Vec<_> = times.filter_map(Value::as_f64).collect();
    times.sort_by(f64::total_cmp);
    median(&times).unwrap_or(f64::NAN)
}

/// Waits until all streams have asked.
fn await_opening(openings: &mut watch::Receiver<u64>) -> Result<(), String> {
    const LIMIT: Duration = Duration::from_secs(60);
    tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(async {
            match tokio::time::timeout(LIMIT, openings.changed()).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(format!("not all streams had asked within {LIMIT:?}")),
            }
        })
    })
}
