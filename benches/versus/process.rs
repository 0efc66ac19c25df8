//! What the processes of a way cost, as the kernel counts it.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

/// Seconds of CPU that these processes have used, and the children that they have waited for.
pub(crate) fn cpu_seconds(pids: &[u32]) -> f64 {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    // user, system, and the same of the children
    let ticks = |pid: &u32| -> Option<u64> {
        let times = stat(*pid)?;
        let times = times.split(' ').skip(11).take(4);
        times.map(|time| time.parse::<u64>().ok()).sum()
    };
    let total: u64 = pids.iter().filter_map(ticks).sum();
    total as f64 / per_second as f64
}

/// The process that started this one.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.split(' ').nth(1)?.parse().ok()
}

/// The fields behind the name, which is in parentheses and may have blanks in it.
fn stat(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ").map(|(_, fields)| fields.to_owned())
}

/// MiB of memory that these processes hold now.
pub(crate) fn resident_mib(pids: &[u32]) -> f64 {
    let kib = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    pids.iter().filter_map(kib).sum::<u64>() as f64 / 1024.0
}
