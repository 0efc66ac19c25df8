//! How long the daemon takes to be there, and how large it is.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::figures::{Figures, Way};

const HELLO: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1,"client":{"name":"versus"}}}
"#;

pub(crate) fn measure(daemon: &Path, times: usize, figures: &mut Figures) -> Result<(), String> {
    for _ in 0..times {
        let took = start(daemon).map_err(|error| format!("{}: {error}", daemon.display()))?;
        figures.add(
            Way::Ours,
            "The daemon itself",
            "start to `initialize` answered",
            "ms",
            took,
        );
    }
    let size = std::fs::metadata(daemon).map_err(|error| error.to_string())?;
    let megabytes = size.len() as f64 / 1e6;
    figures.add(Way::Ours, "The daemon itself", "binary", "MB", megabytes);
    Ok(())
}

/// In milliseconds.
fn start(daemon: &Path) -> std::io::Result<f64> {
    let home = tempfile::tempdir()?;
    let begun = Instant::now();
    let mut child = Command::new(daemon)
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let mut answer = String::new();
    if let (Some(mut input), Some(output)) = (input, output) {
        input.write_all(HELLO)?;
        BufReader::new(output).read_line(&mut answer)?;
    }
    let took = begun.elapsed();
    child.wait()?;
    match answer.contains("\"result\"") {
        true => Ok(took.as_secs_f64() * 1e3),
        false => Err(std::io::Error::other("it did not answer `initialize`")),
    }
}
