//! Conversations.

use std::{slice, sync::Arc, time::SystemTime};

use crate::{
    conversation::{Entry, Origin, Summary},
    llm,
    protocol::{
        self, ConversationSummary, ConversationView, DeleteConversationParams,
        DeleteConversationResult, Empty, ErrorCode, ErrorObject, GetConversationParams,
        HistoryEntry, ListConversationsResult,
    },
    rpc::Call,
};

use super::super::{failure, state::Daemon, wire};

pub(in crate::daemon) async fn list(
    daemon: Arc<Daemon>,
    _: Empty,
    _: Call,
) -> Result<ListConversationsResult, ErrorObject> {
    let list = daemon.workspace()?.history.list().await;
    let list = list.map_err(|error| failure::history(&error))?;
    Ok(ListConversationsResult {
        conversations: list.into_iter().map(summary).collect(),
    })
}

pub(in crate::daemon) async fn get(
    daemon: Arc<Daemon>,
    params: GetConversationParams,
    _: Call,
) -> Result<ConversationView, ErrorObject> {
    let id = &params.conversation_id;
    let limit = params.limit.unwrap_or(usize::MAX);
    let found = daemon
        .workspace()?
        .history
        .get_part(id, params.from, limit)
        .await;
    let conversation = found
        .map_err(|error| failure::history(&error))?
        .ok_or_else(|| {
            let mut error = failure::plain(
                ErrorCode::ConfigNotFound,
                "There is no such conversation. It may have been deleted, or had to make room for newer ones.",
            );
            error.data.conversation_id = Some(id.clone());
            error
        })?;
    Ok(ConversationView {
        summary: summary(conversation.summary),
        messages: conversation
            .entries
            .iter()
            .map(|entry| history_entry(entry))
            .collect(),
    })
}

pub(in crate::daemon) async fn delete(
    daemon: Arc<Daemon>,
    params: DeleteConversationParams,
    _: Call,
) -> Result<DeleteConversationResult, ErrorObject> {
    let history = &daemon.workspace()?.history;
    let count = match (params.conversation_id, params.all) {
        (Some(id), false) => history.delete(&id).await.map(usize::from),
        (None, true) => history.delete_all().await,
        (Some(_), true) | (None, false) => {
            return Err(failure::invalid_params(
                "conversationId",
                "Name one conversation in `conversationId`, or set `all` to true.",
            ));
        }
    };
    let count = count.map_err(|error| failure::history(&error))?;
    Ok(DeleteConversationResult {
        deleted: count > 0,
        count,
    })
}

/// A message of the host's own is told in news if it has at most so many bytes. A prompt can have
/// megabytes, and what takes the host long to read again keeps the answer waiting.
const NEWS_BYTES: usize = 64 * 1024;

/// One message of the history, for the host.
fn history_entry(entry: &Entry) -> HistoryEntry {
    let message = wire::message::write(&entry.message);
    around(entry, message, false)
}

/// One message that the history has just got, for the host.
pub(in crate::daemon) fn news(entry: &Entry) -> HistoryEntry {
    let said = &entry.message;
    let is_known = said.role != llm::Role::Assistant
        && wire::message::text_bytes(slice::from_ref(said)) > NEWS_BYTES;
    if !is_known {
        return history_entry(entry);
    }
    let without = llm::Message {
        role: said.role,
        content: Vec::new(),
    };
    around(entry, wire::message::write(&without), true)
}

fn around(entry: &Entry, message: protocol::Message, content_omitted: bool) -> HistoryEntry {
    let (model, config_id) = parts(entry.origin.clone());
    HistoryEntry {
        message,
        timestamp: time(entry.timestamp),
        usage: entry.usage.as_ref().map(wire::prompt::usage),
        model,
        config_id,
        partial: entry.partial,
        content_omitted,
    }
}

fn summary(summary: Summary) -> ConversationSummary {
    let (model, config_id) = parts(summary.origin);
    ConversationSummary {
        conversation_id: summary.id,
        title: summary.title,
        message_count: summary.messages,
        tool_calls: summary.tool_calls,
        model,
        config_id,
        created_at: time(summary.created),
        updated_at: time(summary.updated),
    }
}

fn parts(origin: Option<Origin>) -> (Option<String>, Option<String>) {
    origin.map_or((None, None), |origin| {
        (Some(origin.model), Some(origin.config_id))
    })
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
