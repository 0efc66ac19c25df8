//! A trail of what was asked of which model, and which tools ran, for whoever has to find out
//! later: one JSON object a line, each line bound to the one before it.

mod chain;
mod file;
mod record;
mod redact;
mod tools;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::llm::Redactor;

use super::text::floor;
use super::worker::Worker;

pub use chain::{Broken, Verified, verify};
use file::Folder;
pub use record::{Record, Subject};
pub use redact::redact;
pub use tools::AuditedTools;

/// What waits for the disk, at most; what is more is counted and dropped, so that a full disk
/// stops no prompt.
const QUEUE: usize = 1024;
/// The longest content of one record, in bytes of JSON; of more, its beginning is kept.
const CONTENT_BYTES: usize = 64 * 1024;

/// The trail. Writes on a thread of its own, from the first record on.
#[derive(Debug)]
pub struct Audit {
    /// `None`: nothing is noted.
    folder: Option<PathBuf>,
    /// Whether records have content.
    has_content: bool,
    session: String,
    worker: Worker<String>,
    dropped: Arc<AtomicU64>,
}

/// What is noted besides a record's own members.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    v: u32,
    at: String,
    /// The daemon's run.
    session: &'a str,
    #[serde(flatten)]
    record: &'a Record,
    /// Records that could not be written before this one.
    #[serde(skip_serializing_if = "is_zero")]
    dropped: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Audit {
    /// Touches no file yet. `session` names the daemon's run.
    #[must_use]
    pub fn new(folder: Option<PathBuf>, has_content: bool, session: String) -> Self {
        Self {
            folder,
            has_content,
            session,
            worker: Worker::new("audit", QUEUE),
            dropped: Arc::default(),
        }
    }

    /// Whether anything is noted.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.folder.is_some()
    }

    /// Whether records have content.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.is_on() && self.has_content
    }

    /// Notes something; never waits.
    pub fn note(&self, record: &Record) {
        let Some(folder) = &self.folder else {
            return;
        };
        let line = Line {
            v: 1,
            at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            session: &self.session,
            record,
            dropped: self.dropped.swap(0, Ordering::Relaxed),
        };
        let sent = serde_json::to_string(&line).map_err(drop).and_then(|text| {
            self.lines(folder)
                .map_err(drop)?
                .try_send(text)
                .map_err(drop)
        });
        if sent.is_err() {
            self.dropped.fetch_add(line.dropped + 1, Ordering::Relaxed);
        }
    }

    /// A record's content, without secrets: those that are known, and what looks like one. `None`
    /// where none is wanted.
    #[must_use]
    pub fn content(&self, content: impl Serialize, secrets: &Redactor) -> Option<Value> {
        if !self.has_content() {
            return None;
        }
        let text = serde_json::to_string(&content).ok()?;
        let redacted = redact(&secrets.redact(&text));
        let end = floor(&redacted, CONTENT_BYTES);
        let whole = (end == redacted.len())
            .then(|| serde_json::from_str(&redacted).ok())
            .flatten();
        // Cut, or no JSON any more: its text.
        let text = || redacted.get(..end).unwrap_or_default().to_owned();
        Some(whole.unwrap_or_else(|| Value::String(text())))
    }

    fn lines(&self, folder: &Path) -> io::Result<mpsc::Sender<String>> {
        self.worker.jobs(|| {
            let folder = Folder::new(folder.to_owned());
            let dropped = Arc::clone(&self.dropped);
            move |lines| write(&folder, lines, &dropped)
        })
    }
}

fn write(folder: &Folder, mut lines: mpsc::Receiver<String>, dropped: &AtomicU64) {
    let mut is_told = false;
    while let Some(line) = lines.blocking_recv() {
        match folder.append(&line) {
            Ok(()) => is_told = false,
            Err(error) => {
                dropped.fetch_add(1, Ordering::Relaxed);
                // Once, not for each line of a full disk.
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%error, "the audit trail cannot be written");
                }
            }
        }
    }
}
