//! The thread that owns the file.
//!
//! One thread, so that prompts which end at once are written in one transaction, with one wait for
//! the disk. What could not be written stays here, is read from here, and is written with the next
//! message of its conversation.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};

use super::Bounds;
use super::database::{Addition, Database};
use super::entry::{Conversation, Entry, Summary};
use super::error::{Fault, HistoryError, is_damage};
use super::place::{Place, set_aside};

/// Prompts written in one transaction.
const TOGETHER: usize = 64;
/// Messages that could not be written, in bytes, roughly; the rest is lost, and told so.
const UNSAVED_BYTES: usize = 16 * 1024 * 1024;

/// What may be asked; who asked may be gone when the answer comes.
#[derive(Debug)]
pub(super) enum Job {
    Append(Append),
    Get {
        id: String,
        from: usize,
        limit: usize,
        reply: Reply<Option<Conversation>>,
    },
    List {
        reply: Reply<Vec<Summary>>,
    },
    Delete {
        id: String,
        reply: Reply<bool>,
    },
    DeleteAll {
        reply: Reply<usize>,
    },
}

#[derive(Debug)]
pub(super) struct Append {
    pub(super) id: String,
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) reply: Reply<()>,
}

type Reply<T> = oneshot::Sender<Result<T, HistoryError>>;

/// Owns the file. It is opened when first needed.
#[derive(Debug)]
pub(super) struct Keeper {
    place: Place,
    bounds: Bounds,
    open: Option<(Database, Option<PathBuf>)>,
    /// By conversation.
    unsaved: HashMap<String, Vec<Arc<Entry>>>,
    /// What happened to the file, until somebody could be told.
    damage: Option<HistoryError>,
}

