//! Child processes: each in a process group of its own, which ends with whoever
//! started it. Standard input, output and error are pipes or nothing; a child
//! never gets the daemon's own.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child as Process, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::text::sanitize_bytes;

/// How long a process may take to end by itself when it is no longer wanted.
const FAREWELL: Duration = Duration::from_millis(300);

/// What is kept of a line.
const MAX_LINE: usize = 4096;

/// A running process. Dropping it ends it and everything it started that is
/// still in its group: hung up first, and killed if that is not enough.
#[derive(Debug)]
pub(super) struct Child {
    process: Process,
    group: Option<u32>,
}

/// The pipes of a process.
#[derive(Debug)]
pub(super) struct Pipes {
    /// Its standard input, if it was started with one.
    pub(super) input: Option<ChildStdin>,
    pub(super) output: ChildStdout,
    /// Its standard error.
    pub(super) complaints: ChildStderr,
}

/// What a process that ran to its end said.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Why there is no [`Output`].
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error("it cannot be started: {0}")]
    Start(#[source] io::Error),
    #[error("it did not end within {0:?}")]
    TooLong(Duration),
    #[error("it wrote more than {0} bytes")]
    TooMuch(usize),
    #[error("its output cannot be read: {0}")]
    Read(#[source] io::Error),
}

impl Child {
    /// Starts a process with pipes for standard output and error, and for
    /// standard input if `writing`.
    pub(super) fn start(mut command: Command, writing: bool) -> io::Result<Self> {
        command
            .stdin(if writing {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Where there are groups, its end comes with the group's.
            .kill_on_drop(cfg!(not(unix)));
        #[cfg(unix)]
        command.process_group(0);
        let process = command.spawn()?;
        let group = process.id();
        Ok(Self { process, group })
    }

    /// Its pipes, once.
    pub(super) fn pipes(&mut self) -> io::Result<Pipes> {
        let process = &mut self.process;
        let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
        Ok(Pipes {
            input: process.stdin.take(),
            output: process.stdout.take().ok_or_else(missing)?,
            complaints: process.stderr.take().ok_or_else(missing)?,
        })
    }

    /// Waits for its end, and ends what it left behind. Dropping the future does nothing.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.process.wait().await;
        if let Some(group) = self.group.take() {
            signal(group, Signal::Kill);
        }
        status
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(group) = self.group.take() else {
            return;
        };
        signal(group, Signal::HangUp);
        // Also when the runtime ends before that, or is not there at all.
        let last = Kill(group);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(FAREWELL).await;
                drop(last);
            });
        }
    }
}

/// Kills a process group when it is dropped.
struct Kill(u32);

impl Drop for Kill {
    fn drop(&mut self) {
        signal(self.0, Signal::Kill);
    }
}

/// Runs a process without input to its end, for at most `limit`, and keeps at
/// most `bytes` of each of its outputs. Dropping the future ends the process.
pub(super) async fn run(
    command: Command,
    limit: Duration,
    bytes: usize,
) -> Result<Output, RunError> {
    let mut child = Child::start(command, false).map_err(RunError::Start)?;
    let pipes = child.pipes().map_err(RunError::Start)?;
    let whole = async {
        let status = async { child.wait().await.map_err(RunError::Read) };
        tokio::try_join!(
            status,
            read(pipes.output, bytes),
            read(pipes.complaints, bytes)
        )
    };
    let (status, stdout, stderr) = timeout(limit, whole)
        .await
        .map_err(|_| RunError::TooLong(limit))??;
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

async fn read(pipe: impl AsyncRead + Unpin, bytes: usize) -> Result<Vec<u8>, RunError> {
    let mut content = Vec::new();
    let most = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(1);
    pipe.take(most)
        .read_to_end(&mut content)
        .await
        .map_err(RunError::Read)?;
    if content.len() > bytes {
        return Err(RunError::TooMuch(bytes));
    }
    Ok(content)
}

/// The lines that a process writes, made safe to show; a line that is too long
/// is cut, never waited for.
#[derive(Debug)]
pub(super) struct Lines<R> {
    from: BufReader<R>,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from: BufReader::new(from),
            line: Vec::new(),
        }
    }

    /// The next line; `None` at the end, or when nothing can be read any more.
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            let available = self.from.fill_buf().await.ok()?;
            if available.is_empty() {
                let rest = std::mem::take(&mut self.line);
                return (!rest.is_empty()).then(|| sanitize_bytes(&rest));
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(available.len(), |end| end + 1);
            let part = available.get(..used).unwrap_or_default();
            let room = MAX_LINE.saturating_sub(self.line.len());
            self.line
                .extend_from_slice(part.get(..room).unwrap_or(part));
            self.from.consume(used);
            if end.is_some() {
                return Some(sanitize_bytes(&std::mem::take(&mut self.line)));
            }
        }
    }
}

