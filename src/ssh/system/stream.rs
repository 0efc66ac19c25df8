//! A stream: one `ssh -W`, its standard input and output.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::words::{self, Step};
use crate::ssh::child::{Child, Lines, Pipes, run};
use crate::ssh::error::{Cause, Lost};
use crate::ssh::prompt::BoxFuture;
use crate::ssh::session::Session;
use crate::ssh::target::Destination;

/// How long the master's line about a refused stream may take.
const REFUSAL_LIMIT: Duration = Duration::from_millis(200);

/// How long the end of a process may take after the end of its output.
const END_LIMIT: Duration = Duration::from_secs(1);

/// The answer to a check is one line.
const MAX_OUTPUT: usize = 4096;

/// Messages kept of one stream.
const MAX_MESSAGES: usize = 8;

/// A stream through a process. Dropping it ends the process, and with it the channel.
///
/// Reading and writing mean what they mean for [`Stream`](crate::ssh::Stream).
pub(in crate::ssh) struct ProcessIo {
    input: ChildStdin,
    output: ChildStdout,
    /// Whether the process ended well; asked at the end of its output.
    end: BoxFuture<'static, bool>,
    session: Session,
    _running: DropGuard,
}

/// Starts the process and waits until it says that the stream is open.
///
/// When a connection is lost, its master closes the streams as if they had come
/// to their ends, and is gone right after; `check` asks whether it still serves.
pub(super) async fn open(
    command: Command,
    check: Option<Command>,
    to: &Destination,
    mut refusals: watch::Receiver<Option<String>>,
    session: Session,
) -> Result<ProcessIo, Cause> {
    let not_started = |source| Cause::SystemNotStarted {
        source: Arc::new(source),
    };
    refusals.mark_unchanged();
    let mut child = Child::start(command, true).map_err(not_started)?;
    let Pipes {
        input,
        output,
        complaints,
    } = child.pipes().map_err(not_started)?;
    let input = input.ok_or_else(|| not_started(io::ErrorKind::BrokenPipe.into()))?;
    let mut lines = Lines::new(complaints);
    let mut messages = Vec::new();
    loop {
        let Some(line) = lines.next().await else {
            let told = timeout(REFUSAL_LIMIT, refusals.changed()).await;
            let refusal = match told {
                Ok(Ok(())) => refusals.borrow().clone(),
                _ => None,
            };
            return Err(words::refusal(refusal.as_deref(), &messages, to.clone()));
        };
        if words::step(&line) == Some(Step::Opened) {
            break;
        }
        if words::is_message(&line) && messages.len() < MAX_MESSAGES {
            messages.push(line);
        }
    }
    let running = CancellationToken::new();
    let (sender, mut ended) = watch::channel(None);
    tokio::spawn(attend(child, lines, running.clone(), sender));
    session.stream_opened();
    Ok(ProcessIo {
        input,
        output,
        end: Box::pin(async move {
            let end = timeout(END_LIMIT, ended.wait_for(Option::is_some)).await;
            let well = end.is_ok_and(|end| end.is_ok_and(|well| *well == Some(true)));
            match check {
                Some(check) if well => run(check, END_LIMIT, MAX_OUTPUT)
                    .await
                    .is_ok_and(|checked| checked.status.success()),
                _ => well,
            }
        }),
        session,
        _running: running.drop_guard(),
    })
}

/// Keeps the process's standard error empty, and tells how it ended.
async fn attend<R: AsyncRead + Unpin>(
    mut child: Child,
    mut lines: Lines<R>,
    dropped: CancellationToken,
    ended: watch::Sender<Option<bool>>,
) {
    let attended = async {
        while let Some(line) = lines.next().await {
            if words::is_message(&line) {
                tracing::debug!("ssh -W: {line}");
            }
        }
        child.wait().await.is_ok_and(|status| status.success())
    };
    tokio::select! {
        biased;
        () = dropped.cancelled() => {}
        well = attended => {
            ended.send_replace(Some(well));
        }
    }
}

impl ProcessIo {
    fn lost(&self) -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionAborted, Lost(self.session.loss()))
    }
}

impl Drop for ProcessIo {
    fn drop(&mut self) {
        self.session.stream_closed();
    }
}

impl std::fmt::Debug for ProcessIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessIo").finish_non_exhaustive()
    }
}

impl AsyncRead for ProcessIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining() > 0;
        ready!(Pin::new(&mut self.output).poll_read(cx, buf))?;
        if buf.filled().len() > before || !room {
            return Poll::Ready(Ok(()));
        }
        // Only a process that ended well has passed on the end of the data.
        let well = ready!(self.end.as_mut().poll(cx));
        self.end = Box::pin(std::future::ready(well));
        Poll::Ready(if well { Ok(()) } else { Err(self.lost()) })
    }
}

impl AsyncWrite for ProcessIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.input).poll_write(cx, buf));
        Poll::Ready(written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe if !self.session.is_alive() => self.lost(),
            _ => error,
        }))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    /// Servers take the end of a request's bytes for "client gone": nothing is ended here.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
