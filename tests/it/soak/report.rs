//! The figures of a run, and whether they are good enough.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::tally::{Counts, Sample, Wrong};

/// Memory per thousand prompts.
const MOST_GROWTH: f64 = 2.0 * 1024.0 * 1024.0;

/// How soon a connection is back after its server is, in 95 of 100 cases.
const RECONNECTED: Duration = Duration::from_millis(1500);

/// Fewer say nothing about memory, or about what happens in 95 of 100 cases.
const ENOUGH_PROMPTS: u64 = 1500;
const ENOUGH_RECONNECTS: usize = 20;

/// The first part of the prompts, which fill caches and the history.
const WARM_UP: f64 = 0.25;

pub(super) struct Report<'a> {
    pub(super) seed: u64,
    pub(super) took: Duration,
    pub(super) counts: &'a Counts,
}

impl Report<'_> {
    /// The figures that are not good enough.
    pub(super) fn missed(&self) -> Vec<String> {
        let counts = self.counts;
        let mut missed: Vec<_> = Wrong::ALL
            .iter()
            .filter_map(|(wrong, name)| Some((name, counts.wrongs.get(wrong)?)))
            .map(|(name, number)| format!("{name}: {number}"))
            .collect();
        if let Some(growth) = self.growth()
            && self.prompts_measured() >= ENOUGH_PROMPTS
            && growth > MOST_GROWTH
        {
            missed.push(format!(
                "memory grows by {} per 1,000 prompts",
                mebibytes(growth)
            ));
        }
        for (profile, times) in &counts.reconnects {
            let [_, p95, _] = percentiles(times);
            if times.len() >= ENOUGH_RECONNECTS && p95 > RECONNECTED {
                missed.push(format!("{profile} is back after {p95:.1?} (p95)"));
            }
        }
        missed
    }

    /// Bytes per thousand prompts.
    fn growth(&self) -> Option<f64> {
        slope(self.warm()).map(|bytes| bytes * 1000.0)
    }

    fn prompts_measured(&self) -> u64 {
        let (first, last) = (self.warm().first(), self.warm().last());
        let prompts = |sample: Option<&Sample>| sample.map_or(0, |sample| sample.prompts);
        prompts(last) - prompts(first)
    }

    fn warm(&self) -> &[Sample] {
        let samples = &self.counts.memory;
        let cold = samples
            .last()
            .map_or(0.0, |last| last.prompts as f64 * WARM_UP);
        let first = samples.partition_point(|sample| (sample.prompts as f64) < cold);
        &samples[first..]
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts;
        let seconds = self.took.as_secs();
        writeln!(
            to,
            "soak of {seconds} s, seed {}: {} prompts",
            self.seed, counts.prompts
        )?;
        for (name, number) in &counts.ends {
            writeln!(to, "  {number:6}  {name}")?;
        }
        let troubles: u64 = counts.troubles.values().sum();
        writeln!(to, "troubles: {troubles}")?;
        for (name, number) in &counts.troubles {
            writeln!(to, "  {number:6}  {name}")?;
        }
        writeln!(to, "what must not be")?;
        for (wrong, name) in Wrong::ALL {
            let number = counts.wrongs.get(&wrong).unwrap_or(&0);
            writeln!(to, "  {number:6}  {name}")?;
        }
        writeln!(to, "times (p50, p95, max)")?;
        times(to, "cancel to reply", &counts.cancels)?;
        for (profile, taken) in &counts.reconnects {
            times(to, &format!("sshd back to ready, {profile}"), taken)?;
        }
        let mut memory = String::new();
        for sample in &counts.memory {
            write!(
                memory,
                " {}:{:.1}",
                sample.prompts,
                sample.bytes as f64 / 1048576.0
            )?;
        }
        writeln!(to, "memory (prompts:MiB){memory}")?;
        if let Some(growth) = self.growth() {
            writeln!(
                to,
                "  {} per 1,000 prompts, over the last {}",
                mebibytes(growth),
                self.prompts_measured()
            )?;
        }
        for finding in &counts.findings {
            writeln!(to, "! {finding:.2000}")?;
        }
        Ok(())
    }
}

fn times(to: &mut fmt::Formatter<'_>, name: &str, times: &[Duration]) -> fmt::Result {
    let [p50, p95, most] = percentiles(times);
    let number = times.len();
    let [p50, p95, most] = [p50, p95, most].map(|time| time.as_millis());
    writeln!(to, "  {number:6}  {name}: {p50} ms, {p95} ms, {most} ms")
}

/// The 50th, the 95th, and the longest.
fn percentiles(times: &[Duration]) -> [Duration; 3] {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100);
        times
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    };
    [at(50), at(95), at(100)]
}

/// Of the line through the samples with the least squares, in bytes a prompt.
fn slope(samples: &[Sample]) -> Option<f64> {
    let number = samples.len() as f64;
    let mean = |value: fn(&Sample) -> f64| samples.iter().map(value).sum::<f64>() / number;
    let (prompts, bytes) = (
        mean(|sample| sample.prompts as f64),
        mean(|sample| sample.bytes as f64),
    );
    let (mut both, mut square) = (0.0, 0.0);
    for sample in samples {
        let distance = sample.prompts as f64 - prompts;
        both += distance * (sample.bytes as f64 - bytes);
        square += distance * distance;
    }
    (square > 0.0).then(|| both / square)
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.2} MiB", bytes / 1048576.0)
}

#[test]
fn the_slope_of_a_line_is_found_and_percentiles_are_of_the_whole() {
    let samples = [0, 10, 30].map(|prompts| Sample {
        prompts,
        bytes: 7 + 3 * prompts,
    });
    assert!((slope(&samples).unwrap() - 3.0).abs() < 1e-9);
    assert!(slope(&samples[..1]).is_none());
    let times: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
    assert_eq!(
        percentiles(&times),
        [50, 95, 100].map(Duration::from_millis)
    );
    assert_eq!(percentiles(&[]), [Duration::ZERO; 3]);
}
