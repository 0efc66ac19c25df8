//! What a profile asks of Ollama.

use serde_json::Value;

/// `None` leaves it to the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OllamaSettings {
    /// Tokens of context to load a model with, unless one is loaded that has more.
    pub num_ctx: Option<u64>,
    /// How long a model stays loaded after an answer.
    pub keep_alive: Option<KeepAlive>,
    /// Whether models think that can; they do unless told otherwise.
    pub think: Option<Think>,
}

/// How long a model stays loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepAlive {
    /// Negative: for ever.
    Seconds(i64),
    /// In Go's spelling: `10m`, `1h30m`.
    Duration(String),
}

/// Whether a model thinks, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Think {
    Off,
    On,
    Low,
    Medium,
    High,
    Max,
}

impl KeepAlive {
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Seconds(seconds) => (*seconds).into(),
            Self::Duration(text) => text.as_str().into(),
        }
    }
}

impl Think {
    pub(crate) fn to_json(self) -> Value {
        match self {
            Self::Off => false.into(),
            Self::On => true.into(),
            Self::Low => "low".into(),
            Self::Medium => "medium".into(),
            Self::High => "high".into(),
            Self::Max => "max".into(),
        }
    }

    /// What to ask of a model: nothing that it cannot do.
    pub(crate) fn of_model(setting: Option<Self>, capable: Option<bool>) -> Option<Self> {
        match (setting, capable) {
            (_, Some(false)) | (None, None) => None,
            (Some(think), _) => Some(think),
            (None, Some(true)) => Some(Self::On),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_model_that_can_think_is_asked_to() {
        use Think::{High, Off, On};
        for (setting, capable, asked) in [
            (None, None, None),
            (None, Some(true), Some(On)),
            (None, Some(false), None),
            (Some(High), None, Some(High)),
            (Some(High), Some(true), Some(High)),
            (Some(High), Some(false), None),
            (Some(Off), Some(true), Some(Off)),
            (Some(Off), Some(false), None),
        ] {
            assert_eq!(
                Think::of_model(setting, capable),
                asked,
                "{setting:?} {capable:?}"
            );
        }
    }
}
