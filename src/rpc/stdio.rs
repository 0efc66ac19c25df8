//! The two threads that do the blocking reads and writes.
//!
//! Threads and not tokio's stdin: its parked read cannot be cancelled, and dropping the runtime
//! would wait for it until the host closes the pipe.

use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::line::{Line, LineReader};
use super::queue::{Item, Outlet};

/// Messages that one wake of the writer takes from the queue.
const BATCH: usize = 256;
/// Write buffer. Longer messages are written directly.
const WRITE_BUFFER: usize = 64 << 10;
/// Lines read ahead of the reader task.
const READ_AHEAD_LINES: usize = 256;

/// Lines as they come in. Dropping it lets the thread end at its next line.
#[derive(Debug)]
pub(super) struct Lines {
    receiver: mpsc::Receiver<(Line, OwnedSemaphorePermit)>,
    bytes: Arc<Semaphore>,
}

impl Lines {
    /// The next line; `None` at end of file.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Line> {
        let (line, _bytes) = self.receiver.recv().await?;
        Some(line)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.bytes.close();
    }
}

/// Reads lines of at most `limit` bytes from `reader` until end of file or an error.
///
/// Reads ahead of [`Lines::next`] by a few lines and by at most twice `limit` bytes.
pub(super) fn spawn_reader(reader: impl Read + Send + 'static, limit: usize) -> io::Result<Lines> {
    let runtime = Handle::current();
    let budget = u32::try_from(limit.saturating_mul(2)).unwrap_or(u32::MAX);
    let bytes = Arc::new(Semaphore::new(budget as usize));
    let (sender, receiver) = mpsc::channel(READ_AHEAD_LINES);
    let lines = Lines {
        receiver,
        bytes: Arc::clone(&bytes),
    };
    thread::Builder::new()
        .name("rpc-stdin".into())
        .spawn(move || {
            let mut reader = LineReader::new(reader, limit);
            loop {
                let line = match reader.next() {
                    Ok(Some(line)) => line,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "reading from the host failed");
                        break;
                    }
                };
                let length = match &line {
                    Line::Text(text) => u32::try_from(text.len()).unwrap_or(budget),
                    Line::TooLong => 0,
                };
                let wanted = length.min(budget);
                let permit = match Arc::clone(&bytes).try_acquire_many_owned(wanted) {
                    Ok(permit) => permit,
                    Err(_) => match runtime.block_on(Arc::clone(&bytes).acquire_many_owned(wanted))
                    {
                        Ok(permit) => permit,
                        Err(_closed) => break,
                    },
                };
                if sender.blocking_send((line, permit)).is_err() {
                    break;
                }
            }
        })?;
    Ok(lines)
}

/// Writes what comes out of the queue until every sender is gone or a write fails.
///
/// Any failed write (the host's end is closed, mostly) means that the host is gone: the outlet
/// is dropped, and with it everything that still waits.
pub(super) fn spawn_writer(
    writer: impl Write + Send + 'static,
    mut outlet: Outlet,
) -> io::Result<()> {
    thread::Builder::new()
        .name("rpc-stdout".into())
        .spawn(move || {
            let mut writer = BufWriter::with_capacity(WRITE_BUFFER, writer);
            if let Err(error) = write_all(&mut writer, &mut outlet) {
                tracing::debug!(%error, "the host is gone: it cannot be written to");
            }
            // Dropped without the flush that `BufWriter` would try again.
            drop(writer.into_parts());
        })?;
    Ok(())
}

fn write_all(writer: &mut impl Write, outlet: &mut Outlet) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    while outlet.take(&mut batch, BATCH) > 0 {
        for item in batch.drain(..) {
            match item {
                Item::Message(message, _held) => {
                    writer.write_all(message.as_bytes())?;
                    writer.write_all(b"\n")?;
                }
                Item::Flush(done) => {
                    writer.flush()?;
                    // Whoever asked may have given up.
                    let _ = done.send(());
                }
            }
        }
        if outlet.is_empty() {
            writer.flush()?;
        }
    }
    writer.flush()
}
