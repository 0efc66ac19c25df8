//! What a profile asks of an Ollama server.

use std::fmt;

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Unexpected, Visitor},
};

/// What is asked of Ollama by its own API; what is absent is left to the server.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OllamaSettings {
    /// Tokens of context to load a model with, from 256 to 16777216. A model that is loaded with
    /// more is used as it is: another size would load it again, for everybody who uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_ctx: Option<u64>,
    /// How long a model stays loaded after an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
    /// Whether a model thinks before it answers. When absent, those think that can; those that
    /// cannot are never asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think: Option<Think>,
}

/// How long a model stays loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum KeepAlive {
    /// Seconds; -1 is for ever, 0 unloads it at once.
    Seconds(i64),
    /// A duration in Go's spelling, such as `10m` or `1h30m`; a negative one is for ever.
    Duration(String),
}

/// Whether a model thinks, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Think {
    /// Whether it does.
    Switch(bool),
    /// How much, for models that know levels.
    Level(ThinkLevel),
}

/// How much a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThinkLevel {
    /// A little.
    Low,
    /// Some.
    Medium,
    /// A lot.
    High,
    /// As much as it can.
    Max,
}

// By hand, because serde's untagged enums cannot say which field is wrong.

impl<'de> Deserialize<'de> for KeepAlive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = KeepAlive;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a whole number of seconds or a duration such as \"10m\"")
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<KeepAlive, E> {
                Ok(KeepAlive::Seconds(seconds))
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<KeepAlive, E> {
                i64::try_from(seconds)
                    .map(KeepAlive::Seconds)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(seconds), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<KeepAlive, E> {
                Ok(KeepAlive::Duration(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Think {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Think;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("true, false or one of: low, medium, high, max")
            }

            fn visit_bool<E: Error>(self, switch: bool) -> Result<Think, E> {
                Ok(Think::Switch(switch))
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Think, E> {
                Ok(Think::Level(match word {
                    "low" => ThinkLevel::Low,
                    "medium" => ThinkLevel::Medium,
                    "high" => ThinkLevel::High,
                    "max" => ThinkLevel::Max,
                    _ => return Err(E::invalid_value(Unexpected::Str(word), &self)),
                }))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
