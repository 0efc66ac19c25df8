//! Conversations kept by the daemon.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Message, Usage};

/// Names a conversation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationRef {
    /// As a prompt's result named it.
    pub conversation_id: String,
}

/// Result of `remote-llm/list-conversations`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListConversationsResult {
    /// Newest first.
    pub conversations: Vec<ConversationSummary>,
}

/// One row of the list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationSummary {
    /// Its id.
    pub conversation_id: String,
    /// The beginning of the first question.
    pub title: String,
    /// How many messages it has.
    pub message_count: usize,
    /// When it last changed, RFC 3339.
    pub updated_at: String,
}

/// One conversation.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationView {
    /// Its id.
    pub conversation_id: String,
    /// Oldest first, tool calls and results included.
    pub messages: Vec<HistoryEntry>,
}

/// One message as it was said.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct HistoryEntry {
    /// Who said what.
    #[serde(flatten)]
    pub message: Message,
    /// When, RFC 3339.
    pub timestamp: String,
    /// What the round that made it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Result of `remote-llm/delete-conversation`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeleteConversationResult {
    /// `false`: there was none.
    pub deleted: bool,
}

/// Params of `remote-llm/conversation-updated`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationUpdatedParams {
    /// Its id.
    pub conversation_id: String,
    /// The new messages.
    pub messages: Vec<HistoryEntry>,
}
