//! Conversations kept by the daemon.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Message, Usage, message::is_false};

/// Params of `remote-llm/get-conversation`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetConversationParams {
    /// As a prompt's result named it.
    pub conversation_id: String,
    /// The first message to send, from 0.
    #[serde(default)]
    pub from: usize,
    /// At most so many messages; all, if absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// Params of `remote-llm/delete-conversation`: one, or all of the project's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeleteConversationParams {
    /// Which one.
    #[serde(default)]
    pub conversation_id: Option<String>,
    /// `true`, and no id: all of them.
    #[serde(default)]
    pub all: bool,
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
    /// How many tool calls are among them.
    pub tool_calls: usize,
    /// The model that answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The profile over which it was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_id: Option<String>,
    /// When it began, RFC 3339.
    pub created_at: String,
    /// When it last changed, RFC 3339.
    pub updated_at: String,
}

/// One conversation.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationView {
    /// What the list says of it.
    #[serde(flatten)]
    pub summary: ConversationSummary,
    /// Oldest first, tool calls and results included.
    pub messages: Vec<HistoryEntry>,
}

/// One message as it was said.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Who said what.
    #[serde(flatten)]
    pub message: Message,
    /// When, RFC 3339.
    pub timestamp: String,
    /// What the round that made it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The model that said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The profile over which that was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_id: Option<String>,
    /// The answer was cut short here: its connection broke, or somebody cancelled it.
    #[serde(skip_serializing_if = "is_false")]
    pub partial: bool,
    /// Only in news: the host sent it, and it is long, so its content is left out;
    /// `get-conversation` has it.
    #[serde(skip_serializing_if = "is_false")]
    pub content_omitted: bool,
}

/// Result of `remote-llm/delete-conversation`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeleteConversationResult {
    /// `false`: there was none.
    pub deleted: bool,
    /// How many there were.
    pub count: usize,
}

/// Params of `remote-llm/conversation-updated`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationUpdatedParams {
    /// Its id.
    pub conversation_id: String,
    /// The new messages.
    pub messages: Vec<HistoryEntry>,
    /// The first of them takes the place of the conversation's last one, which was `partial`.
    #[serde(skip_serializing_if = "is_false")]
    pub completes_partial: bool,
}
