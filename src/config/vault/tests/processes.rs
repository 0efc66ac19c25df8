//! Several processes on one vault, and processes that are killed while they write. The processes
//! are this test binary, told to run only [`worker`].

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use super::document::Document;
use super::*;

/// What a process is to do, and where.
const JOB: &str = "PUFFIN_VAULT_JOB";
const FOLDER: &str = "PUFFIN_VAULT_FOLDER";
/// Before what a process says, among what the test harness says.
const MARK: &str = "worker: ";

/// How many secrets a busy process has; it goes on changing them.
const SECRETS: usize = 20;

fn start(job: &str, folder: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "config::vault::tests::processes::worker"])
        .args(["--ignored", "--nocapture", "--test-threads=1"])
        .env(JOB, job)
        .env(FOLDER, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The numbers that a process says, until its end.
fn numbers(stderr: ChildStderr) -> impl Iterator<Item = u64> {
    let lines = BufReader::new(stderr).lines().map_while(Result::ok);
    lines.filter_map(|line| match line.split_once(MARK) {
        Some((_, number)) => number.parse().ok(),
        None => {
            // Why it failed.
            eprintln!("{line}");
            None
        }
    })
}

fn say(number: u64) {
    // One write: a process that is killed says it whole or not at all.
    let line = format!("{MARK}{number}\n");
    eprint!("{line}");
}

#[test]
#[ignore = "what the other tests run, in processes of their own"]
fn worker() {
    let (Ok(job), Some(folder)) = (env::var(JOB), env::var_os(FOLDER)) else {
        return;
    };
    match job.split_once(' ') {
        Some(("update", rest)) => {
            let (name, times) = rest.split_once(' ').unwrap();
            update(Path::new(&folder), name, times.parse().unwrap());
        }
        Some(("write-from", number)) => write_from(Path::new(&folder), number.parse().unwrap()),
        _ => panic!("{job}"),
    }
}

fn epoch(vault: &Vault) -> u64 {
    vault.found().document().unwrap().epoch
}

/// Changes secrets of `name` in turn. Before each change, all are what they were last set to.
fn update(folder: &Path, name: &str, times: usize) {
    let vault = opened(folder, host(HOST_KEY));
    let mut kept: Vec<Option<String>> = vec![None; SECRETS];
    for time in 0..times {
        vault.refresh();
        let field = |number| format!("llm.secretHeaders.h{number}");
        for (number, kept) in kept.iter().enumerate() {
            assert_eq!(get(&vault, name, &field(number)), *kept, "{name} {time}");
        }
        let secret = format!("{name} {time}");
        set(&vault, name, &field(time % SECRETS), &secret).unwrap();
        kept[time % SECRETS] = Some(secret);
        say(epoch(&vault));
    }
}

#[test]
fn two_processes_lose_none_of_a_thousand_updates_each() {
    const TIMES: usize = 1000;
    let folder = tempfile::tempdir().unwrap();
    let vault = opened(folder.path(), host(HOST_KEY));
    let first = epoch(&vault) + 1;
    let began = Instant::now();
    let names = ["left", "right"];
    let epochs = names.map(|name| {
        let mut child = start(&format!("update {name} {TIMES}"), folder.path());
        let said = numbers(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            let epochs: BTreeSet<u64> = said.collect();
            assert!(child.wait().unwrap().success(), "an update was lost");
            epochs
        })
    });
    let [left, right] = epochs.map(|epochs| epochs.join().unwrap());
    let took = began.elapsed();

    // Each write was of its own, and they were not one process's and then the other's.
    assert_eq!((left.len(), right.len()), (TIMES, TIMES));
    let all: Vec<u64> = left.union(&right).copied().collect();
    assert_eq!(all, (first..first + 2 * TIMES as u64).collect::<Vec<_>>());
    let turns = all.windows(2);
    let turns = turns.filter(|pair| left.contains(&pair[0]) != left.contains(&pair[1]));
    let turns = turns.count();
    measured(&format!(
        "2 x {TIMES} updates in {took:?}, {turns} changes of turn"
    ));
    assert!(turns > TIMES / 50, "only {turns}: this shows nothing");
    vault.refresh();
    for name in names {
        for number in 0..SECRETS {
            let last = format!("{name} {}", TIMES - SECRETS + number);
            let field = format!("llm.secretHeaders.h{number}");
            assert_eq!(get(&vault, name, &field), Some(last));
        }
    }
}

