//! What a schema says of a value itself: its type, its size, its parts in number.

use std::collections::HashMap;
use std::fmt::Write as _;

use regex::Regex;
use serde_json::{Map, Value};

use super::number;

/// A schema that is an object.
pub(super) type Keywords = Map<String, Value>;

/// Every problem there is, as sentences without the value.
pub(super) fn problems(
    keywords: &Keywords,
    value: &Value,
    patterns: &HashMap<String, Regex>,
) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(kind(keywords, value));
    match value {
        Value::Number(it) => numbers(keywords, it, &mut found),
        Value::String(it) => strings(keywords, it, patterns, &mut found),
        Value::Array(it) => size(keywords, ITEMS, it.len(), &mut found),
        Value::Object(it) => size(keywords, PROPERTIES, it.len(), &mut found),
        Value::Null | Value::Bool(_) => {}
    }
    found
}

/// A keyword that is a count.
pub(super) fn count(value: &Value) -> Option<u64> {
    value.as_number().and_then(number::count)
}

/// The same for JSON Schema: numbers by value, objects without order.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => number::compare(left, right).is_eq(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, value)| right.get(name).is_some_and(|other| equal(value, other));
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}

fn kind(keywords: &Keywords, value: &Value) -> Option<String> {
    let named = keywords.get("type")?;
    let names = named
        .as_array()
        .map_or(std::slice::from_ref(named), Vec::as_slice);
    let is_of = |name: &Value| name.as_str().is_some_and(|name| is_of(value, name));
    if names.iter().any(is_of) {
        return None;
    }
    let several = if names.len() > 1 { "s" } else { "" };
    Some(format!(
        "value is not of type{several} {}",
        listed(names, ", ")
    ))
}

fn is_of(value: &Value, name: &str) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(it) => name == "number" || (name == "integer" && number::is_integer(it)),
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    }
}

fn numbers(keywords: &Keywords, value: &serde_json::Number, found: &mut Vec<String>) {
    let at = |keyword: &str| keywords.get(keyword).and_then(Value::as_number);
    let excludes = |keyword: &str| keywords.get(keyword) == Some(&Value::Bool(true));
    if let Some(least) = at("minimum") {
        let order = number::compare(value, least);
        if order.is_lt() || (order.is_eq() && excludes("exclusiveMinimum")) {
            found.push(format!("value is less than the minimum of {least}"));
        }
    }
    if let Some(most) = at("maximum") {
        let order = number::compare(value, most);
        if order.is_gt() || (order.is_eq() && excludes("exclusiveMaximum")) {
            found.push(format!("value is greater than the maximum of {most}"));
        }
    }
    if let Some(bound) = at("exclusiveMinimum")
        && number::compare(value, bound).is_le()
    {
        found.push(format!("value is not greater than {bound}"));
    }
    if let Some(bound) = at("exclusiveMaximum")
        && number::compare(value, bound).is_ge()
    {
        found.push(format!("value is not less than {bound}"));
    }
    if let Some(of) = at("multipleOf")
        && !number::is_multiple(value, of)
    {
        found.push(format!("value is not a multiple of {of}"));
    }
}

fn strings(
    keywords: &Keywords,
    value: &str,
    patterns: &HashMap<String, Regex>,
    found: &mut Vec<String>,
) {
    if keywords.contains_key("minLength") || keywords.contains_key("maxLength") {
        let length = value.chars().count();
        size(keywords, LENGTH, length, found);
    }
    let pattern = keywords.get("pattern").and_then(Value::as_str);
    let compiled = pattern.and_then(|pattern| patterns.get(pattern));
    if compiled.is_some_and(|pattern| !pattern.is_match(value)) {
        found.push(format!(
            "value does not match {:?}",
            pattern.unwrap_or_default()
        ));
    }
}

/// Two keywords, and what they count.
type Bounds = (&'static str, &'static str, &'static str);

const LENGTH: Bounds = ("minLength", "maxLength", "characters");
const ITEMS: Bounds = ("minItems", "maxItems", "items");
const PROPERTIES: Bounds = ("minProperties", "maxProperties", "properties");

fn size(keywords: &Keywords, (least, most, what): Bounds, size: usize, found: &mut Vec<String>) {
    let size = size as u64;
    let at = |keyword: &str| keywords.get(keyword).and_then(count);
    if let Some(least) = at(least).filter(|least| size < *least) {
        found.push(format!("value has fewer than {least} {what}"));
    }
    if let Some(most) = at(most).filter(|most| size > *most) {
        found.push(format!("value has more than {most} {what}"));
    }
}

/// Values as they are in JSON, one after the other.
pub(super) fn listed<'a>(values: impl IntoIterator<Item = &'a Value>, last: &str) -> String {
    let mut out = String::new();
    let mut values = values.into_iter().peekable();
    while let Some(value) = values.next() {
        if !out.is_empty() {
            out.push_str(if values.peek().is_some() { ", " } else { last });
        }
        let _ = write!(out, "{value}");
    }
    out
}
