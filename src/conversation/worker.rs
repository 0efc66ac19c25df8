//! A thread for what blocks, fed by a bounded queue.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;

use tokio::sync::mpsc;

/// Starts its thread when it is first needed, and another one should that end by a defect.
#[derive(Debug)]
pub(super) struct Worker<J> {
    name: &'static str,
    /// What may wait for it.
    queue: usize,
    jobs: Mutex<Option<mpsc::Sender<J>>>,
}

impl<J: Send + 'static> Worker<J> {
    pub(super) fn new(name: &'static str, queue: usize) -> Self {
        Self {
            name,
            queue,
            jobs: Mutex::default(),
        }
    }

    /// The way to the thread. `make` gives what a new one does until nobody can ask any more.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub(super) fn jobs<W: FnOnce(mpsc::Receiver<J>) + Send + 'static>(
        &self,
        make: impl FnOnce() -> W,
    ) -> io::Result<mpsc::Sender<J>> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = jobs.as_ref().filter(|jobs| !jobs.is_closed()) {
            return Ok(jobs.clone());
        }
        let (sender, receiver) = mpsc::channel(self.queue);
        let work = make();
        thread::Builder::new()
            .name(self.name.to_owned())
            .spawn(move || work(receiver))?;
        Ok(jobs.insert(sender).clone())
    }
}
