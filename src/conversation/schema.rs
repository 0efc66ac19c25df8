//! A tool's JSON Schema, compiled.
//!
//! The host forwards schemas from wherever its tools come from, so none may reach out, hang or
//! overflow: no reference leads out of the schema, patterns take linear time, formats are
//! annotations, and what a check costs is known before there is anything to check ([`shape`]).

mod shape;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::text::one_line;

pub(super) use shape::Unfit;

/// The longest schema, in bytes of JSON.
const MAX_BYTES: usize = 256 * 1024;
/// The largest pattern, compiled.
const PATTERN_BYTES: usize = 1024 * 1024;
/// How many problems of an input are told.
const PROBLEMS: usize = 3;
/// The most that is told of one problem, in characters.
const PROBLEM_CHARS: usize = 160;

#[derive(Debug)]
pub(super) struct Schema {
    validator: Validator,
    /// Whether it can be told cheaply what is wrong; that something is can always be.
    explains: bool,
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
        if schema.to_string().len() > MAX_BYTES {
            return Err(Problem::TooLong);
        }
        let shape = shape::examine(schema).map_err(Problem::Unfit)?;
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES))
            .should_validate_formats(false)
            .build(schema)
            .map_err(|error| Problem::Invalid(describe(&error, error.schema_path())))?;
        Ok(Self {
            validator,
            explains: shape.explains,
        })
    }

    /// Whether an input fits.
    ///
    /// # Errors
    /// What is wrong with it and where, for the model.
    pub(super) fn check(&self, input: &Value) -> Result<(), String> {
        if self.validator.is_valid(input) {
            return Ok(());
        }
        if !self.explains {
            return Err("they do not fit the tool's input schema".to_owned());
        }
        let problems = self.validator.iter_errors(input).take(PROBLEMS);
        let problems: Vec<String> = problems
            .map(|error| describe(&error.masked(), error.instance_path()))
            .collect();
        Err(problems.join("; "))
    }
}

/// `/path/to/it: what is wrong with it`.
fn describe(problem: &impl std::fmt::Display, path: &impl std::fmt::Display) -> String {
    let path = path.to_string();
    let text = match path.is_empty() {
        true => problem.to_string(),
        false => format!("{path}: {problem}"),
    };
    one_line(&text, PROBLEM_CHARS)
}

#[cfg(test)]
mod tests;