/// Writes one number after the other, each said once it is kept; every few, another key.
fn write_from(folder: &Path, first: u64) {
    let vault = opened(folder, host(HOST_KEY));
    for number in first.. {
        set(&vault, "a", PASSWORD, &number.to_string()).unwrap();
        say(number);
        if number % 4 == 0 {
            vault.rotate(None).unwrap();
        }
    }
}

/// The number that a vault has, in its one file and, if there is one, in its backup.
fn numbers_in(folder: &Path) -> [Option<u64>; 2] {
    ["vault.json", "vault.json.bak"].map(|name| {
        let bytes = std::fs::read(folder.join(name)).ok()?;
        let document = Document::parse(&bytes).unwrap_or_else(|_| panic!("{name} is damaged"));
        let alone = tempfile::tempdir().unwrap();
        std::fs::write(alone.path().join("vault.json"), bytes).unwrap();
        let vault = opened(alone.path(), host(HOST_KEY));
        assert!(vault.status().problem.is_none(), "{name}");
        let number = get(&vault, "a", PASSWORD).map_or(0, |number| number.parse().unwrap());
        assert!(document.epoch > 0);
        Some(number)
    })
}

/// `PUFFIN_KILLS` says how often: 60 unless it does, 1,000 before a release (2 minutes).
#[test]
fn a_writer_killed_at_any_moment_leaves_the_old_or_the_new() {
    let kills = env::var("PUFFIN_KILLS").map_or(60, |kills| kills.parse().unwrap());
    let (mut folder, mut kept) = (tempfile::tempdir().unwrap(), 0);
    let (mut cut, mut written) = (0, 0);
    for kill in 0..kills {
        let is_new = kill % 10 == 0;
        if is_new {
            (folder, kept) = (tempfile::tempdir().unwrap(), 0);
        }
        let mut child = start(&format!("write-from {}", kept + 1), folder.path());
        let mut said = numbers(child.stderr.take().unwrap()).peekable();
        // A new vault may be caught while it is made; others are, once they are written to.
        if !is_new {
            assert!(said.peek().is_some(), "the process does not write");
        }
        let chance = u32::from_be_bytes(cipher::random().unwrap());
        std::thread::sleep(Duration::from_micros(u64::from(chance % 20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let before = kept;
        kept = said.last().unwrap_or(kept);
        written += kept - before;

        let [main, backup] = numbers_in(folder.path());
        if let Some(main) = main {
            assert!(main == kept || main == kept + 1, "{main}, said {kept}");
            // Kept, but the process could not say so any more.
            cut += main - kept;
            kept = main;
        } else {
            assert_eq!((backup, kept), (None, 0), "there is no file any more");
        }
        if let Some(backup) = backup {
            assert!(backup == kept || backup + 1 == kept, "{backup}, {kept}");
        }
        let vault = opened(folder.path(), host(HOST_KEY));
        let status = vault.status();
        assert!(status.problem.is_none() && !status.recovered, "{status:?}");
    }
    measured(&format!(
        "{kills} kills, {written} writes told, {cut} kept and not told"
    ));
    assert!(written > kills, "only {written}: this shows nothing");
    // Whoever writes next leaves nothing lying about.
    let vault = opened(folder.path(), host(HOST_KEY));
    set(&vault, "a", PASSWORD, "the end").unwrap();
    for name in files(folder.path()).keys() {
        assert!(name.starts_with("vault."), "{name}");
    }
}

fn measured(figure: &str) {
    eprintln!("measured: {figure}");
}
