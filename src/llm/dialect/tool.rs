//! Tools, which all dialects describe alike.

use serde_json::{Map, Value, json};

use super::names::Names;
use crate::llm::message::Tool;

/// An element of `tools`.
pub(super) fn function(tool: &Tool, names: &Names) -> Value {
    let mut function = Map::new();
    function.insert("name".to_owned(), names.to_wire(&tool.name).into());
    if let Some(description) = &tool.description {
        function.insert("description".to_owned(), description.as_str().into());
    }
    function.insert("parameters".to_owned(), parameters(&tool.input_schema));
    json!({"type": "function", "function": function})
}

/// Templates index into `type` and `properties` without asking.
fn parameters(schema: &Value) -> Value {
    let mut schema = schema.as_object().cloned().unwrap_or_default();
    schema.entry("type").or_insert_with(|| "object".into());
    if schema.get("type").and_then(Value::as_str) == Some("object") {
        schema.entry("properties").or_insert_with(|| json!({}));
    }
    schema.into()
}
