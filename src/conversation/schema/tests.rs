//! What schemas are taken, and what is said about inputs that do not fit.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;

fn check(schema: &Value, input: &Value) -> Result<(), String> {
    Schema::compile(schema).expect("a good schema").check(input)
}

fn refused(schema: &Value) -> Problem {
    Schema::compile(schema).expect_err("a bad schema")
}

fn write() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "path": {"type": "string", "pattern": "^/"},
            "mode": {"enum": ["new", "append"]},
            "lines": {"type": "array", "items": {"type": "object", "required": ["text"]}},
        },
        "required": ["path"],
        "additionalProperties": false,
    })
}

#[test]
fn an_input_that_fits_is_fine() {
    assert_eq!(check(&json!({}), &json!({"any": "thing"})), Ok(()));
    assert_eq!(
        check(
            &write(),
            &json!({"path": "/a", "mode": "new", "lines": [{"text": 1}]})
        ),
        Ok(())
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_without_the_value() {
    let told = |input: Value| check(&write(), &input).unwrap_err();
    assert_eq!(told(json!({})), "\"path\" is a required property");
    assert_eq!(
        told(json!({"path": 3})),
        "/path: value is not of type \"string\""
    );
    assert_eq!(
        told(json!({"path": "/a", "lines": [{"text": 1}, {}]})),
        "/lines/1: \"text\" is a required property"
    );
    assert_eq!(
        told(json!({"path": "/a", "mode": "x", "more": 1})),
        "/mode: value is not one of \"new\" or \"append\"; Additional properties are not allowed \
         ('more' was unexpected)"
    );
    let long = told(json!({"path": "x".repeat(1_000_000)}));
    assert_eq!(long, "/path: value does not match \"^/\"");
}

#[test]
fn what_is_told_stays_short() {
    let names: Vec<String> = (0..500).map(|number| format!("name{number}")).collect();
    let told = check(
        &json!({"properties": {"a": {"enum": names}, "b": {"enum": names}, "c": {"enum": names}, "d": {"enum": names}}}),
        &json!({"a": 1, "b": 1, "c": 1, "d": 1}),
    );
    let told = told.unwrap_err();
    assert!(told.chars().count() <= 500, "{told}");
}

#[test]
fn a_schema_that_is_none_is_refused_with_the_place() {
    let problem = refused(&json!({"properties": {"a": {"type": "strung"}}}));
    let Problem::Invalid(told) = problem else {
        panic!("{problem:?}");
    };
    assert!(told.contains("strung"), "{told}");
    for schema in [
        json!({"properties": {"a": {"pattern": "("}}}),
        json!({"properties": {"a": {"type": "string", "required": true}}}),
        json!({"$schema": "http://example.com/mine", "type": "object"}),
    ] {
        assert!(matches!(refused(&schema), Problem::Invalid(_)), "{schema}");
    }
}

#[test]
fn no_reference_leads_out_of_the_schema() {
    for reference in [
        "http://127.0.0.1:1/schema.json",
        "file:///etc/passwd",
        "other.json#/a",
        "https://json-schema.org/draft/2020-12/schema",
        "#/$defs/missing",
        "#anchor",
    ] {
        assert_eq!(
            refused(&json!({"properties": {"a": {"$ref": reference}}})),
            Problem::Unfit(Unfit::Reference),
            "{reference}"
        );
    }
}

#[test]
fn references_inside_the_schema_are_followed() {
    let tree = json!({
        "$ref": "#/$defs/node",
        "$defs": {"node": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            "required": ["name"],
        }},
    });
    let leaf = json!({"name": "leaf"});
    assert_eq!(
        check(&tree, &json!({"name": "root", "children": [leaf]})),
        Ok(())
    );
    assert_eq!(
        check(
            &tree,
            &json!({"name": "root", "children": [{"name": "a", "children": [{}]}]})
        ),
        Err("/children/0/children/0: \"name\" is a required property".to_owned())
    );
}

#[test]
fn a_schema_that_would_take_for_ever_is_refused() {
    assert_eq!(
        refused(&json!({"$ref": "#"})),
        Problem::Unfit(Unfit::Tangled)
    );
    assert_eq!(
        refused(&json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"allOf": [{"$ref": "#/$defs/b"}]},
            "b": {"anyOf": [{"$ref": "#/$defs/a"}]},
        }})),
        Problem::Unfit(Unfit::Tangled)
    );
    // Each asks for the next one twice: 2^20 checks.
    let mut laughs = json!({"d20": {"type": "object"}});
    for number in 0..20 {
        let next = json!({"$ref": format!("#/$defs/d{}", number + 1)});
        laughs[format!("d{number}")] = json!({"allOf": [next, next]});
    }
    assert_eq!(
        refused(&json!({"$ref": "#/$defs/d0", "$defs": laughs})),
        Problem::Unfit(Unfit::Tangled)
    );
}

#[test]
fn an_input_that_would_be_checked_for_ever_is_refused() {
    let child =
        |name: &str| json!({"properties": {"c": {"$ref": "#/$defs/n"}}, "required": [name]});
    let schema = json!({"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [child("x"), child("y")]}}});
    let mut input = json!({});
    for _ in 0..60 {
        input = json!({ "c": input });
    }
    let begun = Instant::now();
    let told = check(&schema, &input).unwrap_err();
    assert!(told.contains("too complicated"), "{told}");
    assert!(begun.elapsed() < Duration::from_secs(20), "2^60 steps");
}

#[test]
fn a_pattern_takes_linear_time() {
    let schema = json!({"properties": {"a": {"pattern": "^(a+)+$"}}});
    let input = json!({"a": "a".repeat(100_000) + "b"});
    assert!(check(&schema, &input).is_err());
}

#[test]
fn a_schema_may_be_256_kib_long() {
    let of = |bytes: usize| {
        let empty = json!({"description": ""}).to_string().len();
        json!({"description": "x".repeat(bytes - empty)})
    };
    assert!(Schema::compile(&of(256 * 1024)).is_ok());
    assert_eq!(refused(&of(256 * 1024 + 1)), Problem::TooLong);
}
