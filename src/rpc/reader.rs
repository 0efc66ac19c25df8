//! The thread that reads from the host.
//!
//! A thread and not tokio's stdin: its parked read cannot be cancelled, and dropping the runtime
//! would wait for it until the host closes the pipe.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::line::{Line, LineReader};

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
