//! What a profile asks of an Ollama server: the fields, how they are read, what they may hold.

use std::ops::RangeInclusive;

use serde::Serialize;
use serde_json::Value;

use super::error::{Error, Warning};
use super::read::Fields;
use super::unknown::Unknown;
use super::validate::{number, optional, require};

/// Fewer tokens hold no conversation; no model is made for more.
const NUM_CTX: RangeInclusive<u64> = 256..=16_777_216;
/// A year. Ollama counts in nanoseconds and has no room for much more.
const LONGEST_SECONDS: i64 = 31_536_000;
const DURATION_LENGTH: usize = 32;

const LEVELS: &[(&str, ThinkLevel)] = &[
    ("low", ThinkLevel::Low),
    ("medium", ThinkLevel::Medium),
    ("high", ThinkLevel::High),
    ("max", ThinkLevel::Max),
];

/// What is asked of Ollama by its own API. `None` leaves it to the server.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ollama {
    /// Tokens of context to load a model with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_ctx: Option<u64>,
    /// How long a model stays loaded after an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
    /// Whether a model thinks before it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think: Option<Think>,
    /// Fields of other versions, kept on rewrite.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// How long a model stays loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum KeepAlive {
    /// -1: for ever.
    Seconds(i64),
    /// In Go's spelling, such as `10m`; a negative one is for ever.
    Duration(String),
}

/// Whether a model thinks, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Think {
    /// Whether it does.
    Switch(bool),
    /// How much, for models that know levels.
    Level(ThinkLevel),
}

/// How much a model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

// === impl Ollama ===

impl Ollama {
    pub(super) fn read(mut fields: Fields, warnings: &mut Vec<Warning>) -> Result<Self, Error> {
        Ok(Self {
            num_ctx: fields.integer("numCtx", u64::MAX)?,
            keep_alive: KeepAlive::read(&mut fields)?,
            think: Think::read(&mut fields)?,
            unknown: fields.rest(warnings),
        })
    }

    /// Checks every field.
    pub(super) fn validate(&self) -> Result<(), Error> {
        optional("llm.ollama.numCtx", self.num_ctx.as_ref(), |at, tokens| {
            number(at, *tokens, NUM_CTX)
        })?;
        optional(
            "llm.ollama.keepAlive",
            self.keep_alive.as_ref(),
            |at, keep_alive| require(keep_alive.is_sound(), at, KeepAlive::SHAPE),
        )
    }
}

// === impl KeepAlive ===

impl KeepAlive {
    const SHAPE: &str = "must be a whole number of seconds from -1 (for ever) to 31536000, or a \
                         duration of up to a year such as \"10m\" or \"1h30m\"";

    fn read(fields: &mut Fields) -> Result<Option<Self>, Error> {
        const FIELD: &str = "keepAlive";
        let keep_alive = match fields.take(FIELD) {
            None => return Ok(None),
            Some(Value::String(text)) => Some(Self::Duration(text)),
            Some(value) => value.as_i64().map(Self::Seconds),
        };
        match keep_alive {
            Some(keep_alive) => Ok(Some(keep_alive)),
            None => Err(Error::invalid(fields.at(FIELD), Self::SHAPE)),
        }
    }

    fn is_sound(&self) -> bool {
        match self {
            Self::Seconds(seconds) => (-1..=LONGEST_SECONDS).contains(seconds),
            Self::Duration(text) => {
                let length = text.strip_prefix('-').unwrap_or(text);
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                let longest = LONGEST_SECONDS as f64;
                text.len() <= DURATION_LENGTH
                    && seconds(length).is_some_and(|seconds| seconds <= longest)
            }
        }
    }
}

/// Seconds of a duration without a sign, as Go's `time.ParseDuration` reads it: numbers, each
/// with its unit.
fn seconds(text: &str) -> Option<f64> {
    if text == "0" {
        return Some(0.0);
    }
    let mut sum = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (amount, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        sum += amount.parse::<f64>().ok()? * scale;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

// === impl Think ===

impl Think {
    fn read(fields: &mut Fields) -> Result<Option<Self>, Error> {
        const FIELD: &str = "think";
        let value = match fields.take(FIELD) {
            None => return Ok(None),
            Some(Value::Bool(switch)) => return Ok(Some(Self::Switch(switch))),
            Some(value) => value,
        };
        let found = LEVELS.iter().find(|(word, _)| value.as_str() == Some(word));
        match found {
            Some((_, level)) => Ok(Some(Self::Level(*level))),
            None => {
                let words: Vec<_> = LEVELS.iter().map(|(word, _)| *word).collect();
                let problem = format!("must be true, false or one of: {}", words.join(", "));
                Err(Error::invalid(fields.at(FIELD), problem))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(ollama: &Value) -> Result<Ollama, String> {
        let read = || {
            let fields = Fields::new("llm.ollama".to_owned(), ollama.clone())?;
            let read = Ollama::read(fields, &mut Vec::new())?;
            read.validate()?;
            Ok(read)
        };
        read().map_err(|error: Error| error.to_string())
    }

    #[test]
    fn what_is_allowed_comes_back_as_it_was() {
        for ollama in [
            json!({}),
            json!({"numCtx": 256, "keepAlive": -1, "think": true, "later": {"x": 1}}),
            json!({"numCtx": 16_777_216, "keepAlive": 31_536_000, "think": false}),
            json!({"keepAlive": "0", "think": "low"}),
            json!({"keepAlive": "10m", "think": "medium"}),
            json!({"keepAlive": "1h30m", "think": "high"}),
            json!({"keepAlive": "-1m", "think": "max"}),
            json!({"keepAlive": "1.5h10s500ms"}),
            json!({"keepAlive": ".5h"}),
        ] {
            let read = check(&ollama).unwrap();
            assert_eq!(serde_json::to_value(read).unwrap(), ollama);
        }
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_its_field_and_what_is() {
        let keep_alive = [
            json!(-2),
            json!(31_536_001),
            json!(1.5),
            json!(true),
            json!(""),
            json!("-"),
            json!("10"),
            json!("10x"),
            json!("m"),
            json!("1..5h"),
            json!("1 h"),
            json!("+1h"),
            json!("8761h"),
            json!("99999999999999999999999999999999h"),
        ];
        for value in keep_alive {
            let error = check(&json!({"keepAlive": value})).unwrap_err();
            let expected = format!("`llm.ollama.keepAlive` {}", KeepAlive::SHAPE);
            assert_eq!(error, expected, "{value}");
        }
        for value in [json!("loud"), json!(1), json!([])] {
            let error = check(&json!({"think": value})).unwrap_err();
            let expected = "must be true, false or one of: low, medium, high, max";
            assert_eq!(error, format!("`llm.ollama.think` {expected}"));
        }
        for value in [json!(0), json!(255), json!(16_777_217)] {
            let error = check(&json!({"numCtx": value})).unwrap_err();
            let expected = "must be a whole number from 256 to 16777216";
            assert_eq!(error, format!("`llm.ollama.numCtx` {expected}"));
        }
    }
}
