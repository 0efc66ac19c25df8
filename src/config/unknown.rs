//! Fields that this version does not know, kept for the one that does.

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::Warning;
use super::text::shown;

/// Names of fields that hold secrets, in lower case without `-` and `_`.
const SECRET_NAMES: &[&str] = &[
    "accesstoken",
    "apikey",
    "authorization",
    "authtoken",
    "bearertoken",
    "clientsecret",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "secretheaders",
    "secrets",
    "token",
];

/// Unknown fields without secrets.
///
/// The only way to fill it is to read a profile, which sifts out every field, at any depth,
/// whose name says that it holds a secret. So a secret that someone wrote into a profile's file
/// is neither kept nor written again.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Unknown(Map<String, Value>);

impl Unknown {
    /// Keeps what may be kept of `fields`, which stand at `path`, and says what was dropped.
    pub(super) fn sift(
        mut fields: Map<String, Value>,
        path: &str,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        sift_object(&mut fields, path, warnings);
        warnings.extend(fields.keys().map(|name| unknown(join(path, name))));
        Self(fields)
    }

    /// The field of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether nothing was unknown.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn sift_object(fields: &mut Map<String, Value>, path: &str, warnings: &mut Vec<Warning>) {
    fields.retain(|name, value| {
        let field = join(path, name);
        if is_secret_name(name) {
            warnings.push(secret_dropped(field));
            return false;
        }
        sift_value(value, &field, warnings);
        true
    });
}

fn sift_value(value: &mut Value, path: &str, warnings: &mut Vec<Warning>) {
    match value {
        Value::Object(fields) => sift_object(fields, path, warnings),
        Value::Array(values) => {
            for (index, value) in values.iter_mut().enumerate() {
                sift_value(value, &format!("{path}[{index}]"), warnings);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn unknown(field: String) -> Warning {
    Warning::new(
        field,
        "This version does not know this field: it has no effect, and is kept as it is.",
    )
}

pub(super) fn secret_dropped(field: String) -> Warning {
    Warning::new(
        field,
        "Secrets are not read from a profile's file, and not kept in it. Give it again when asked, \
         and treat the one in the file as disclosed.",
    )
}

/// The path of a field of the object at `path`.
pub(super) fn join(path: &str, name: &str) -> String {
    let name = shown(name);
    if path.is_empty() {
        name
    } else {
        format!("{path}.{name}")
    }
}

fn is_secret_name(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    SECRET_NAMES.contains(&plain.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_sifted_out_at_any_depth_and_the_rest_is_kept() {
        let Value::Object(fields) = json!({
            "color": "red",
            "API_KEY": "canary",
            "nested": [{"passPhrase": "canary", "kept": 1}, "x"],
        }) else {
            unreachable!()
        };
        let mut warnings = Vec::new();
        let unknown = Unknown::sift(fields, "ssh", &mut warnings);
        let expected = json!({"color": "red", "nested": [{"kept": 1}, "x"]});
        assert_eq!(serde_json::to_value(unknown).unwrap(), expected);
        let fields: Vec<_> = warnings.into_iter().map(|warning| warning.field).collect();
        let dropped = ["ssh.API_KEY", "ssh.nested[0].passPhrase"];
        assert_eq!(
            fields,
            [&dropped[..], &["ssh.color", "ssh.nested"]].concat()
        );
    }
}
