//! Conversations.

use std::{sync::Arc, time::SystemTime};

use crate::{
    conversation::Entry,
    protocol::{
        ConversationRef, ConversationSummary, ConversationView, DeleteConversationResult, Empty,
        ErrorCode, ErrorObject, HistoryEntry, ListConversationsResult,
    },
    rpc::Call,
};

use super::super::{failure, state::Daemon, wire};

pub(in crate::daemon) async fn list(
    daemon: Arc<Daemon>,
    _: Empty,
    _: Call,
) -> Result<ListConversationsResult, ErrorObject> {
    let conversations = daemon
        .workspace()?
        .history
        .list()
        .into_iter()
        .map(|summary| ConversationSummary {
            conversation_id: summary.id,
            title: summary.title,
            message_count: summary.messages,
            updated_at: time(summary.updated),
        })
        .collect();
    Ok(ListConversationsResult { conversations })
}

pub(in crate::daemon) async fn get(
    daemon: Arc<Daemon>,
    params: ConversationRef,
    _: Call,
) -> Result<ConversationView, ErrorObject> {
    let conversation =
        daemon.workspace()?.history.get(&params.conversation_id).ok_or_else(|| {
            let mut error = failure::plain(
                ErrorCode::ConfigNotFound,
                "There is no such conversation. It may have been deleted, or the daemon was restarted.",
            );
            error.data.conversation_id = Some(params.conversation_id.clone());
            error
        })?;
    Ok(ConversationView {
        conversation_id: conversation.id,
        messages: conversation
            .entries
            .iter()
            .map(|entry| history_entry(entry))
            .collect(),
    })
}

pub(in crate::daemon) async fn delete(
    daemon: Arc<Daemon>,
    params: ConversationRef,
    _: Call,
) -> Result<DeleteConversationResult, ErrorObject> {
    let deleted = daemon.workspace()?.history.delete(&params.conversation_id);
    Ok(DeleteConversationResult { deleted })
}

/// One message of the history, for the host.
pub(in crate::daemon) fn history_entry(entry: &Entry) -> HistoryEntry {
    HistoryEntry {
        message: wire::message::write(&entry.message),
        timestamp: time(entry.timestamp),
        usage: entry.usage.as_ref().map(wire::prompt::usage),
    }
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
