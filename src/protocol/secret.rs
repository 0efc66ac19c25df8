//! A write-only secret in the params of a request.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

/// What a request says about a secret: absent keeps the saved one, `null` clears it, a
/// string sets it.
///
/// There is no `Serialize`: a secret can come in and never go out.
#[derive(Clone, Debug, Default)]
pub enum Secret {
    /// Absent.
    #[default]
    Keep,
    /// `null`.
    Clear,
    /// A string.
    Set(SecretString),
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<String>::deserialize(deserializer)?;
        Ok(value.map_or(Self::Clear, |text| Self::Set(SecretString::from(text))))
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Write-only: absent keeps the saved secret, null clears it, a string sets it.",
            "type": ["string", "null"],
            "writeOnly": true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Holder {
        #[serde(default)]
        password: Secret,
    }

    fn read(json: &str) -> Secret {
        serde_json::from_str::<Holder>(json).unwrap().password
    }

    #[test]
    fn absent_keeps_null_clears_and_a_string_sets() {
        assert!(matches!(read("{}"), Secret::Keep));
        assert!(matches!(read(r#"{"password":null}"#), Secret::Clear));
        assert!(matches!(read(r#"{"password":"hunter2"}"#), Secret::Set(_)));
    }

    #[test]
    fn debug_never_shows_the_secret() {
        assert!(!format!("{:?}", read(r#"{"password":"hunter2"}"#)).contains("hunter2"));
    }
}
