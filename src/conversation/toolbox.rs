//! The tools of one prompt, by name: what they accept, and whether they change anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::error::ToolProblem;
use super::schema::{self, Schema, Unfit};
use super::tool::DeclaredTool;

/// Filled once, when the prompt begins.
#[derive(Debug, Default)]
pub(super) struct Toolbox {
    tools: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    read_only: bool,
    timeout: Option<Duration>,
    schema: Arc<Schema>,
}

impl Toolbox {
    pub(super) fn add(&mut self, declared: &DeclaredTool) -> Result<(), ToolProblem> {
        let tool = &declared.tool;
        if tool.name.is_empty() {
            return Err(ToolProblem::NoName);
        }
        if self.tools.contains_key(&tool.name) {
            return Err(ToolProblem::DuplicateName);
        }
        if !tool.input_schema.is_object() {
            return Err(ToolProblem::SchemaNotObject);
        }
        let schema = Schema::compile(&tool.input_schema).map_err(|problem| match problem {
            schema::Problem::TooLong => ToolProblem::SchemaTooLong,
            schema::Problem::Unfit(Unfit::Reference) => ToolProblem::SchemaReference,
            schema::Problem::Unfit(Unfit::Tangled) => ToolProblem::SchemaTangled,
            schema::Problem::Invalid(what) => ToolProblem::SchemaInvalid(what),
        })?;
        let entry = Entry {
            read_only: declared.read_only,
            timeout: declared.timeout,
            schema: Arc::new(schema),
        };
        self.tools.insert(tool.name.clone(), entry);
        Ok(())
    }

    pub(super) fn is_read_only(&self, name: &str) -> bool {
        self.tools.get(name).is_some_and(|tool| tool.read_only)
    }

    /// What a call may take, if the tool has a time of its own.
    pub(super) fn timeout(&self, name: &str) -> Option<Duration> {
        self.tools.get(name)?.timeout
    }

    /// What checks an input of a tool; `None` if there is no such tool.
    pub(super) fn check(
        &self,
        name: &str,
    ) -> Option<impl FnOnce(&Value) -> Result<(), String> + Send + 'static> {
        let schema = Arc::clone(&self.tools.get(name)?.schema);
        Some(move |input: &Value| schema.check(input))
    }
}
