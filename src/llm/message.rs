//! A conversation as this house keeps it: Anthropic content blocks. Each dialect maps to and from
//! them at its edge.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Hoisted into the one leading system text when sent.
    System,
    User,
    Assistant,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    pub role: Role,
    pub content: Vec<Block>,
}

/// A piece of a message. As JSON it is Anthropic's content block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    Text {
        text: String,
    },
    /// What the model thought; never sent back to an OpenAI-compatible server.
    Thinking {
        thinking: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    ToolUse {
        id: String,
        name: String,
        /// A JSON object.
        input: Value,
    },
    ToolResult {
        tool_use_id: String,
        /// Text and images.
        content: Vec<Self>,
        is_error: bool,
    },
    Image {
        source: ImageSource,
    },
}

/// Where an image's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ImageSource {
    /// Base64 text of the bytes, with their media type (`image/png`).
    Base64 {
        media_type: String,
        data: String,
    },
    Url {
        url: String,
    },
}

/// A tool the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Any name; where a server would refuse it, it travels under another one.
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of the input object.
    pub input_schema: Value,
}

/// Whether the model has to call a tool. A wish: servers may ignore it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    Required,
    None,
    Named(String),
}

/// Sampling parameters; `None` leaves the server's default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub max_output_tokens: Option<u64>,
    pub stop: Vec<String>,
    pub seed: Option<i64>,
}

/// One round: everything the server is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// The server's own id of the model, opaque.
    pub model: String,
    pub system: Option<String>,
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    pub sampling: Sampling,
    /// More members of the request body. They win over `sampling`, never over what was asked.
    pub extra: Map<String, Value>,
    /// The last message is an answer that was cut short: the server is to go on with it.
    pub continues: bool,
    /// Value of the affinity header, the same for a whole conversation.
    pub affinity: Option<String>,
}

impl ChatRequest {
    /// Whether it is a later round of a prompt: those end with results. What was wrong with what is
    /// before them was told in the rounds before.
    pub(super) fn goes_on(&self) -> bool {
        let is_result = |block: &Block| matches!(block, Block::ToolResult { .. });
        let last = self.messages.last();
        last.is_some_and(|message| message.content.iter().any(is_result))
    }
}
