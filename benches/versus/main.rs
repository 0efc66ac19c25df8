//! The daemon beside the other ways to a model on another machine, in one run, on one machine,
//! through the same real sshd, to the same LLM stand-in, with a host in Node that does the same
//! work on each: parse, append, count.
//!
//! ```text
//! cargo bench --bench versus                # rounds of everything; writes benches/RESULTS.md
//! cargo bench --bench versus -- --quick     # one short round, within 4 minutes; writes nothing
//! cargo bench --bench versus -- --way ours --way ssh2
//! ```
//!
//! Needs OpenSSH, Node, and for one of the ways npm. Loopback only.

#![expect(clippy::print_stdout, reason = "a table for people")]

mod course;
mod figures;
mod goals;
mod host;
mod machine;
mod measure;
mod model;
mod plot;
mod process;
mod report;
mod ssh2;
mod start;
#[expect(
    dead_code,
    unused_imports,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the tests' own"
)]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use figures::{Figures, Way};
use measure::{Lab, Plan};
use support::fault_proxy::FaultProxy;
use support::peer::sshd::{self, Sshd};
use support::processes::allow_descriptors;

#[derive(Debug, Parser)]
struct Arguments {
    /// One short round; nothing is written
    #[arg(long)]
    quick: bool,
    /// How often everything is measured; the ways take turns
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only this way: ours, tunnel, ssh2 or direct
    #[arg(long)]
    way: Vec<String>,
    /// Another daemon than the one that cargo built
    #[arg(long)]
    daemon: Option<PathBuf>,
    /// Write the results of a short round, too
    #[arg(long)]
    write: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(missing) =
        sshd::available().and_then(|()| support::peer::installed(&["node", "ssh"]))
    {
        println!("skipped: {missing}");
        return ExitCode::SUCCESS;
    }
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), String> {
    allow_descriptors();
    let daemon = arguments
        .daemon
        .clone()
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_puffin-remote-llm").into());
    let ssh2 = ssh2::install();
    let sshd = Sshd::start(&[]);
    let proxy = FaultProxy::before(sshd.port())
        .await
        .map_err(|error| error.to_string())?;
    let lab = Lab::new(&sshd, &proxy, &daemon, ssh2.as_ref().ok().cloned())?;
    let plan = match arguments.quick {
        true => Plan::quick(),
        false => Plan::whole(arguments.rounds),
    };
    let begun = Instant::now();
    let mut figures = Figures::default();
    start::measure(&daemon, plan.starts, &mut figures)?;
    let mut skipped = Vec::new();
    for round in 1..=plan.rounds {
        for way in Way::ALL {
            if !arguments.way.is_empty() && !arguments.way.iter().any(|name| name == way.argument())
            {
                continue;
            }
            if let (Way::Ssh2, Err(reason)) = (way, &ssh2) {
                skipped = vec![format!("{}: {reason}", way.title())];
                continue;
            }
            println!(
                "round {round}, {}, after {:.0} s",
                way.title(),
                begun.elapsed().as_secs_f64()
            );
            lab.measure(way, &plan, &mut figures)?;
        }
    }
    let report = report::Report {
        figures: &figures,
        plan: &plan,
        skipped: &skipped,
        ssh2_is_native: ssh2.as_ref().is_ok_and(|ssh2| ssh2.is_native),
    };
    println!("\n{}", report.markdown());
    if !arguments.quick || arguments.write {
        report.write()?;
    }
    Ok(())
}
