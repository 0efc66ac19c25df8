//! What runs on this machine: a process's children, their command lines and their sockets.

use std::{
    collections::BTreeSet,
    fs,
    process::Command,
    time::{Duration, Instant},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How often to look at something that does not tell when it changes.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The ids of all descendants, parents before children.
pub(crate) fn descendants(ancestor: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, parent(id)?)))
        .collect();
    let mut family = vec![ancestor];
    let mut next = 0;
    while let Some(&member) = family.get(next) {
        let children = parents.iter().filter(|(_, parent)| *parent == member);
        family.extend(children.map(|(id, _)| *id));
        next += 1;
    }
    family.split_off(1)
}

/// Waits until these processes are gone; fails the test with those that are not.
pub(crate) async fn wait_gone(ids: &[u32], limit: Duration) {
    let deadline = Instant::now() + limit;
    loop {
        let left: Vec<_> = ids.iter().filter(|id| is_running(**id)).collect();
        if left.is_empty() {
            return;
        }
        let told: Vec<_> = left.iter().map(|id| command_line(**id)).collect();
        assert!(Instant::now() < deadline, "still there: {told:#?}");
        // Processes of somebody else's: there is nothing to wait for.
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Kills these processes; those that are gone already do not matter.
pub(crate) fn kill(ids: &[u32]) {
    signal("KILL", ids);
}

/// Sends a signal to processes; those that are gone already do not matter.
pub(crate) fn signal(name: &str, ids: &[u32]) {
    let ids = ids.iter().map(u32::to_string);
    Command::new("sh")
        .args(["-c", r#"kill -s "$@" 2>/dev/null || true"#, "sh", name])
        .args(ids)
        .status()
        .expect("sh starts");
}

/// The words of a command line; none if the process is gone.
pub(crate) fn command_line(id: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0);
    let words = words.map(|word| String::from_utf8_lossy(word).into_owned());
    words.filter(|word| !word.is_empty()).collect()
}

/// The local TCP ports on which one of these processes listens.
pub(crate) fn listening(ids: &[u32]) -> Vec<u16> {
    let sockets: BTreeSet<String> = ids.iter().flat_map(|id| sockets(*id)).collect();
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| listeners(&fs::read_to_string(table).unwrap_or_default()))
        .filter(|(_, inode)| sockets.contains(inode))
        .map(|(port, _)| port)
        .collect()
}

/// Whether anybody on this machine listens on a port, found out without connecting.
pub(crate) fn listens(port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    listeners(&table)
        .iter()
        .any(|(listener, _)| *listener == port)
}

/// How many sockets of this machine are connected to a port of 127.0.0.1, whoever has them.
pub(crate) fn sockets_to(port: u16) -> usize {
    let remote = format!("0100007F:{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let sockets = table.lines().skip(1).filter(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // What its owner has closed has no inode any more.
        let open = fields.get(9).is_some_and(|inode| *inode != "0");
        open && fields.get(2).is_some_and(|address| *address == remote)
    });
    sockets.count()
}

/// How many files, pipes and sockets a process has open.
pub(crate) fn descriptors(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

/// Lets this process, and those that it starts, have thousands of descriptors: the servers of a
/// test with a thousand streams need three for each, and many a machine allows 1024.
pub(crate) fn allow_descriptors() {
    const ENOUGH: u64 = 8192;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    if soft < ENOUGH {
        setrlimit(Resource::RLIMIT_NOFILE, ENOUGH.min(hard), hard).expect("below the hard limit");
    }
}

/// The inodes of a process's sockets.
fn sockets(id: u32) -> Vec<String> {
    let Ok(files) = fs::read_dir(format!("/proc/{id}/fd")) else {
        return Vec::new();
    };
    files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .filter_map(|target| {
            let name = target.to_str()?.strip_prefix("socket:[")?;
            Some(name.strip_suffix(']')?.to_owned())
        })
        .collect()
}

/// The ports and inodes of a table's listening sockets.
fn listeners(table: &str) -> Vec<(u16, String)> {
    const LISTEN: &str = "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (_, port) = fields.get(1)?.rsplit_once(':')?;
            let port = u16::from_str_radix(port, 16).ok()?;
            (*fields.get(3)? == LISTEN).then_some((port, (*fields.get(9)?).to_owned()))
        })
        .collect()
}

/// A process that only waits to be counted (a zombie) is gone.
fn is_running(id: u32) -> bool {
    state(id).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

fn parent(id: u32) -> Option<u32> {
    state(id).map(|(_, parent)| parent)
}

/// The third and the fourth field of `/proc/ID/stat`; the second, a name in brackets, may hold
/// anything.
fn state(id: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

/// What listens is found; otherwise a look for listeners would prove nothing.
#[tokio::test(flavor = "multi_thread")]
async fn listeners_and_children_are_found() {
    let own = std::process::id();
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    assert!(listening(&[own]).contains(&port));
    drop(socket);
    assert!(!listening(&[own]).contains(&port));
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    assert!(descendants(own).contains(&child.id()));
    assert!(is_running(child.id()));
    child.kill().unwrap();
    wait_gone(&[child.id()], Duration::from_secs(10)).await;
    child.wait().unwrap();
}
