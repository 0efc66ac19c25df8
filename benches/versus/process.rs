//! What the processes of a way cost, as the kernel counts it.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

/// Seconds of CPU that these processes have used, all threads and what they waited for.
pub(crate) fn cpu_seconds(pids: &[u32]) -> f64 {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    let ticks = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may have blanks in it.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut times = fields.split(' ').skip(11);
        let (user, system) = (times.next()?, times.next()?);
        Some(user.parse::<u64>().ok()? + system.parse::<u64>().ok()?)
    };
    let total: u64 = pids.iter().filter_map(ticks).sum();
    total as f64 / per_second as f64
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
