//! The command line; the manual page and the shells' completions are made of it, too.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use tracing::level_filters::LevelFilter;

/// Lets Puffin use an LLM server on another machine, over SSH.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Speak JSON-RPC on standard input and output until it ends (the default).
    Serve(Serve),
    /// Test the way to an LLM server, stage by stage, and say where it ends and why.
    Doctor(Doctor),
    /// Print the protocol's JSON Schema.
    Schema,
    /// Look at the audit trail.
    #[command(subcommand)]
    Audit(AuditCommand),
}

#[derive(Debug, Default, Args)]
pub(crate) struct Serve {
    /// The lowest level of log lines on standard error: error, warn, info, debug or trace
    /// [default: warn, or $PUFFIN_REMOTE_LLM_LOG].
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<LevelFilter>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// A saved profile, or what you would write after `ssh`: an alias, user@host, a whole
    /// "ssh …" command [default: every saved profile].
    pub(crate) target: Option<String>,
    /// The LLM server as seen from the target, such as http://localhost:11434.
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The project whose profiles count [default: this folder].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) project: Option<PathBuf>,
    /// Where the daemon keeps its own files [default: the platform's data directory].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write what somebody else needs to see to help, without secrets and names, into a new
    /// file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) bundle: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Tell whether a file of the trail is as it was written.
    Verify {
        /// Of the folder `audit` in the data directory.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}
