//! Tools whose runs are noted.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use crate::llm::{Block, BoxFuture, Redactor};

use super::super::clock::ToolClock;
use super::super::digest::sha256;
use super::super::tool::{ToolCall, ToolFailure, ToolOutput, Tools};
use super::{Audit, Record, Subject};

/// Runs tools and notes each run, whatever became of it.
#[derive(Debug)]
pub struct AuditedTools<'a, T> {
    pub tools: T,
    pub audit: &'a Audit,
    pub prompt: Subject,
    pub secrets: &'a Redactor,
}

impl<T: Tools> AuditedTools<'_, T> {
    async fn run(&self, call: ToolCall, clock: Arc<ToolClock>) -> Result<ToolOutput, ToolFailure> {
        if !self.audit.is_on() {
            return self.tools.execute(call, clock).await;
        }
        let mut note = Note {
            of: self,
            tool_call_id: call.id.clone(),
            tool: call.name.clone(),
            input: call.input.clone(),
            began: Instant::now(),
            outcome: "",
            output: String::new(),
            content: None,
        };
        note.keep("cancelled", &[]);
        let result = self.tools.execute(call, clock).await;
        note.keep(
            outcome(&result),
            match &result {
                Ok(output) => &output.content,
                Err(_) => &[],
            },
        );
        result
    }
}

impl<T: Tools> Tools for AuditedTools<'_, T> {
    fn execute(
        &self,
        call: ToolCall,
        clock: Arc<ToolClock>,
    ) -> BoxFuture<'_, Result<ToolOutput, ToolFailure>> {
        Box::pin(self.run(call, clock))
    }
}

/// Written when it is dropped: a run whose prompt is cancelled, or whose time is over, ends there.
struct Note<'a, 'b, T> {
    of: &'a AuditedTools<'b, T>,
    tool_call_id: String,
    tool: String,
    input: Value,
    began: Instant,
    outcome: &'static str,
    /// What it gave back, as JSON.
    output: String,
    content: Option<Value>,
}

impl<T> Note<'_, '_, T> {
    fn keep(&mut self, outcome: &'static str, output: &[Block]) {
        self.outcome = outcome;
        self.output = serde_json::to_string(output).unwrap_or_default();
        self.content = self.of.audit.content(output, self.of.secrets);
    }
}

impl<T> Drop for Note<'_, '_, T> {
    fn drop(&mut self) {
        let AuditedTools {
            audit,
            prompt,
            secrets,
            ..
        } = self.of;
        audit.note(&Record::Tool {
            prompt: prompt.clone(),
            tool_call_id: std::mem::take(&mut self.tool_call_id),
            tool: std::mem::take(&mut self.tool),
            input_sha256: sha256(self.input.to_string()),
            outcome: self.outcome,
            duration_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            output_bytes: self.output.len(),
            output_sha256: sha256(&self.output),
            input: audit.content(&self.input, secrets),
            output: self.content.take(),
        });
    }
}

fn outcome(result: &Result<ToolOutput, ToolFailure>) -> &'static str {
    match result {
        Ok(output) if output.is_error => "failed",
        Ok(_) => "ok",
        Err(ToolFailure::NotFound) => "not-found",
        Err(ToolFailure::InvalidInput(_)) => "invalid-input",
        Err(ToolFailure::Failed(_)) => "failed",
        Err(ToolFailure::TimedOut) => "timed-out",
        Err(ToolFailure::Denied) => "denied",
        Err(ToolFailure::Cancelled) => "cancelled",
        Err(ToolFailure::Aborted) => "aborted",
        Err(ToolFailure::HostGone) => "host-gone",
    }
}
