//! A tool's JSON Schema (drafts 4 to 2020-12), and whether a call's input fits it.
//!
//! The host forwards schemas from wherever its tools come from, so none may reach out, hang or
//! overflow: no reference leads out of the schema, patterns take linear time, and a check has so
//! many steps and no more. `format` and `content…` are annotations; `$dynamicRef` is refused.
//!
//! Our own, because of the steps: the libraries check what is hostile for as long as it takes.
//! Judged by the official test suite (`tests/data/json-schema`).

mod check;
mod keyword;
mod number;
mod pattern;
mod place;
mod seen;
mod shape;
mod value;

use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;

use check::Check;
pub(super) use shape::Unfit;

/// The longest schema, in bytes of JSON.
const MAX_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Schema {
    root: Value,
    patterns: HashMap<String, Regex>,
    /// Up to draft 7, what stands beside a `$ref` means nothing.
    reference_is_alone: bool,
    /// Whether it has to be known which parts of an input were looked at.
    tracks: bool,
}

/// Why a schema is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    TooLong,
    Unfit(Unfit),
    /// No valid JSON Schema; a sentence.
    Invalid(String),
}

impl Schema {
    pub(super) fn compile(schema: &Value) -> Result<Self, Problem> {
        let text = schema.to_string();
        if text.len() > MAX_BYTES {
            return Err(Problem::TooLong);
        }
        shape::examine(schema).map_err(Problem::Unfit)?;
        let patterns = keyword::examine(schema).map_err(Problem::Invalid)?;
        Ok(Self {
            root: schema.clone(),
            patterns,
            reference_is_alone: is_old(schema).map_err(Problem::Invalid)?,
            tracks: text.contains("\"unevaluated"),
        })
    }

    /// Whether an input fits.
    ///
    /// # Errors
    /// What is wrong with it and where, for the model.
    pub(super) fn check(&self, input: &Value) -> Result<(), String> {
        Check::new(self).run(input)
    }
}

/// Whether it says of itself that it is of draft 7 or older.
fn is_old(schema: &Value) -> Result<bool, String> {
    let Some(named) = schema.get("$schema").and_then(Value::as_str) else {
        return Ok(false);
    };
    let name = named.trim_end_matches('#');
    let name = name
        .strip_prefix("http://")
        .or(name.strip_prefix("https://"));
    match name.and_then(|name| name.strip_prefix("json-schema.org/")) {
        Some("draft-04/schema" | "draft-06/schema" | "draft-07/schema") => Ok(true),
        Some("draft/2019-09/schema" | "draft/2020-12/schema" | "schema") => Ok(false),
        _ => Err("/$schema: names no draft from 4 to 2020-12".to_owned()),
    }
}

#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