impl Keeper {
    pub(super) fn new(place: Place, bounds: Bounds) -> Self {
        Self {
            place,
            bounds,
            open: None,
            unsaved: HashMap::new(),
            damage: None,
        }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut next = None;
        while let Some(job) = next.take().or_else(|| jobs.blocking_recv()) {
            match job {
                Job::Append(first) => {
                    let mut together = vec![first];
                    while together.len() < TOGETHER {
                        match jobs.try_recv() {
                            Ok(Job::Append(append)) => together.push(append),
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.append_all(together);
                }
                Job::Get {
                    id,
                    from,
                    limit,
                    reply,
                } => {
                    let _gone = reply.send(self.get(&id, from, limit));
                }
                Job::List { reply } => {
                    let _gone = reply.send(self.list());
                }
                Job::Delete { id, reply } => {
                    let was_unsaved = self.unsaved.remove(&id).is_some();
                    let deleted = self.with(|database| Ok(database.delete(&id)?));
                    let _gone = reply.send(deleted.map(|deleted| deleted || was_unsaved));
                }
                Job::DeleteAll { reply } => {
                    self.unsaved.clear();
                    let _gone = reply.send(self.with(|database| Ok(database.delete_all()?)));
                }
            }
        }
    }

    /// Together if that is possible, else each on its own: the fault may be one message's, or the
    /// file's, which is then another one.
    fn append_all(&mut self, appends: Vec<Append>) {
        let mut written = self.append(&appends);
        let again = written.is_err() && (appends.len() > 1 || self.open.is_none());
        for append in appends {
            if again {
                written = self.append(std::slice::from_ref(&append));
            }
            if written.is_err() {
                self.keep(&append);
            }
            let mut damage = || self.damage.take().map_or(Ok(()), Err);
            let _gone = append.reply.send(written.clone().and_then(|()| damage()));
        }
    }

    fn append(&mut self, appends: &[Append]) -> Result<(), HistoryError> {
        // What could not be written before comes first, once.
        let late: Vec<(String, Vec<Arc<Entry>>)> = appends
            .iter()
            .filter_map(|append| self.unsaved.remove_entry(&append.id))
            .collect();
        let bounds = self.bounds;
        let written = self.with(|database| {
            let late = late.iter().map(|(id, entries)| Addition {
                id,
                entries: entries.iter().map(Arc::as_ref).collect(),
            });
            let new = appends.iter().map(|append| Addition {
                id: &append.id,
                entries: append.entries.iter().map(Arc::as_ref).collect(),
            });
            let additions: Vec<_> = late.chain(new).collect();
            let gone = database.append(&additions, bounds)?;
            if !gone.is_empty() {
                tracing::debug!(
                    conversations = gone.len(),
                    "made room for newer conversations"
                );
            }
            Ok(())
        });
        if written.is_err() {
            self.unsaved.extend(late);
        }
        written
    }

    /// Keeps here what could not be written.
    fn keep(&mut self, append: &Append) {
        let size =
            |entries: &[Arc<Entry>]| entries.iter().map(|entry| entry.bytes()).sum::<usize>();
        let kept: usize = self.unsaved.values().map(|entries| size(entries)).sum();
        if kept + size(&append.entries) > UNSAVED_BYTES {
            tracing::error!(
                "too much could not be saved; a conversation lacks its latest messages"
            );
            return;
        }
        let unsaved = self.unsaved.entry(append.id.clone()).or_default();
        unsaved.extend(append.entries.iter().cloned());
    }

    fn get(
        &mut self,
        id: &str,
        from: usize,
        limit: usize,
    ) -> Result<Option<Conversation>, HistoryError> {
        let saved = self.with(|database| database.get(id, from, limit));
        let Some(unsaved) = self.unsaved.get(id) else {
            return saved;
        };
        // Better what is here than nothing.
        let saved = saved.ok().flatten();
        let mut conversation = saved.unwrap_or_else(|| Conversation {
            summary: beginning(id, unsaved),
            entries: Vec::new(),
        });
        for entry in unsaved {
            let place = conversation.summary.messages;
            let known = entry.completes.and_then(|place| place.checked_sub(from));
            let known = known.and_then(|place| conversation.entries.get_mut(place));
            if let Some(known) = known.filter(|known| known.partial) {
                conversation.summary.complete(entry, known.bytes());
                *known = Arc::clone(entry);
                continue;
            }
            conversation.summary.add(entry);
            if place >= from && conversation.entries.len() < limit {
                conversation.entries.push(Arc::clone(entry));
            }
        }
        Ok(Some(conversation))
    }

    fn list(&mut self) -> Result<Vec<Summary>, HistoryError> {
        let mut list = match self.with(|database| Ok(database.list()?)) {
            Err(error) if self.unsaved.is_empty() => return Err(error),
            list => list.unwrap_or_default(),
        };
        for (id, unsaved) in &self.unsaved {
            let place = list.iter().position(|summary| summary.id == *id);
            let mut summary = match place {
                Some(place) => list.remove(place),
                None => beginning(id, unsaved),
            };
            unsaved.iter().for_each(|entry| summary.add(entry));
            list.insert(0, summary);
        }
        Ok(list)
    }

    /// Works on the open file. A damaged one is set aside, and a new one begun for what follows.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Database) -> Result<T, Fault>,
    ) -> Result<T, HistoryError> {
        let database = self.open()?;
        work(database).map_err(|fault| match fault {
            Fault::Sqlite(error) if is_damage(&error) => self.set_aside(),
            fault => fault.into(),
        })
    }

    fn open(&mut self) -> Result<&mut Database, HistoryError> {
        if self.open.is_none() {
            let file = self
                .place
                .file()
                .map_err(|error| HistoryError::io(&error))?;
            let database = match Database::open(file.as_deref()) {
                Err(Fault::Sqlite(error)) if is_damage(&error) => {
                    self.move_away(file.as_deref());
                    Database::open(file.as_deref())?
                }
                opened => opened?,
            };
            self.open = Some((database, file));
        }
        match &mut self.open {
            Some((database, _)) => Ok(database),
            None => Err(HistoryError::Io("the file is not open".to_owned())),
        }
    }

    /// Damage that shows while the file is open.
    fn set_aside(&mut self) -> HistoryError {
        if let Some((database, file)) = self.open.take() {
            // Closed before it is moved.
            drop(database);
            self.move_away(file.as_deref());
        }
        HistoryError::Io("the conversations' file was damaged".to_owned())
    }

    fn move_away(&mut self, file: Option<&Path>) {
        let Some(file) = file else {
            return;
        };
        match set_aside(file) {
            Ok(set_aside) => {
                tracing::error!(set_aside, "the conversations' file was damaged");
                self.damage = Some(HistoryError::Corrupt { set_aside });
            }
            Err(error) => tracing::error!(%error, "a damaged file could not be moved away"),
        }
    }
}

/// Of a conversation that begins with these.
fn beginning(id: &str, entries: &[Arc<Entry>]) -> Summary {
    let created = entries.first().map(|entry| entry.timestamp);
    Summary::new(id, created.unwrap_or(SystemTime::UNIX_EPOCH))
}
