//! Child processes that never outlive the test process.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{LazyLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::{START_LIMIT, free_port};
use crate::support::processes::{descendants, signal};

/// How often to look at something that does not tell when it changes.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long something may take to be in a log.
const LOG_LIMIT: Duration = Duration::from_secs(30);

/// A running server. Dropping it kills it and its descendants.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a server on a free port and returns both when `answers` says so.
    ///
    /// `command` makes the command for a port; its output goes to the file `log`.
    pub(super) fn start_on_free_port(
        log: &Path,
        command: impl Fn(u16) -> Command,
        answers: impl Fn(SocketAddr) -> bool,
    ) -> (Self, u16) {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let port = free_port();
            let mut process = Self::spawn(command(port), log);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let Err(status) = process.await_start(deadline, || answers(address)) else {
                return (process, port);
            };
            // Someone else took the port in between: take another.
            let log = process.log();
            let port_taken = ["in use", "couldn't bind"].iter().any(|w| log.contains(w));
            assert!(port_taken, "it ended with {status}: {log}");
        }
    }

    /// Starts a server that has no port and returns it when `answers` says so.
    pub(super) fn start(log: &Path, command: Command, answers: impl Fn() -> bool) -> Self {
        let mut process = Self::spawn(command, log);
        let started = process.await_start(Instant::now() + START_LIMIT, answers);
        started.unwrap_or_else(|status| panic!("it ended with {status}: {}", process.log()));
        process
    }

    /// Waits until it answers, or for its end.
    fn await_start(
        &mut self,
        deadline: Instant,
        answers: impl Fn() -> bool,
    ) -> Result<(), ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait().expect("the state of a child") {
                return Err(status);
            }
            if answers() {
                return Ok(());
            }
            let log = self.log();
            assert!(Instant::now() < deadline, "it does not answer: {log}");
            // Nothing to wait for but the server itself: ask again soon.
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn spawn(command: Command, log: &Path) -> Self {
        let output = File::create(log).expect("a log file");
        let mut mortal = Command::new("setpriv");
        mortal
            .args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output);
        Self {
            child: spawn_on_lasting_thread(mortal),
            log: log.into(),
        }
    }

    /// What the server wrote to stdout and stderr so far.
    pub(super) fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the log fits; returns it.
    pub(super) async fn wait_log(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LOG_LIMIT;
        loop {
            let log = self.log();
            if fits(&log) {
                return log;
            }
            assert!(Instant::now() < deadline, "its log has no {what}: {log}");
            // It is a file: there is nothing to wait for but its next line.
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Its id and those of all its descendants, parents before children.
    pub(super) fn family(&self) -> Vec<u32> {
        let mut family = descendants(self.child.id());
        family.insert(0, self.child.id());
        family
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        signal("KILL", &self.family());
        let _status = self.child.wait();
    }
}

/// Whether an SSH server's identification line arrives from `address`.
pub(super) fn greets_as_ssh(address: SocketAddr) -> bool {
    let Some(stream) = connect(address) else {
        return false;
    };
    let mut line = String::new();
    // Bounded: RFC 4253, 4.2 allows 255 bytes.
    let read = BufReader::new(stream).take(255).read_line(&mut line);
    read.is_ok() && line.starts_with("SSH-2.0-")
}

/// Whether a GET of `path` is answered with status 200.
pub(super) fn answers_ok(address: SocketAddr, path: &str) -> bool {
    let Some(mut stream) = connect(address) else {
        return false;
    };
    let mut status = [0; 12];
    let asked = write!(stream, "GET {path} HTTP/1.0\r\n\r\n");
    let read = asked.and_then(|()| stream.read_exact(&mut status));
    read.is_ok() && status.ends_with(b" 200")
}

/// A connection whose connect, reads and writes each end within two seconds.
pub(super) fn connect(address: SocketAddr) -> Option<TcpStream> {
    let limit = Duration::from_secs(2);
    let stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.set_write_timeout(Some(limit)).ok()?;
    Some(stream)
}

/// Spawns a child on a thread that lasts as long as the process: "parent death" is,
/// to the kernel, the death of the thread that spawned the child, and a test's own
/// thread ends with the test.
fn spawn_on_lasting_thread(command: Command) -> Child {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in orders {
                reply.send(command.spawn()).expect("the caller waits");
            }
        });
        sender
    });

    let (reply, answer) = mpsc::channel();
    SPAWNER.send((command, reply)).expect("the spawner lives");
    let child = answer.recv().expect("the spawner answers");
    child.expect("setpriv starts")
}
