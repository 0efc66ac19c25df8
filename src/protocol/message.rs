//! Messages as hosts write them: Anthropic's content blocks, and OpenAI's forms of the same.
//!
//! Field names inside messages are those of the two APIs (snake_case), so that a host can
//! hand on what it has.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::Value;

/// One message of a prompt.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct MessageParam {
    /// Who speaks.
    pub role: Role,
    /// A string or blocks; may be absent or `null` beside `tool_calls`.
    #[serde(default)]
    pub content: Option<Content>,
    /// What the model thought before it said this, as some servers of OpenAI's API have it.
    #[serde(default)]
    pub reasoning_content: Option<String>,
    /// OpenAI's form of the assistant's calls.
    #[serde(default)]
    pub tool_calls: Vec<ToolCallParam>,
    /// OpenAI's form of a result: which call it answers (role `tool`).
    #[serde(default)]
    pub tool_call_id: Option<String>,
}

/// A message that the daemon says.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Always blocks.
    pub content: Vec<Block>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    #[serde(alias = "developer")]
    System,
    /// The person, and the tools' results.
    User,
    /// The model.
    Assistant,
    /// OpenAI's role for one tool's result.
    Tool,
}

/// Text, or blocks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// The same as one text block.
    Text(String),
    /// In order.
    Blocks(Vec<Block>),
}

impl Default for Content {
    fn default() -> Self {
        Self::Blocks(Vec::new())
    }
}

impl Content {
    /// As blocks; an empty string is no block.
    #[must_use]
    pub fn into_blocks(self) -> Vec<Block> {
        match self {
            Self::Text(text) if text.is_empty() => Vec::new(),
            Self::Text(text) => vec![Block::Text { text }],
            Self::Blocks(blocks) => blocks,
        }
    }
}

/// By hand, because serde's untagged enums can't say which block is wrong.
impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrBlocks;

        impl<'de> Visitor<'de> for TextOrBlocks {
            type Value = Content;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string or an array of content blocks")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, blocks: A) -> Result<Content, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(blocks)).map(Content::Blocks)
            }
        }

        deserializer.deserialize_any(TextOrBlocks)
    }
}

impl JsonSchema for Content {
    fn schema_name() -> Cow<'static, str> {
        "Content".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let blocks = generator.subschema_for::<Vec<Block>>();
        json_schema!({
            "description": "Text, or content blocks.",
            "anyOf": [{ "type": "string" }, blocks],
        })
    }
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// What the model thought before it spoke.
    Thinking {
        /// The thought.
        thinking: String,
        /// Some servers sign theirs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// What the model thought, for its maker's servers only; not sent to any.
    RedactedThinking {
        /// Unreadable.
        data: String,
    },
    /// The model calls a tool.
    ToolUse {
        /// Names the call.
        id: String,
        /// Names the tool.
        name: String,
        /// The arguments.
        #[serde(default)]
        input: Value,
    },
    /// What the tool said.
    ToolResult {
        /// The call.
        #[serde(alias = "toolUseId")]
        tool_use_id: String,
        /// Text and images.
        #[serde(default)]
        content: Content,
        /// Whether it failed.
        #[serde(default, alias = "isError", skip_serializing_if = "is_false")]
        is_error: bool,
    },
    /// A picture.
    Image {
        /// Where it is.
        source: ImageSource,
    },
    /// OpenAI's form of a picture.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn is_false(value: &bool) -> bool {
    !value
}

/// Where a picture is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ImageSource {
    /// Here.
    Base64 {
        /// `image/png`, ….
        media_type: String,
        /// Its bytes, base64.
        data: String,
    },
    /// Somewhere the server can reach.
    Url {
        /// Its address.
        url: String,
    },
}

/// OpenAI's form of a picture's address.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
pub struct ImageUrl {
    /// An address, or `data:image/png;base64,…`.
    pub url: String,
}

/// OpenAI's form of a call.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ToolCallParam {
    /// Names the call.
    pub id: String,
    /// What is called.
    pub function: FunctionCallParam,
}

/// What is called.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct FunctionCallParam {
    /// Names the tool.
    pub name: String,
    /// The arguments, as JSON in a string.
    #[serde(default)]
    pub arguments: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_a_string_or_blocks() {
        let text: Content = serde_json::from_str(r#""hi""#).unwrap();
        let blocks: Content = serde_json::from_str(r#"[{"type":"text","text":"hi"}]"#).unwrap();
        assert_eq!(text.into_blocks(), blocks.into_blocks());
    }

    #[test]
    fn a_wrong_block_is_named_by_what_it_lacks() {
        let error = serde_json::from_str::<Content>(r#"[{"type":"text"}]"#).unwrap_err();
        assert!(
            error.to_string().contains("missing field `text`"),
            "{error}"
        );
        let error = serde_json::from_str::<Content>("7").unwrap_err();
        assert!(error.to_string().contains("content blocks"), "{error}");
    }

    #[test]
    fn openai_messages_are_read() {
        let message: MessageParam = serde_json::from_str(
            r#"{"role":"assistant","content":null,
                "tool_calls":[{"id":"c1","type":"function","function":{"name":"Read","arguments":"{}"}}]}"#,
        )
        .unwrap();
        assert!(message.content.is_none());
        assert_eq!(message.tool_calls[0].function.name, "Read");
    }
}
