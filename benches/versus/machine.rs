//! What the figures were measured on.

use std::fs;
use std::process::Command;

/// Lines for the head of the report.
pub(crate) fn describe() -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, name)| name);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024 / 1024);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    vec![
        format!("{processor}, {cores} cores, {memory} GiB; load {load} at the end"),
        format!("Linux {}", first_line("uname", &["-r"])),
        format!("Node {}", first_line("node", &["--version"])),
        first_line("ssh", &["-V"]),
        first_line("rustc", &["--version"]),
        format!(
            "commit {}",
            first_line("git", &["describe", "--always", "--dirty"])
        ),
    ]
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let said = output.map_or_else(
        |_| Vec::new(),
        |output| [output.stdout, output.stderr].concat(),
    );
    let said = String::from_utf8_lossy(&said);
    said.lines().next().unwrap_or("unknown").to_owned()
}
