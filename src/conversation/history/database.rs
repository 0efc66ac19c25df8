//! The conversations in SQLite: what is read and written, and nothing else. Everything here blocks.
//!
//! The file is in WAL mode, so that a second daemon on the same project reads and writes beside
//! this one, and `synchronous = FULL`: what was committed is there after a power cut, too.

mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use crate::llm::{Message, Role};

use super::Bounds;
use super::entry::{Conversation, Entry, Origin, Summary};
use super::error::{Fault, HistoryError};
use write::{append, make_room, remove, remove_oversized};

/// "pRLh": whose file this is.
const APPLICATION: i32 = 0x7052_4c68;
/// Of the tables below.
const VERSION: i32 = 1;
/// How long another process may hold the file.
const BUSY: Duration = Duration::from_secs(2);

/// `changed` orders conversations by their last change, since clocks may stand still or go back.
const TABLES: &str = "
    CREATE TABLE conversation (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        model TEXT,
        config_id TEXT,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        messages INTEGER NOT NULL,
        tool_calls INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    );
    CREATE INDEX by_change ON conversation (changed, bytes);
    CREATE TABLE entry (
        number INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL,
        place INTEGER NOT NULL,
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        said INTEGER NOT NULL,
        usage TEXT,
        model TEXT,
        config_id TEXT,
        partial INTEGER NOT NULL,
        UNIQUE (conversation, place)
    );
";

const SUMMARY: &str =
    "id, title, model, config_id, created, updated, messages, tool_calls, bytes, number";

/// An open file, or one that is in memory.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
}

/// What is added to one conversation, in one piece.
#[derive(Debug)]
pub(super) struct Addition<'a> {
    pub(super) id: &'a str,
    pub(super) entries: Vec<&'a Entry>,
}

impl Database {
    /// Opens the file, which may be empty; `None`: in memory.
    pub(super) fn open(file: Option<&Path>) -> Result<Self, Fault> {
        let connection = match file {
            Some(file) => Connection::open(file)?,
            None => Connection::open_in_memory()?,
        };
        connection.busy_timeout(BUSY)?;
        let version =
            connection.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0))?;
        if version > VERSION {
            return Err(HistoryError::TooNew.into());
        }
        // What was deleted is overwritten.
        connection.pragma_update(None, "secure_delete", true)?;
        // KiB. Conversations are read once, from end to end.
        connection.pragma_update(None, "cache_size", -512)?;
        if file.is_some() {
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
        }
        let mut database = Self { connection };
        if version < VERSION {
            database.make_tables()?;
        }
        Ok(database)
    }

    fn make_tables(&mut self) -> rusqlite::Result<()> {
        let transaction = self.write()?;
        let version =
            transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0))?;
        // Another daemon may have been first.
        if version == 0 {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        transaction.commit()
    }

    /// Adds all of it or, on an error, nothing. Returns the ids of the conversations that had to
    /// go to keep the bounds: the least recently changed ones; or one that is larger than all
    /// bounds, itself and no other.
    pub(super) fn append(
        &mut self,
        additions: &[Addition<'_>],
        bounds: Bounds,
    ) -> rusqlite::Result<Vec<String>> {
        let transaction = self.write()?;
        let mut gone = Vec::new();
        for addition in additions {
            append(&transaction, addition)?;
            if remove_oversized(&transaction, addition.id, bounds)? {
                gone.push(addition.id.to_owned());
            }
        }
        gone.extend(make_room(&transaction, bounds)?);
        transaction.commit()?;
        Ok(gone)
    }

    /// A conversation, or `limit` messages of it from the one at `from` on.
    pub(super) fn get(
        &mut self,
        id: &str,
        from: usize,
        limit: usize,
    ) -> Result<Option<Conversation>, Fault> {
        // One view of both tables.
        let transaction = self.connection.transaction()?;
        let Some((summary, number)) = find(&transaction, id)? else {
            return Ok(None);
        };
        let mut statement = transaction.prepare_cached(
            "SELECT role, content, said, usage, model, config_id, partial FROM entry
             WHERE conversation = ? AND place >= ? ORDER BY place LIMIT ?",
        )?;
        let mut rows = statement.query(params![number, integer(from), integer(limit)])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(Arc::new(entry(row)?));
        }
        Ok(Some(Conversation { summary, entries }))
    }

    /// All conversations, the latest first.
    pub(super) fn list(&self) -> rusqlite::Result<Vec<Summary>> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {SUMMARY} FROM conversation ORDER BY changed DESC"
        ))?;
        statement.query_map([], summary)?.collect()
    }

    /// Whether there was one to delete.
    pub(super) fn delete(&mut self, id: &str) -> rusqlite::Result<bool> {
        let transaction = self.write()?;
        let deleted = remove(&transaction, id)?;
        transaction.commit()?;
        self.forget_log()?;
        Ok(deleted)
    }

    /// How many there were.
    pub(super) fn delete_all(&mut self) -> rusqlite::Result<usize> {
        let transaction = self.write()?;
        transaction.execute("DELETE FROM entry", [])?;
        let deleted = transaction.execute("DELETE FROM conversation", [])?;
        transaction.commit()?;
        self.forget_log()?;
        Ok(deleted)
    }

    /// What was deleted is still in the write-ahead log, unless another daemon reads just now.
    fn forget_log(&self) -> rusqlite::Result<()> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// At once: a transaction that reads first could find that another wrote meanwhile.
    fn write(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

/// A conversation and its number, by its id.
fn find(transaction: &Transaction<'_>, id: &str) -> rusqlite::Result<Option<(Summary, i64)>> {
    transaction
        .prepare_cached(&format!("SELECT {SUMMARY} FROM conversation WHERE id = ?"))?
        .query_row([id], |row| Ok((summary(row)?, row.get(9)?)))
        .optional()
}

fn summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    Ok(Summary {
        id: row.get(0)?,
        title: row.get(1)?,
        origin: origin(row.get(2)?, row.get(3)?),
        created: time(row.get(4)?),
        updated: time(row.get(5)?),
        messages: count(row.get(6)?),
        tool_calls: count(row.get(7)?),
        bytes: count(row.get(8)?),
    })
}

fn entry(row: &Row<'_>) -> Result<Entry, Fault> {
    let json = |error: serde_json::Error| {
        Fault::from(HistoryError::Io(format!("a stored message: {error}")))
    };
    let role: String = row.get(0)?;
    let content: String = row.get(1)?;
    let usage: Option<String> = row.get(3)?;
    Ok(Entry {
        message: Message {
            role: match role.as_str() {
                "assistant" => Role::Assistant,
                "system" => Role::System,
                _ => Role::User,
            },
            content: serde_json::from_str(&content).map_err(json)?,
        },
        timestamp: time(row.get(2)?),
        usage: usage
            .map(|usage| serde_json::from_str(&usage))
            .transpose()
            .map_err(json)?,
        origin: origin(row.get(4)?, row.get(5)?),
        partial: row.get(6)?,
        completes: None,
    })
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn origin(model: Option<String>, config_id: Option<String>) -> Option<Origin> {
    Some(Origin {
        model: model?,
        config_id: config_id?,
    })
}

/// Times before 1970 are 1970.
fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

fn time(milliseconds: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// SQLite's integers are signed.
fn integer(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(integer: i64) -> usize {
    usize::try_from(integer).unwrap_or(0)
}
