//! Tools whose runs are noted.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use crate::llm::{Block, BoxFuture, Redactor};

use super::super::clock::ToolClock;
use super::super::tool::{ToolCall, ToolFailure, ToolOutput, Tools};
use super::chain::hex;
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
        let note = Note {
            of: self,
            tool_call_id: call.id.clone(),
            tool: call.name.clone(),
            input: json!(call.input),
            began: Instant::now(),
            is_written: false,
        };
        let result = self.tools.execute(call, clock).await;
        note.write(Some(&result));
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

/// Written when it is dropped, at the latest: a run that is cancelled ends there.
struct Note<'a, 'b, T> {
    of: &'a AuditedTools<'b, T>,
    tool_call_id: String,
    tool: String,
    input: serde_json::Value,
    began: Instant,
    is_written: bool,
}

impl<T> Note<'_, '_, T> {
    fn write(mut self, result: Option<&Result<ToolOutput, ToolFailure>>) {
        self.note(result);
    }

    fn note(&mut self, result: Option<&Result<ToolOutput, ToolFailure>>) {
        if std::mem::replace(&mut self.is_written, true) {
            return;
        }
        let AuditedTools {
            audit,
            prompt,
            secrets,
            ..
        } = self.of;
        let content: &[Block] = match result {
            Some(Ok(output)) => &output.content,
            Some(Err(_)) | None => &[],
        };
        let output = serde_json::to_string(content).unwrap_or_default();
        let input = self.input.to_string();
        audit.note(&Record::Tool {
            prompt: prompt.clone(),
            tool_call_id: std::mem::take(&mut self.tool_call_id),
            tool: std::mem::take(&mut self.tool),
            input_sha256: hex(&input),
            outcome: outcome(result),
            duration_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            output_bytes: output.len(),
            output_sha256: hex(&output),
            input: audit.content(&self.input, secrets),
            output: audit.content(content, secrets),
        });
    }
}

impl<T> Drop for Note<'_, '_, T> {
    fn drop(&mut self) {
        self.note(None);
    }
}

fn outcome(result: Option<&Result<ToolOutput, ToolFailure>>) -> &'static str {
    match result {
        Some(Ok(output)) if output.is_error => "failed",
        Some(Ok(_)) => "ok",
        Some(Err(ToolFailure::NotFound)) => "not-found",
        Some(Err(ToolFailure::InvalidInput(_))) => "invalid-input",
        Some(Err(ToolFailure::Failed(_))) => "failed",
        Some(Err(ToolFailure::TimedOut)) => "timed-out",
        Some(Err(ToolFailure::Denied)) => "denied",
        Some(Err(ToolFailure::HostGone)) => "host-gone",
        // Dropped: the prompt was cancelled, or the tool's time was over.
        Some(Err(ToolFailure::Cancelled)) | None => "cancelled",
    }
}
