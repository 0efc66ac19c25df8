//! Where the secret of a sign-in comes from.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::error::Error;
use super::read::Fields;
use super::text::is_hidden;

const SHAPE: &str =
    "must be \"saved\", \"ask\" or {\"command\": [program, argument, …]}, all of them strings";
const WORDS: usize = 64;
const LENGTH: usize = 8192;

/// Where a password or a passphrase comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretSource {
    /// It was typed, and is kept.
    #[default]
    Saved,
    /// It is typed for each sign-in, and never kept.
    Ask,
    /// A program of this computer writes it: the program, then its arguments. No shell sees them.
    Command(Vec<String>),
}

impl SecretSource {
    pub(super) fn read(fields: &mut Fields, name: &str) -> Result<Self, Error> {
        let wrong = |fields: &Fields| Error::invalid(fields.at(name), SHAPE);
        let command = match fields.take(name) {
            None => return Ok(Self::Saved),
            Some(Value::String(word)) => match word.as_str() {
                "saved" => return Ok(Self::Saved),
                "ask" => return Ok(Self::Ask),
                _ => return Err(wrong(fields)),
            },
            Some(Value::Object(mut object)) if object.len() == 1 => object.remove("command"),
            Some(_) => return Err(wrong(fields)),
        };
        let Some(Value::Array(words)) = command else {
            return Err(wrong(fields));
        };
        let word = |word| match word {
            Value::String(word) => Ok(word),
            _ => Err(wrong(fields)),
        };
        words
            .into_iter()
            .map(word)
            .collect::<Result<_, _>>()
            .map(Self::Command)
    }

    pub(super) fn validate(&self, at: &str) -> Result<(), Error> {
        let Self::Command(words) = self else {
            return Ok(());
        };
        let refuse = |problem| Err(Error::invalid(format!("{at}.command"), problem));
        let Some(program) = words.first().filter(|program| !program.is_empty()) else {
            return refuse("must begin with a program");
        };
        // A path below the project would be the project's to fill, whatever was approved of.
        let is_found = !program.contains(['/', '\\']);
        if !is_found && !program.starts_with("~/") && !Path::new(program).is_absolute() {
            return refuse(
                "must begin with the name of a program on the search path, or with a path that \
                 begins with `/` or `~/`",
            );
        }
        let length: usize = words.iter().map(String::len).sum();
        if words.len() > WORDS || length > LENGTH {
            return refuse("must have at most 64 words and 8192 bytes");
        }
        let is_odd = |c: char| is_hidden(c) && !matches!(c, '\n' | '\t');
        if words.iter().any(|word| word.contains(is_odd)) {
            return refuse(
                "must not contain control characters, except for tabs and line ends, or ones that \
                 turn the direction of writing",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<SecretSource, Error> {
        let mut fields = Fields::new("ssh".into(), json!({ "passwordSource": value }))?;
        let source = SecretSource::read(&mut fields, "passwordSource")?;
        source.validate("ssh.passwordSource").map(|()| source)
    }

    #[test]
    fn every_source_comes_back_as_it_was() {
        let command = |words: &[&str]| {
            SecretSource::Command(words.iter().map(|&word| word.to_owned()).collect())
        };
        for source in [
            SecretSource::Saved,
            SecretSource::Ask,
            command(&["pass", "show", "gpu"]),
            command(&["/usr/bin/op", "read", "op://x/y z/password"]),
            command(&["~/bin/secret"]),
            command(&["sh", "-c", "pass gpu |\n head -n 1"]),
        ] {
            let written = serde_json::to_value(&source).unwrap();
            assert_eq!(read(written).unwrap(), source);
        }
        assert_eq!(read(Value::Null).unwrap(), SecretSource::Saved);
    }

    #[test]
    fn what_is_no_source_is_told_by_its_field() {
        let field = |value| match read(value) {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        for value in [
            json!("prompt"),
            json!(true),
            json!(["pass"]),
            json!({}),
            json!({"command": "pass show gpu"}),
            json!({"command": ["pass", 1]}),
            json!({"command": ["pass"], "shell": true}),
            json!({"keychain": ["x"]}),
        ] {
            assert_eq!(field(value), "ssh.passwordSource");
        }
        for words in [
            json!([]),
            json!([""]),
            json!(["./secret"]),
            json!(["bin/secret"]),
            json!(["pass", "a\0b"]),
            json!(["pass", "a\u{202e}b"]),
            json!(vec!["x"; 65]),
            json!(["pass", "x".repeat(9000)]),
        ] {
            let value = json!({ "command": words });
            assert_eq!(field(value), "ssh.passwordSource.command");
        }
    }
}
