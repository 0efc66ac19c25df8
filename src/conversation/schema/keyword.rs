//! Whether a schema's keywords have the form they must have, and its patterns, compiled.

use std::collections::HashMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::{pattern, place::Place};

/// The most patterns in a schema.
const MAX_PATTERNS: usize = 200;

const TYPES: [&str; 7] = [
    "null", "boolean", "number", "integer", "string", "array", "object",
];

/// # Errors
/// `/where/it/is: what is wrong with it`.
pub(super) fn examine(schema: &Value) -> Result<HashMap<String, Regex>, String> {
    let mut examiner = Examiner::default();
    examiner.schema(schema, Place::Root)?;
    Ok(examiner.patterns)
}

#[derive(Default)]
struct Examiner {
    patterns: HashMap<String, Regex>,
}

impl Examiner {
    fn schema(&mut self, schema: &Value, place: Place<'_>) -> Result<(), String> {
        match schema {
            Value::Bool(_) => Ok(()),
            Value::Object(keywords) => keywords
                .iter()
                .try_for_each(|(name, value)| self.keyword(name, value, Place::Name(&place, name))),
            other => Err(wrong(place, "a schema", other)),
        }
    }

    fn keyword(&mut self, name: &str, value: &Value, place: Place<'_>) -> Result<(), String> {
        match name {
            "type" => types(value, place),
            "enum" if !value.is_array() => Err(wrong(place, "an array", value)),
            "required" => names(value, place),
            "uniqueItems" if !value.is_boolean() => Err(wrong(place, "true or false", value)),
            "pattern" => match value.as_str() {
                Some(pattern) => self.pattern(pattern, place),
                None => Err(wrong(place, "a string", value)),
            },
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
            | "maxProperties" | "minContains" | "maxContains"
                if super::value::count(value).is_none() =>
            {
                Err(wrong(place, "a count", value))
            }
            "minimum" | "maximum" if !value.is_number() => Err(wrong(place, "a number", value)),
            // In draft 4 they say whether `minimum` itself is outside.
            "exclusiveMinimum" | "exclusiveMaximum"
                if !value.is_number() && !value.is_boolean() =>
            {
                Err(wrong(place, "a number", value))
            }
            "multipleOf" if !value.as_f64().is_some_and(|of| of > 0.0) => {
                Err(wrong(place, "a number above 0", value))
            }
            "allOf" | "anyOf" | "oneOf" => match value.as_array() {
                Some(several) if !several.is_empty() => self.several(several, place),
                _ => Err(wrong(place, "an array of schemas", value)),
            },
            "prefixItems" => match value.as_array() {
                Some(several) => self.several(several, place),
                None => Err(wrong(place, "an array of schemas", value)),
            },
            "items" => match value.as_array() {
                Some(several) => self.several(several, place),
                None => self.schema(value, place),
            },
            "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "additionalItems"
            | "propertyNames"
            | "additionalProperties"
            | "unevaluatedItems"
            | "unevaluatedProperties" => self.schema(value, place),
            "properties" | "$defs" | "definitions" | "dependentSchemas" => {
                self.by_name(map(value, place)?, place)
            }
            "patternProperties" => {
                let schemas = map(value, place)?;
                for pattern in schemas.keys() {
                    self.pattern(pattern, place)?;
                }
                self.by_name(schemas, place)
            }
            "dependentRequired" => map(value, place)?
                .iter()
                .try_for_each(|(name, value)| names(value, Place::Name(&place, name))),
            "dependencies" => map(value, place)?.iter().try_for_each(|(name, value)| {
                let place = Place::Name(&place, name);
                match value {
                    Value::Array(_) => names(value, place),
                    schema => self.schema(schema, place),
                }
            }),
            _ => Ok(()),
        }
    }

    fn by_name(&mut self, schemas: &Map<String, Value>, place: Place<'_>) -> Result<(), String> {
        let mut all = schemas.iter();
        all.try_for_each(|(name, schema)| self.schema(schema, Place::Name(&place, name)))
    }

    fn several(&mut self, schemas: &[Value], place: Place<'_>) -> Result<(), String> {
        let mut all = schemas.iter().enumerate();
        all.try_for_each(|(index, schema)| self.schema(schema, Place::Index(&place, index)))
    }

    fn pattern(&mut self, pattern: &str, place: Place<'_>) -> Result<(), String> {
        if self.patterns.contains_key(pattern) {
            return Ok(());
        }
        if self.patterns.len() == MAX_PATTERNS {
            return Err(format!("{place}: more than {MAX_PATTERNS} patterns"));
        }
        let compiled = pattern::compile(pattern).map_err(|why| format!("{place}: {why}"))?;
        self.patterns.insert(pattern.to_owned(), compiled);
        Ok(())
    }
}

fn types(value: &Value, place: Place<'_>) -> Result<(), String> {
    let is_type = |name: &Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
    let good = match value {
        Value::Array(several) => !several.is_empty() && several.iter().all(is_type),
        one => is_type(one),
    };
    match good {
        true => Ok(()),
        false => Err(wrong(place, "a type of JSON", value)),
    }
}

fn names(value: &Value, place: Place<'_>) -> Result<(), String> {
    match value.as_array() {
        Some(several) if several.iter().all(Value::is_string) => Ok(()),
        _ => Err(wrong(place, "an array of names", value)),
    }
}

fn map<'v>(value: &'v Value, place: Place<'_>) -> Result<&'v Map<String, Value>, String> {
    let map = value.as_object();
    map.ok_or_else(|| wrong(place, "an object", value))
}

fn wrong(place: Place<'_>, expected: &str, got: &Value) -> String {
    let got = super::super::text::one_line(&got.to_string(), 40);
    format!("{place}: {got} is not {expected}")
}
