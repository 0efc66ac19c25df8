//! Writes the manual pages and the shells' completions, made of the command line's definition,
//! into a folder: `cargo run --example manual -- target/release-files`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{CommandFactory as _, ValueEnum as _};

#[path = "../src/cli.rs"]
mod cli;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| "target/release-files".into());
    let (manuals, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&manuals)?;
    fs::create_dir_all(&completions)?;
    // Every part of a page says what it is part of.
    let mut command = cli::Cli::command().name(env!("CARGO_PKG_NAME"));
    command.build();
    write_manuals(&command, &manuals)?;
    for &shell in clap_complete::Shell::value_variants() {
        clap_complete::generate_to(shell, &mut command, env!("CARGO_PKG_NAME"), &completions)?;
    }
    Ok(())
}

/// `puffin-remote-llm.1`, `puffin-remote-llm-doctor.1`, …
fn write_manuals(command: &clap::Command, folder: &Path) -> io::Result<()> {
    clap_mangen::Man::new(command.clone()).generate_to(folder)?;
    for part in command.get_subcommands() {
        if part.get_name() != "help" {
            write_manuals(part, folder)?;
        }
    }
    Ok(())
}
