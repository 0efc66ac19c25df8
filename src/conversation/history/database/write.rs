//! What is written, within a transaction.

use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::conversation::history::Bounds;
use crate::conversation::history::entry::{Summary, message_bytes};
use crate::llm::{Message, Role};

use super::{Addition, find, integer, milliseconds, role_name};

pub(super) fn append(
    transaction: &Transaction<'_>,
    addition: &Addition<'_>,
) -> rusqlite::Result<()> {
    let Some(first) = addition.entries.first() else {
        return Ok(());
    };
    let (mut summary, number) = match find(transaction, addition.id)? {
        Some(known) => known,
        None => {
            transaction
                .prepare_cached(
                    "INSERT INTO conversation
                     (id, title, created, updated, changed, messages, tool_calls, bytes)
                     VALUES (?, '', 0, 0, 0, 0, 0, 0)",
                )?
                .execute([addition.id])?;
            let summary = Summary::new(addition.id, first.timestamp);
            (summary, transaction.last_insert_rowid())
        }
    };
    let mut insert = transaction.prepare_cached(
        "INSERT INTO entry
         (conversation, place, role, content, said, usage, model, config_id, partial)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for entry in &addition.entries {
        let shorter = match entry.completes {
            Some(place) => take_out(transaction, number, place)?,
            None => None,
        };
        let json = |error: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
        let origin = entry.origin.as_ref();
        insert.execute(params![
            number,
            match (shorter, entry.completes) {
                (Some(_), Some(place)) => integer(place),
                _ => integer(summary.messages),
            },
            role_name(entry.message.role),
            serde_json::to_string(&entry.message.content).map_err(json)?,
            milliseconds(entry.timestamp),
            entry
                .usage
                .map(|usage| serde_json::to_string(&usage))
                .transpose()
                .map_err(json)?,
            origin.map(|origin| &origin.model),
            origin.map(|origin| &origin.config_id),
            entry.partial,
        ])?;
        match shorter {
            Some(shorter) => summary.complete(entry, shorter),
            None => summary.add(entry),
        }
    }
    let origin = summary.origin.as_ref();
    transaction
        .prepare_cached(
            "UPDATE conversation SET title = ?, model = ?, config_id = ?, created = ?, updated = ?,
             changed = (SELECT IFNULL(MAX(changed), 0) + 1 FROM conversation),
             messages = ?, tool_calls = ?, bytes = ? WHERE number = ?",
        )?
        .execute(params![
            summary.title,
            origin.map(|origin| &origin.model),
            origin.map(|origin| &origin.config_id),
            milliseconds(summary.created),
            milliseconds(summary.updated),
            integer(summary.messages),
            integer(summary.tool_calls),
            integer(summary.bytes),
            number,
        ])?;
    Ok(())
}

/// Removes an answer that was cut short, to make room for the whole of it; what it took, roughly.
/// `None` if there is none in that place: another daemon may have been first.
fn take_out(
    transaction: &Transaction<'_>,
    number: i64,
    place: usize,
) -> rusqlite::Result<Option<usize>> {
    let key = params![number, integer(place)];
    let content: Option<String> = transaction
        .prepare_cached(
            "SELECT content FROM entry WHERE conversation = ? AND place = ? AND partial",
        )?
        .query_row(key, |row| row.get(0))
        .optional()?;
    let Some(content) = content else {
        return Ok(None);
    };
    transaction
        .prepare_cached("DELETE FROM entry WHERE conversation = ? AND place = ?")?
        .execute(key)?;
    let json = |error: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
    let content = serde_json::from_str(&content).map_err(json)?;
    Ok(Some(message_bytes(&Message {
        role: Role::Assistant,
        content,
    })))
}

/// Removes a conversation that is larger than all of them may be; `true`: it was.
pub(super) fn remove_oversized(
    transaction: &Transaction<'_>,
    id: &str,
    bounds: Bounds,
) -> rusqlite::Result<bool> {
    let bytes: Option<i64> = transaction
        .prepare_cached("SELECT bytes FROM conversation WHERE id = ?")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    match bytes {
        Some(bytes) if bytes > integer(bounds.bytes) => remove(transaction, id),
        _ => Ok(false),
    }
}

/// Removes the least recently changed conversations until the rest keep the bounds. Counts them
/// all, so once for however many additions.
pub(super) fn make_room(
    transaction: &Transaction<'_>,
    bounds: Bounds,
) -> rusqlite::Result<Vec<String>> {
    let mut gone = Vec::new();
    let mut sum =
        transaction.prepare_cached("SELECT COUNT(*), IFNULL(SUM(bytes), 0) FROM conversation")?;
    let mut oldest =
        transaction.prepare_cached("SELECT id FROM conversation ORDER BY changed LIMIT 1")?;
    loop {
        let (count, bytes): (i64, i64) = sum.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if count <= integer(bounds.conversations) && bytes <= integer(bounds.bytes) {
            return Ok(gone);
        }
        let id: String = oldest.query_row([], |row| row.get(0))?;
        remove(transaction, &id)?;
        gone.push(id);
    }
}

pub(super) fn remove(transaction: &Transaction<'_>, id: &str) -> rusqlite::Result<bool> {
    transaction
        .prepare_cached(
            "DELETE FROM entry
             WHERE conversation = (SELECT number FROM conversation WHERE id = ?)",
        )?
        .execute([id])?;
    let deleted = transaction
        .prepare_cached("DELETE FROM conversation WHERE id = ?")?
        .execute([id])?;
    Ok(deleted > 0)
}
