//! A ProxyCommand: a program whose standard input and output lead to the server.
//!
//! As OpenSSH does it, the user's shell runs it (`exec <command>`); it ends with
//! the connection. What it writes to standard error goes into the log, and its
//! last line explains a connect that failed.

use std::io;
#[cfg(unix)]
use std::path::Path;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::child::{Child, Lines, Logged, Pipes};
use super::error::Cause;
use super::target::Environment;

/// How long a command that closed its pipes may take to end, and to say why.
const END_LIMIT: Duration = Duration::from_millis(500);

/// The way to the server through a command. Dropping it ends the command.
#[derive(Debug)]
pub(super) struct Stream {
    input: ChildStdin,
    output: ChildStdout,
    /// `None`: the command has closed a pipe, and is on its way to its end.
    running: Option<DropGuard>,
    closed: CancellationToken,
}

/// What is known of a command after it failed.
#[derive(Debug, Clone)]
pub(super) struct Report {
    ended: watch::Receiver<Option<Option<ExitStatus>>>,
    last_line: Arc<Mutex<String>>,
}

/// Starts the command. `host` is for the log.
pub(super) fn start(
    command: &str,
    host: &str,
    environment: &Environment,
) -> Result<(Stream, Report), Cause> {
    let not_started = |source| Cause::ProxyCommandNotStarted {
        source: Arc::new(source),
    };
    let mut child = Child::start(through_shell(command, environment), true).map_err(not_started)?;
    let Pipes {
        input,
        output,
        complaints,
    } = child.pipes().map_err(not_started)?;
    let input = input.ok_or_else(|| not_started(io::ErrorKind::BrokenPipe.into()))?;
    let (running, closed) = (CancellationToken::new(), CancellationToken::new());
    let (sender, ended) = watch::channel(None);
    let report = Report {
        ended,
        last_line: Arc::default(),
    };
    let (last_line, host) = (report.last_line.clone(), host.to_owned());
    let (dropped, ending) = (running.clone(), closed.clone());
    tokio::spawn(async move {
        let (mut lines, mut logged) = (Lines::new(complaints), Logged::default());
        let listen = async {
            while let Some(line) = lines.next().await {
                logged.log(&host, "proxy command", &line);
                if !line.is_empty() {
                    *last_line.lock().unwrap_or_else(PoisonError::into_inner) = line;
                }
            }
            child.wait().await.ok()
        };
        let too_long = async {
            ending.cancelled().await;
            tokio::time::sleep(END_LIMIT).await;
        };
        let status = tokio::select! {
            biased;
            () = dropped.cancelled() => None,
            status = listen => status,
            () = too_long => None,
        };
        sender.send_replace(Some(status));
    });
    let stream = Stream {
        input,
        output,
        running: Some(running.drop_guard()),
        closed,
    };
    Ok((stream, report))
}

#[cfg(unix)]
fn through_shell(command: &str, environment: &Environment) -> Command {
    let shell = environment.shell.as_deref();
    let mut shell = Command::new(shell.unwrap_or(Path::new("/bin/sh")));
    shell.arg("-c").arg(format!("exec {command}"));
    shell
}

#[cfg(windows)]
fn through_shell(command: &str, _: &Environment) -> Command {
    let mut shell = Command::new("cmd.exe");
    shell.arg("/c").raw_arg(command);
    shell
}

impl Report {
    /// Why the command is of no use, if it has ended.
    pub(super) async fn failure(&self) -> Option<Cause> {
        let mut ended = self.ended.clone();
        let ended = tokio::time::timeout(END_LIMIT, ended.wait_for(Option::is_some)).await;
        let status = match ended {
            Ok(Ok(status)) => (*status).flatten(),
            // It still runs: not the command failed, but what it leads to.
            Ok(Err(_)) | Err(_) => return None,
        };
        let said = self
            .last_line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Some(Cause::ProxyCommandEnded {
            status: status.map(|status| status.to_string()),
            said: Some(said).filter(|said| !said.is_empty()),
        })
    }
}

impl Stream {
    /// The command has closed a pipe: what it still has to say is waited for.
    fn ended(&mut self) {
        if let Some(running) = self.running.take() {
            running.disarm();
            self.closed.cancel();
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.output).poll_read(cx, buf));
        if buf.filled().len() == before && buf.remaining() > 0 {
            self.ended();
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.input).poll_write(cx, buf));
        if written.is_err() {
            self.ended();
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(cx)
    }
}
