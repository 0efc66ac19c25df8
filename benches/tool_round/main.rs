//! What a tool costs: a prompt whose model calls one tool, which the host answers at once, against
//! two prompts without. Both ask the server twice and the daemon is heard twice, so what is left is
//! the daemon's own work for the tool: `host/execute-tool`, its answer, and the second request.
//!
//! ```text
//! cargo bench --bench tool_round
//! cargo bench --bench tool_round -- --rounds 2000 --json
//! ```
//!
//! An embedded SSH server and a scripted LLM server, loopback only.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot go on fails"
)]
#![expect(clippy::print_stdout, reason = "a table for people")]

mod host;
#[expect(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    reason = "the tests' own"
)]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};

use host::Host;
use support::bed::{Bed, prompt, read_tool, with};
use support::llm_server::{Call, Reply};

/// What a tool may add to two prompts without.
const LIMIT: Duration = Duration::from_micros(200);

/// Prompts before the first that counts.
const WARM_UP: usize = 50;

#[derive(Debug, Parser)]
struct Arguments {
    /// How many times each is measured
    #[arg(long, default_value_t = 500)]
    rounds: usize,
    /// A line of JSON, too
    #[arg(long)]
    json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bed = Bed::alone().await;
    bed.llm.remember_nothing();
    bed.llm.on_chat(|request| {
        let wants_tool = request.body.get("tools").is_some() && !request.has_tool_result();
        match wants_tool {
            true => Reply::calls(&[Call {
                id: "a",
                name: "Read",
                arguments: &["{\"path\":\"a\"}"],
            }]),
            false => Reply::text(&["Done."]),
        }
    });
    let mut host = Host::start(&bed);
    let plain = prompt("p", "Say done.");
    let tool = with(plain.clone(), &json!({ "tools": [read_tool()] }));
    let [mut bare, mut without, mut with_tool] = [const { Vec::new() }; 3];
    for round in 0..WARM_UP + arguments.rounds {
        // In turn, so that what else the machine does falls on all of them.
        let nobody = json!({"requestId": "nobody"});
        let times = [
            host.time("remote-llm/cancel", &nobody),
            host.time("remote-llm/stream-prompt", &plain),
            host.time("remote-llm/stream-prompt", &tool),
        ];
        if round >= WARM_UP {
            let [first, second, third] = times;
            bare.push(first);
            without.push(second);
            with_tool.push(third);
        }
    }
    assert_eq!(host.tools(), WARM_UP + arguments.rounds, "a tool each time");
    conclude(
        [p50(&mut bare), p50(&mut without), p50(&mut with_tool)],
        arguments.json,
    )
}

/// Says whether the promise is kept.
fn conclude([bare, without, with_tool]: [Duration; 3], as_json: bool) -> ExitCode {
    let added = with_tool.saturating_sub(2 * without);
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    println!("p50 in µs");
    println!("{:>10.0}  a bare request to the daemon", us(bare));
    println!("{:>10.0}  a prompt", us(without));
    println!("{:>10.0}  a prompt with a tool call", us(with_tool));
    println!(
        "{:>10.0}  added by the tool to two prompts (at most {:.0})",
        us(added),
        us(LIMIT)
    );
    if as_json {
        let line: Value = json!({
            "bare": us(bare), "prompt": us(without), "toolPrompt": us(with_tool),
            "added": us(added), "limit": us(LIMIT),
        });
        println!("{line}");
    }
    match added <= LIMIT {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn p50(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
