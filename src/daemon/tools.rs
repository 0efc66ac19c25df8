//! The tools at the other end of the pipes, as a prompt knows them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    conversation::{ToolCall, ToolClock, ToolFailure, ToolOutput, Tools},
    llm::BoxFuture,
    protocol::{self, ExecuteTool, ExecuteToolParams, Request as _, ToolWaitingParams},
    rpc::{CallError, ErrorReply, Outbound},
};

use super::wire;

/// Runs one prompt's tools at the host.
#[derive(Debug)]
pub(super) struct HostTools {
    outbound: Outbound,
    clocks: ToolClocks,
    request_id: String,
    conversation_id: String,
}

impl HostTools {
    /// The tools of the prompt that the host calls `request_id`.
    pub(super) fn new(
        outbound: Outbound,
        clocks: ToolClocks,
        request_id: String,
        conversation_id: String,
    ) -> Self {
        Self {
            outbound,
            clocks,
            request_id,
            conversation_id,
        }
    }

    async fn run(&self, call: ToolCall, clock: Arc<ToolClock>) -> Result<ToolOutput, ToolFailure> {
        let serde_json::Value::Object(input) = call.input else {
            return Err(ToolFailure::InvalidInput(
                "the arguments are not an object".to_owned(),
            ));
        };
        let params = ExecuteToolParams {
            request_id: self.request_id.clone(),
            conversation_id: self.conversation_id.clone(),
            tool_call_id: call.id,
            name: call.name,
            input,
            timeout_ms: u64::try_from(clock.tool_time().as_millis()).unwrap_or(u64::MAX),
            after_untrusted_read: call.after_untrusted_read,
        };
        let _ticking =
            self.clocks
                .enter(&params.request_id, &params.tool_call_id, Arc::clone(&clock));
        // The turn ends the wait by dropping this future, which cancels the call at the host.
        let result: protocol::ExecuteToolResult = self
            .outbound
            .call_until(ExecuteTool::METHOD, &params, clock.stopped())
            .await
            .map_err(failure)?;
        if result.abort {
            return Err(ToolFailure::Aborted);
        }
        if result.denied {
            return Err(ToolFailure::Denied);
        }
        Ok(ToolOutput {
            content: wire::message::blocks(result.content),
            is_error: result.is_error,
        })
    }
}

impl Tools for HostTools {
    fn execute(
        &self,
        call: ToolCall,
        clock: Arc<ToolClock>,
    ) -> BoxFuture<'_, Result<ToolOutput, ToolFailure>> {
        Box::pin(self.run(call, clock))
    }
}

/// The clocks of all calls that the host is running. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct ToolClocks(Arc<Mutex<ByCall>>);

/// By the names of the prompt and of the call.
type ByCall = HashMap<(String, String), Arc<ToolClock>>;

/// A call's place among the clocks, until it is dropped.
#[derive(Debug)]
struct Ticking<'a> {
    clocks: &'a ToolClocks,
    call: (String, String),
}

impl ToolClocks {
    /// The host says whether a call waits for a person. Of a call that is over it may say so, too.
    pub(super) fn note(&self, params: &ToolWaitingParams) {
        let call = (params.request_id.clone(), params.tool_call_id.clone());
        let clock = self.lock().get(&call).cloned();
        if let Some(clock) = clock {
            clock.wait_for_person(params.waiting);
        }
    }

    fn enter(&self, request_id: &str, call_id: &str, clock: Arc<ToolClock>) -> Ticking<'_> {
        let call = (request_id.to_owned(), call_id.to_owned());
        self.lock().insert(call.clone(), clock);
        Ticking { clocks: self, call }
    }

    fn lock(&self) -> MutexGuard<'_, ByCall> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.clocks.lock().remove(&self.call);
    }
}

fn failure(error: CallError) -> ToolFailure {
    match error {
        CallError::Closed => ToolFailure::HostGone,
        CallError::TimedOut => ToolFailure::TimedOut,
        CallError::Cancelled => ToolFailure::Cancelled,
        CallError::BadReply(problem) => {
            ToolFailure::Failed(format!("its result could not be read ({problem})"))
        }
        CallError::NotSent(problem) => ToolFailure::Failed(problem.to_string()),
        CallError::Refused(ErrorReply { message, data, .. }) => {
            match data.as_ref().and_then(|data| data.get("code")?.as_str()) {
                Some("TOOL_NOT_FOUND") => ToolFailure::NotFound,
                Some("TOOL_DENIED") => ToolFailure::Denied,
                Some("TOOL_TIMEOUT") => ToolFailure::TimedOut,
                Some("TOOL_CANCELLED") => ToolFailure::Cancelled,
                Some("TOOL_INVALID_INPUT") => ToolFailure::InvalidInput(message),
                _ => ToolFailure::Failed(message),
            }
        }
    }
}
