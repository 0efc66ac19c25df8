//! The results as Markdown.

use std::fmt::Write as _;
use std::path::Path;

use crate::figures::{Figures, Spread, Way};
use crate::measure::Plan;
use crate::{goals, machine, plot};

pub(crate) struct Report<'a> {
    pub(crate) figures: &'a Figures,
    pub(crate) plan: &'a Plan,
    /// Ways that could not be measured, and why.
    pub(crate) skipped: &'a [String],
    pub(crate) ssh2_is_native: bool,
}

impl Report<'_> {
    /// Writes `benches/RESULTS.md` and its plot.
    pub(crate) fn write(&self) -> Result<(), String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
        let put = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        put("RESULTS.md", self.markdown())?;
        put("results.svg", plot::svg(self.figures))
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.head(&mut out);
        let _ = self.goals(&mut out);
        let _ = self.tables(&mut out);
        out
    }

    fn head(&self, out: &mut String) -> std::fmt::Result {
        let plan = self.plan;
        writeln!(
            out,
            "# Side by side\n\n\
             Written by `cargo bench --bench versus`; edits are lost.\n\n\
             The same host in Node asks the same LLM stand-in through the same sshd, in {} round(s) \
             in which the ways take turns: **ours** (the daemon over its pipes), **ssh -L** with \
             Node's HTTP client, **Node ssh2** (the npm package, `forwardOut`) with the same client, \
             and **no SSH**, the limit. The host's work is the same on each: parse, append, count. \
             A figure is the median of the rounds, and in brackets the least and the most.\n",
            plan.rounds
        )?;
        for line in machine::describe() {
            writeln!(out, "- {line}")?;
        }
        let native = if self.ssh2_is_native {
            "with its native ciphers"
        } else {
            "without its native ciphers, which could not be built"
        };
        writeln!(out, "- ssh2 {native}")?;
        for skipped in self.skipped {
            writeln!(out, "- not measured: {skipped}")?;
        }
        for failure in &self.figures.failures {
            writeln!(out, "- **failed**: {failure}")?;
        }
        writeln!(
            out,
            "\n![latency and speed by the number of streams](results.svg)"
        )
    }

    fn goals(&self, out: &mut String) -> std::fmt::Result {
        let goals = goals::all(self.figures);
        let met = goals.iter().filter(|goal| goal.is_met).count();
        writeln!(out, "\n## Goals: {met} of {} met\n", goals.len())?;
        writeln!(out, "| goal | limit | measured | |\n|---|---|---|---|")?;
        for goal in goals {
            let verdict = if goal.is_met { "met" } else { "**missed**" };
            let measured = figure(goal.measured);
            writeln!(
                out,
                "| {} | {} | {measured} | {verdict} |",
                goal.claim, goal.limit
            )?;
        }
        Ok(())
    }

    fn tables(&self, out: &mut String) -> std::fmt::Result {
        let mut groups: Vec<&str> = Vec::new();
        for (_, name) in self.figures.names() {
            if !groups.contains(&name.group) {
                groups.push(name.group);
            }
        }
        for group in groups {
            self.table(out, group)?;
        }
        Ok(())
    }

    fn table(&self, out: &mut String, group: &str) -> std::fmt::Result {
        writeln!(out, "\n## {group}\n")?;
        let titles: Vec<_> = Way::ALL.iter().map(|way| way.title()).collect();
        writeln!(
            out,
            "| | | {} | ours : ssh -L | ours : Node ssh2 |\n|---|---|{}",
            titles.join(" | "),
            "---|".repeat(Way::ALL.len() + 2)
        )?;
        let rows = self.figures.names().filter(|(_, name)| name.group == group);
        for (index, name) in rows {
            let of = |way| self.figures.spread(index, way);
            let cells: Vec<_> = Way::ALL.iter().map(|way| cell(of(*way))).collect();
            let ratio = |rival| match (of(Way::Ours), of(rival)) {
                (Some(ours), Some(theirs)) if theirs.median != 0.0 => {
                    figure(ours.median / theirs.median)
                }
                _ => String::new(),
            };
            writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                name.what,
                name.unit,
                cells.join(" | "),
                ratio(Way::Tunnel),
                ratio(Way::Ssh2)
            )?;
        }
        Ok(())
    }
}

fn cell(spread: Option<Spread>) -> String {
    let Some(spread) = spread else {
        return "–".to_owned();
    };
    let [median, least, most] = [spread.median, spread.least, spread.most].map(figure);
    if least == most {
        return median;
    }
    format!("{median} ({least}–{most})")
}

/// Three digits that count.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
