//! A byte stream whose first bytes are noted: what answers a TLS hello with something else had
//! better be told by its own words.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::io::InspectReader;

use crate::llm::carrier::ByteStream;

/// How much of it is noted.
const MOST: usize = 64;

/// What was noted; shared with the stream.
#[derive(Clone)]
pub(super) struct Heard(Arc<Mutex<Option<Vec<u8>>>>);

/// The same stream, and what it hears from now on.
pub(super) fn overheard(stream: Box<dyn ByteStream>) -> (impl ByteStream, Heard) {
    let heard = Heard(Arc::new(Mutex::new(Some(Vec::new()))));
    let noting = heard.clone();
    (
        InspectReader::new(stream, move |fresh: &[u8]| noting.note(fresh)),
        heard,
    )
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, fresh: &[u8]) {
        if let Some(noted) = &mut *self.lock() {
            let room = MOST.saturating_sub(noted.len());
            noted.extend(fresh.iter().take(room));
        }
    }

    /// The first bytes; nothing is noted any more.
    pub(super) fn take(&self) -> Vec<u8> {
        self.lock().take().unwrap_or_default()
    }

    /// Nothing is noted any more.
    pub(super) fn stop(&self) {
        self.take();
    }
}
