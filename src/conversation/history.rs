//! What was said, kept: in a file of the project's, or in memory.
//!
//! ```text
//! History ── Job ──▶ Keeper (a thread) ──▶ Database (SQLite)
//! ```

mod database;
mod entry;
mod error;
mod keeper;
mod place;
mod unfinished;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};

use crate::llm::{Block, Carrier, Message, Role};

use super::outcome::{End, Outcome};
use super::worker::Worker;

pub use entry::{Conversation, Entry, Origin, Summary};
pub use error::HistoryError;
use keeper::{Append, Job, Keeper};
pub use place::Place;
pub use unfinished::NotContinuable;

/// What waits for the disk, at most.
const QUEUE: usize = 256;

/// The conversations of a project. When there are too many, or they grow too large together, the
/// least recently changed go first.
///
/// Messages are only ever appended, so what a server has seen of a conversation stays its prefix,
/// byte for byte, also after a restart.
#[derive(Debug)]
pub struct History {
    place: Place,
    bounds: Bounds,
    worker: Worker<Job>,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub conversations: usize,
    /// Of all conversations together, roughly.
    pub bytes: usize,
}

/// What the host wanted of a conversation.
#[derive(Debug)]
pub struct Asked {
    pub messages: Vec<Message>,
    pub at: SystemTime,
    /// The place of the answer to go on with: see [`Conversation::unfinished`].
    pub continues: Option<usize>,
}

/// What a prompt adds to its conversation.
#[derive(Debug)]
pub struct Recorded {
    pub entries: Vec<Arc<Entry>>,
    /// What the user should know: see [`HistoryError`].
    pub problem: Option<HistoryError>,
}

impl History {
    /// Touches no file until it is first used.
    #[must_use]
    pub fn new(place: Place, bounds: Bounds) -> Self {
        Self {
            place,
            bounds,
            worker: Worker::new("history", QUEUE),
        }
    }

    /// Appends what the host asked and what came of it, both at once, so
    /// that two prompts on one conversation never interleave. When it returns, they are on the
    /// disk, or there is a problem to tell. Once begun, it is done even if the future is dropped.
    ///
    /// What went on with an answer that was cut short takes its place.
    pub async fn record<E: Carrier>(
        &self,
        id: &str,
        asked: Asked,
        outcome: &Outcome<E>,
        origin: Origin,
    ) -> Recorded {
        let entries: Vec<_> = entries(asked, outcome, &origin)
            .into_iter()
            .map(Arc::new)
            .collect();
        let append = |reply| {
            Job::Append(Append {
                id: id.to_owned(),
                entries: entries.clone(),
                reply,
            })
        };
        let problem = self.ask(append).await.err();
        Recorded { entries, problem }
    }

    /// A conversation with all its messages.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn get(&self, id: &str) -> Result<Option<Conversation>, HistoryError> {
        self.get_part(id, 0, usize::MAX).await
    }

    /// At most `limit` messages of a conversation, from the one at `from` on.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn get_part(
        &self,
        id: &str,
        from: usize,
        limit: usize,
    ) -> Result<Option<Conversation>, HistoryError> {
        let id = id.to_owned();
        self.ask(|reply| Job::Get {
            id,
            from,
            limit,
            reply,
        })
        .await
    }

    /// All conversations, the latest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn list(&self) -> Result<Vec<Summary>, HistoryError> {
        self.ask(|reply| Job::List { reply }).await
    }

    /// Whether there was one to delete. What was deleted is overwritten in the file.
    ///
    /// # Errors
    /// When it could not be deleted.
    pub async fn delete(&self, id: &str) -> Result<bool, HistoryError> {
        let id = id.to_owned();
        self.ask(|reply| Job::Delete { id, reply }).await
    }

    /// Deletes all of the project's; how many there were.
    ///
    /// # Errors
    /// When they could not be deleted.
    pub async fn delete_all(&self) -> Result<usize, HistoryError> {
        self.ask(|reply| Job::DeleteAll { reply }).await
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, HistoryError>>) -> Job,
    ) -> Result<T, HistoryError> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs()?;
        let ended = || HistoryError::Io("what keeps the conversations has ended".to_owned());
        jobs.send(job(reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    fn jobs(&self) -> Result<mpsc::Sender<Job>, HistoryError> {
        let jobs = self.worker.jobs(|| {
            let keeper = Keeper::new(self.place.clone(), self.bounds);
            move |jobs| keeper.run(jobs)
        });
        jobs.map_err(|error| HistoryError::io(&error))
    }
}

/// What a prompt adds to its conversation. Each round adds one assistant message, except that the
/// last may add none.
fn entries<E: Carrier>(asked: Asked, outcome: &Outcome<E>, origin: &Origin) -> Vec<Entry> {
    let answered_at = SystemTime::now();
    let mut usages = outcome.usage.per_round.iter().copied();
    let only_thought = || {
        let is_thought = |block: &Block| matches!(block, Block::Thinking { .. });
        let answer = outcome.messages.last();
        answer.is_some_and(|message| message.content.iter().all(is_thought))
    };
    let interrupted = !matches!(outcome.end, End::Finished { .. })
        && (!outcome.partial.is_empty() || only_thought());
    let last = outcome.messages.len().saturating_sub(1);
    let answered = outcome.messages.iter().enumerate().map(|(place, message)| {
        let is_answer = message.role == Role::Assistant;
        Entry {
            message: message.clone(),
            timestamp: answered_at,
            usage: if is_answer {
                usages.next().flatten()
            } else {
                None
            },
            origin: is_answer.then(|| origin.clone()),
            partial: is_answer && interrupted && place == last,
            completes: asked.continues.filter(|_| place == 0),
        }
    });
    let asked = asked.messages.into_iter().map(|message| Entry {
        message,
        timestamp: asked.at,
        usage: None,
        origin: None,
        partial: false,
        completes: None,
    });
    asked.chain(answered).collect()
}

#[cfg(test)]
mod tests;
