//! The task that writes to the host.
//!
//! It writes what the host's end takes at once, all that is there in one piece. Where nobody
//! reads, a thread of its own waits, and with it only what is to be written.

use std::future::poll_fn;
use std::io::{self, Write};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

use tokio::sync::oneshot;

use super::lane::Notifier;
use super::queue::{Held, Item, Outlet};

/// Messages of the queue that one round of the writer takes.
const BATCH: usize = 256;

/// How often the others have their turn before a write, if each time there are more of them.
const ROUNDS: usize = 8;

/// Written as soon as there is so much. One long line makes it longer.
const FULL: usize = 64 << 10;

/// Where the lines for the host go.
pub trait HostWriter: Write + Send + 'static {
    /// Writes as much as the host's end takes without anybody having to wait.
    ///
    /// # Errors
    /// `WouldBlock` when that is nothing, or when there is no telling.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// Writes what comes out of the queue and the lanes until every sender is gone or a write fails.
///
/// Any failed write (the host's end is closed, mostly) means that the host is gone: the outlet
/// is dropped, and with it everything that still waits.
pub(super) fn spawn_writer(
    writer: impl HostWriter,
    outlet: Outlet,
    message_bytes: usize,
) -> io::Result<()> {
    let output = Output {
        writer: Some(writer),
        waiting: spawn_waiting()?,
        lines: Vec::with_capacity(FULL),
        held: Vec::new(),
    };
    tokio::spawn(async move {
        if let Err(error) = write_all(output, outlet, message_bytes).await {
            tracing::debug!(%error, "the host is gone: it cannot be written to");
        }
    });
    Ok(())
}

async fn write_all(
    mut output: Output<impl HostWriter>,
    mut outlet: Outlet,
    message_bytes: usize,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    while outlet.filled(&mut batch).await {
        // Whoever can run now may have something to say, too: one write for all of them.
        let mut sources = 0;
        for _ in 0..ROUNDS {
            behind_those_in_line().await;
            let more = outlet.lanes().len();
            if more <= sources {
                break;
            }
            sources = more;
        }
        for _ in 0..outlet.lanes().len() {
            let mut lines = Notifier::new(&mut output.lines, message_bytes);
            outlet.lanes().take(&mut lines);
            output.write_if_full().await?;
        }
        outlet.take(&mut batch, BATCH);
        for item in batch.drain(..) {
            match item {
                Item::Message(message, held) => {
                    output.lines.extend_from_slice(message.as_bytes());
                    output.lines.push(b'\n');
                    output.held.push(held);
                    output.write_if_full().await?;
                }
                Item::Flush(done) => {
                    output.write().await?;
                    // Whoever asked may have given up.
                    let _ = done.send(());
                }
            }
        }
        output.write().await?;
    }
    Ok(())
}

/// Lets the tasks run that are ready now. tokio's `yield_now` would wait for those, too, that become
/// ready meanwhile: behind a flood, for many.
async fn behind_those_in_line() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What is to be written, and where.
struct Output<W> {
    /// With the thread, while that writes.
    writer: Option<W>,
    waiting: mpsc::Sender<Patience<W>>,
    lines: Vec<u8>,
    /// What those lines hold of the queue until they are written.
    held: Vec<Held>,
}

/// A write that may have to wait for the host.
struct Patience<W> {
    writer: W,
    lines: Vec<u8>,
    from: usize,
    written: oneshot::Sender<(W, Vec<u8>, io::Result<()>)>,
}

impl<W: HostWriter> Output<W> {
    async fn write_if_full(&mut self) -> io::Result<()> {
        if self.lines.len() < FULL {
            return Ok(());
        }
        self.write().await
    }

    async fn write(&mut self) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let writer = self.writer.as_mut().ok_or_else(gone)?;
        let from = write_at_once(writer, &self.lines)?;
        if from < self.lines.len() {
            let (written, answer) = oneshot::channel();
            let patience = Patience {
                writer: self.writer.take().ok_or_else(gone)?,
                lines: std::mem::take(&mut self.lines),
                from,
                written,
            };
            self.waiting.send(patience).map_err(|_| gone())?;
            let (writer, lines, written) = answer.await.map_err(|_| gone())?;
            self.writer = Some(writer);
            self.lines = lines;
            written?;
        }
        self.lines.clear();
        // After one long line.
        self.lines.shrink_to(2 * FULL);
        self.held.clear();
        Ok(())
    }
}

/// Returns how much was written before somebody had to wait.
fn write_at_once(writer: &mut impl HostWriter, lines: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
        match writer.try_write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => written += taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// Starts the thread that waits. It ends with the task, or never, if the host never reads.
fn spawn_waiting<W: HostWriter>() -> io::Result<mpsc::Sender<Patience<W>>> {
    let (sender, waiting) = mpsc::channel::<Patience<W>>();
    thread::Builder::new()
        .name("rpc-stdout".into())
        .spawn(move || {
            for patience in waiting {
                let Patience {
                    mut writer,
                    lines,
                    from,
                    written,
                } = patience;
                let rest = lines.get(from..).unwrap_or_default();
                let result = writer.write_all(rest).and_then(|()| writer.flush());
                // Nobody needs to know any more, when the runtime has ended.
                let _ = written.send((writer, lines, result));
            }
        })?;
    Ok(sender)
}
