//! The forms that a profile's file has had, and how an older one becomes the present one.

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::Error;
use super::profile::Profile;

/// The field that names a file's form. Files without it were written by hand, or before there
/// were any others.
const FIELD: &str = "version";

/// Each makes the next form of the one with its number.
const STEPS: &[fn(&mut Map<String, Value>)] = &[unversioned];

/// A profile's file in the form of today.
#[derive(Serialize)]
pub(super) struct File<'a> {
    version: usize,
    #[serde(flatten)]
    profile: &'a Profile,
}

impl<'a> File<'a> {
    pub(super) fn new(profile: &'a Profile) -> Self {
        Self {
            version: STEPS.len(),
            profile,
        }
    }
}

/// A file's content in the form of today, without its version. The file stays as it is until it
/// is saved.
///
/// # Errors
/// [`Error::Invalid`] for a version that is none, or that only a newer program knows.
pub(super) fn migrate(mut value: Value) -> Result<Value, Error> {
    let Value::Object(fields) = &mut value else {
        // What it should be is said where it is read.
        return Ok(value);
    };
    // Not `remove`, which would change the order of what is kept.
    let version = match fields.shift_remove(FIELD) {
        None | Some(Value::Null) => Some(0),
        Some(version) => version.as_u64().and_then(|v| usize::try_from(v).ok()),
    };
    let steps = match version {
        Some(version) => STEPS.get(version..).ok_or_else(|| {
            let problem = format!(
                "is {version}, and this program knows forms up to {}: a newer one wrote the file, \
                 which is left as it is",
                STEPS.len()
            );
            Error::invalid(FIELD, problem)
        })?,
        None => return Err(Error::invalid(FIELD, "must be a whole number")),
    };
    for step in steps {
        step(fields);
    }
    Ok(value)
}

/// Params of `configure` that somebody put into a file have another name for the id.
fn unversioned(fields: &mut Map<String, Value>) {
    if let Some(id) = fields.shift_remove("configId") {
        fields.entry("id").or_insert(id);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let profile = Profile {
            id: "gpu".to_owned(),
            ..Profile::default()
        };
        let file = serde_json::to_value(File::new(&profile)).unwrap();
        assert_eq!(file["version"], 1);
        assert_eq!(
            migrate(file).unwrap(),
            serde_json::to_value(&profile).unwrap()
        );
    }

    #[test]
    fn older_forms_become_the_present_one() {
        for (old, new) in [
            (json!({"id": "a", "x": 1}), json!({"id": "a", "x": 1})),
            (
                json!({"version": null, "configId": "a"}),
                json!({"id": "a"}),
            ),
            (
                json!({"version": 0, "configId": "a", "id": "b"}),
                json!({"id": "b"}),
            ),
            // It is an unknown field by now.
            (
                json!({"version": 1, "configId": "a"}),
                json!({"configId": "a"}),
            ),
            (json!([1]), json!([1])),
        ] {
            assert_eq!(migrate(old).unwrap(), new);
        }
    }

    #[test]
    fn a_newer_form_is_refused_and_named() {
        for (version, word) in [
            (json!(2), "newer"),
            (json!(u64::MAX), "newer"),
            (json!("1"), "whole number"),
            (json!(-1), "whole number"),
            (json!(1.5), "whole number"),
        ] {
            match migrate(json!({"version": version})) {
                Err(Error::Invalid { field, problem }) => {
                    assert_eq!(field, "version");
                    assert!(problem.contains(word), "{problem}");
                }
                other => panic!("{version}: {other:?}"),
            }
        }
    }
}