/// What a program writes goes into the log, but no more than its first lines: one that never stops
/// would fill the disk.
#[derive(Debug, Default)]
pub(super) struct Logged(u32);

impl Logged {
    const LINES: u32 = 100;

    /// Logs one more line of `program`.
    pub(super) fn log(&mut self, host: &str, program: &str, line: &str) {
        if self.0 < Self::LINES {
            tracing::info!(%host, "{program}: {line}");
        } else if self.0 == Self::LINES {
            tracing::info!(%host, "{program}: what it writes from here on is not logged");
        }
        self.0 = self.0.saturating_add(1);
    }
}

#[derive(Clone, Copy)]
enum Signal {
    HangUp,
    Kill,
}

/// Sends a signal to a process group; one that is gone needs none.
#[cfg(unix)]
fn signal(group: u32, signal: Signal) {
    use nix::sys::signal::{Signal as Unix, killpg};
    let Ok(group) = i32::try_from(group) else {
        return;
    };
    let signal = match signal {
        Signal::HangUp => Unix::SIGHUP,
        Signal::Kill => Unix::SIGKILL,
    };
    let _ = killpg(nix::unistd::Pid::from_raw(group), signal);
}

/// Elsewhere there are no groups: the process itself is killed as it is dropped.
#[cfg(not(unix))]
fn signal(_: u32, _: Signal) {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use tokio::time::Instant;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn output_and_status_are_kept() {
        let output = run(shell("echo out; echo err >&2; exit 3"), FAREWELL * 30, 100)
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stdout, b"out\n");
        assert_eq!(output.stderr, b"err\n");
    }

    #[tokio::test]
    async fn a_process_that_floods_or_hangs_is_ended() {
        let flood = run(shell("exec yes"), FAREWELL * 30, 1000).await;
        assert!(matches!(flood, Err(RunError::TooMuch(1000))), "{flood:?}");
        let begun = Instant::now();
        // A grandchild keeps the pipe open.
        let hung = run(shell("sleep 60 & sleep 60"), FAREWELL, 1000).await;
        assert!(matches!(hung, Err(RunError::TooLong(_))), "{hung:?}");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[tokio::test]
    async fn lines_are_cut_and_made_safe() {
        let text = format!("one\n\x1b[1mtwo\n{}\nlast", "x".repeat(100_000));
        let mut lines = Lines::new(text.as_bytes());
        assert_eq!(lines.next().await.as_deref(), Some("one"));
        assert_eq!(lines.next().await.as_deref(), Some("\\u{1b}[1mtwo"));
        assert!(
            lines
                .next()
                .await
                .is_some_and(|line| line.len() <= MAX_LINE)
        );
        assert_eq!(lines.next().await.as_deref(), Some("last"));
        assert_eq!(lines.next().await, None);
    }

    #[tokio::test]
    async fn what_a_process_left_behind_goes_with_it() {
        let begun = Instant::now();
        let output = run(shell("sleep 60 & echo done"), Duration::from_secs(30), 1000)
            .await
            .unwrap();
        assert_eq!(output.stdout, b"done\n");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
