//! `schemas/protocol.schema.json`, made from the types.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{ErrorObject, Notification, Request, VERSION};

/// The whole contract as one JSON Schema document: `methods` by direction, each with its
/// params and result, over shared `$defs`.
#[must_use]
pub fn document() -> Value {
    let mut schema = Document::new();
    super::visit_requests(&mut schema, "hostToDaemon");
    super::visit_notifications_both(&mut schema, "hostToDaemon");
    super::visit_notifications_in(&mut schema, "hostToDaemon");
    super::visit_notifications_both(&mut schema, "daemonToHost");
    super::visit_notifications_out(&mut schema, "daemonToHost");
    super::visit_host_requests(&mut schema, "daemonToHost");
    schema.finish()
}

/// The document while its methods are being collected.
pub(super) struct Document {
    generator: SchemaGenerator,
    sections: Map<String, Value>,
}

impl Document {
    fn new() -> Self {
        Self {
            generator: SchemaSettings::draft2020_12().into_generator(),
            sections: Map::new(),
        }
    }

    pub(super) fn request<R: Request>(&mut self, section: &str)
    where
        R::Params: JsonSchema,
        R::Result: JsonSchema,
    {
        let params = self.generator.subschema_for::<R::Params>();
        let result = self.generator.subschema_for::<R::Result>();
        self.add(
            section,
            R::METHOD,
            json!({ "kind": "request", "params": params, "result": result }),
        );
    }

    pub(super) fn notification<N: Notification>(&mut self, section: &str)
    where
        N::Params: JsonSchema,
    {
        let params = self.generator.subschema_for::<N::Params>();
        self.add(
            section,
            N::METHOD,
            json!({ "kind": "notification", "params": params }),
        );
    }

    fn add(&mut self, section: &str, method: &str, entry: Value) {
        if let Value::Object(methods) = self
            .sections
            .entry(section)
            .or_insert_with(|| Value::Object(Map::new()))
        {
            methods.insert(method.to_owned(), entry);
        }
    }

    fn finish(mut self) -> Value {
        let error = self.generator.subschema_for::<ErrorObject>();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "puffin-remote-llm protocol",
            "description": "Generated from src/protocol; see schemas/README.md.",
            "protocolVersion": VERSION,
            "methods": self.sections,
            "error": error,
            "$defs": self.generator.take_definitions(true),
        })
    }
}
