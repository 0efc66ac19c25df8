//! The main job, live: connect over SSH, list the models, stream an answer that reads a file of
//! this machine through a tool.
//!
//! ```text
//! cargo run --release --example quickstart
//! cargo run --release --example quickstart -- --ssh user@host --endpoint http://localhost:11434
//! ```
//!
//! The first form needs nothing else: an SSH server and an LLM server in this process stand in for
//! the other machine. In both, the daemon is the real one, a child of this process on two pipes.

mod binary;
mod client;
mod embedded;
mod host;
mod job;
mod terminal;

// The servers of the tests, which use more of them.
#[path = "../../tests/it/support/journal.rs"]
mod journal;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/it/support/llm_server/mod.rs"]
mod llm_server;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/it/support/ssh_server/mod.rs"]
mod ssh_server;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Runs the main job of puffin-remote-llm and shows what happens.
#[derive(Debug, Parser)]
struct Arguments {
    /// A real machine to reach, as `user@host[:port]`; without it, servers of this process
    #[arg(long, requires = "endpoint")]
    ssh: Option<String>,
    /// The LLM server there, as that machine sees it: `http://localhost:11434`
    #[arg(long, requires = "ssh")]
    endpoint: Option<String>,
    /// The model to ask; else the first one listed
    #[arg(long, requires = "ssh")]
    model: Option<String>,
    /// A private key; else what OpenSSH would try, and then questions
    #[arg(long, requires = "ssh")]
    key: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match job::run(Arguments::parse()).await {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    terminal::line(&format!("\nFAILED: {outcome}"));
    ExitCode::FAILURE
}
