//! What Ollama says of itself and of a model.

use serde_json::Value;

use crate::llm::discovery::{maximum_context, num_ctx};

/// `0.12.6` and the like; what follows the numbers is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::llm) struct Version(u64, u64, u64);

/// The first version that refuses a prompt that does not fit, if asked to.
const TRUNCATE: Version = Version(0, 12, 6);

/// From this one on, whether the context shifts is a flag of the program that runs the model. To
/// have another, it starts that program again: a request with `shift: false` would load the model
/// anew for everybody, and the next one without it once more.
const SHIFT_RELOADS: Version = Version(0, 30, 0);

impl Version {
    /// Reads the answer of `/api/version`; `None` for one that was built by hand, too.
    pub(in crate::llm) fn read(answer: &Value) -> Option<Self> {
        let text = answer.get("version")?.as_str()?;
        let numbers = text.split(['-', '+']).next()?;
        let mut numbers = numbers.split('.').map(|part| part.parse().ok());
        let version = Self(numbers.next()??, numbers.next()??, numbers.next()??);
        (version != Self(0, 0, 0)).then_some(version)
    }

    /// `truncate: false` has a meaning to it.
    pub(in crate::llm) fn can_refuse_to_cut(self) -> bool {
        self >= TRUNCATE
    }

    /// `shift: false` has a meaning to it, and does not make it load the model again for
    /// everybody who uses it.
    pub(in crate::llm) fn can_stop_shifting(self) -> bool {
        (TRUNCATE..SHIFT_RELOADS).contains(&self)
    }
}

/// What stays as it is as long as the model does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::llm) struct Facts {
    /// Whether it can think.
    pub(in crate::llm) thinking: Option<bool>,
    /// The context that it is loaded with if nobody asks for another.
    pub(in crate::llm) num_ctx: Option<u64>,
    /// The context that it was made for.
    pub(in crate::llm) maximum: Option<u64>,
    /// It runs elsewhere: nothing is loaded here.
    pub(in crate::llm) remote: bool,
}

impl Facts {
    /// Reads the answer of `/api/show`.
    pub(in crate::llm) fn read(show: &Value) -> Self {
        let capabilities = show.get("capabilities").and_then(Value::as_array);
        let remote = show.get("remote_host").and_then(Value::as_str);
        Self {
            thinking: capabilities.map(|all| all.iter().any(|item| item == "thinking")),
            num_ctx: num_ctx(show),
            maximum: maximum_context(show),
            remote: remote.is_some_and(|host| !host.is_empty()),
        }
    }
}

/// Whether a model is in memory now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::llm) enum Loaded {
    #[default]
    Unknown,
    No,
    /// With so many tokens of context, where the server tells.
    Yes(Option<u64>),
}

impl Loaded {
    /// Reads the answer of `/api/ps`.
    pub(in crate::llm) fn read(ps: &Value, model: &str) -> Self {
        let Some(running) = ps.get("models").and_then(Value::as_array) else {
            return Self::Unknown;
        };
        let is_it = |entry: &&Value| {
            ["name", "model"].iter().any(|key| {
                let name = entry.get(*key).and_then(Value::as_str);
                name.is_some_and(|name| full(name).eq_ignore_ascii_case(&full(model)))
            })
        };
        match running.iter().find(is_it) {
            None => Self::No,
            Some(entry) => {
                let context = entry.get("context_length").and_then(Value::as_u64);
                Self::Yes(context.filter(|tokens| *tokens > 0))
            }
        }
    }

    /// Tokens of context.
    pub(in crate::llm) fn context(self) -> Option<u64> {
        match self {
            Self::Yes(context) => context,
            Self::No | Self::Unknown => None,
        }
    }
}

/// A name without a tag means the latest.
fn full(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.contains(':') {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_says_what_the_server_understands() {
        let read = |text: &str| Version::read(&json!({ "version": text }));
        for (text, cuts, shifts) in [
            ("0.6.2", false, false),
            ("0.12.5", false, false),
            ("0.12.6-rc0", true, true),
            ("0.12.6", true, true),
            ("0.24.1", true, true),
            ("0.30.0", true, false),
            ("1.0.0", true, false),
        ] {
            let version = read(text).unwrap();
            let can = (version.can_refuse_to_cut(), version.can_stop_shifting());
            assert_eq!(can, (cuts, shifts), "{text}");
        }
        for text in ["0.0.0", "", "main", "1.2", "99999999999999999999.1.1"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(Version::read(&json!({"version": 5})), None);
    }

    #[test]
    fn a_loaded_model_is_found_by_its_full_name() {
        let ps = json!({"models": [
            {"name": "smol:latest", "model": "smol:latest", "context_length": 4096},
            {"name": "org/big:70b"},
        ]});
        for (model, loaded) in [
            ("smol", Loaded::Yes(Some(4096))),
            ("SMOL:latest", Loaded::Yes(Some(4096))),
            ("smol:135m", Loaded::No),
            ("org/big:70b", Loaded::Yes(None)),
            ("org/big", Loaded::No),
        ] {
            assert_eq!(Loaded::read(&ps, model), loaded, "{model}");
        }
        assert_eq!(Loaded::read(&json!({"models": []}), "smol"), Loaded::No);
        assert_eq!(
            Loaded::read(&json!({"error": "no"}), "smol"),
            Loaded::Unknown
        );
    }

    #[test]
    fn a_model_is_read_as_far_as_it_is_told_of() {
        let show = json!({
            "parameters": "stop    \"<|end|>\"\nnum_ctx                        8192\n",
            "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
            "capabilities": ["completion", "tools", "thinking"],
        });
        let facts = Facts {
            thinking: Some(true),
            num_ctx: Some(8192),
            maximum: Some(40960),
            remote: false,
        };
        assert_eq!(Facts::read(&show), facts);
        assert_eq!(Facts::read(&json!({})), Facts::default());
        let cloud = Facts::read(&json!({"remote_host": "https://ollama.com:443"}));
        assert!(cloud.remote);
    }
}
