//! Prompts in, events and results out.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{
    conversation::{self, Outcome},
    llm,
    protocol::{
        self, LimitParams, MAX_MESSAGE_BYTES, PromptParams, ToolChoiceMode, ToolChoiceParam,
    },
    ssh,
};

use super::{
    super::failure,
    json_bytes,
    message::{self, Malformed, text_bytes},
};

/// What the host asks, before the history that it continues is put in front.
pub(in crate::daemon) fn read(
    params: PromptParams,
    conversation_id: String,
    model: String,
    run_tools: bool,
) -> Result<conversation::Prompt, Malformed> {
    let (system, messages) = message::read(params.system, params.messages)?;
    Ok(conversation::Prompt {
        conversation_id,
        model,
        system,
        messages,
        new_from: 0,
        continues: false,
        tools: params
            .tools
            .into_iter()
            .map(|tool| conversation::DeclaredTool {
                tool: llm::Tool {
                    name: tool.name,
                    description: tool.description.filter(|text| !text.is_empty()),
                    input_schema: Value::Object(tool.input_schema),
                },
                read_only: tool.read_only,
                timeout: tool.timeout_ms.map(Duration::from_millis),
            })
            .collect(),
        tool_choice: params.tool_choice.map(|choice| match choice {
            ToolChoiceParam::Mode(ToolChoiceMode::Auto) => llm::ToolChoice::Auto,
            ToolChoiceParam::Mode(ToolChoiceMode::Required) => llm::ToolChoice::Required,
            ToolChoiceParam::Mode(ToolChoiceMode::None) => llm::ToolChoice::None,
            ToolChoiceParam::Named { name } => llm::ToolChoice::Named(name),
        }),
        sampling: llm::Sampling {
            temperature: params.temperature,
            top_p: params.top_p,
            max_output_tokens: params.max_output_tokens,
            stop: params.stop,
            seed: params.seed,
        },
        extra: params.extra,
        limits: limits(params.limits),
        run_tools,
    })
}

fn limits(params: LimitParams) -> conversation::Limits {
    let defaults = conversation::Limits::default();
    conversation::Limits {
        max_rounds: params.max_rounds.unwrap_or(defaults.max_rounds),
        max_tool_calls: params.max_tool_calls.unwrap_or(defaults.max_tool_calls),
        prompt_time: params
            .prompt_time_ms
            .map_or(defaults.prompt_time, Duration::from_millis),
        tool_timeout: params
            .tool_timeout_ms
            .map_or(defaults.tool_timeout, Duration::from_millis),
        tool_output_bytes: params
            .tool_output_bytes
            .unwrap_or(defaults.tool_output_bytes),
        parallel_tools: params
            .parallel_tools
            .map_or(defaults.parallel_tools, |tools| {
                usize::try_from(tools).unwrap_or(usize::MAX)
            }),
    }
}

/// `None` for the one that the handler tells itself.
fn phase(phase: conversation::Phase) -> Option<protocol::Phase> {
    match phase {
        conversation::Phase::Connecting => None,
        conversation::Phase::Queued => Some(protocol::Phase::Queued),
        conversation::Phase::LoadingModel => Some(protocol::Phase::LoadingModel),
        conversation::Phase::Prefill => Some(protocol::Phase::Prefill),
    }
}

/// An event for the host; `None` for those about the beginning, which the handler tells
/// itself, because it alone knows whether a connection is being made.
pub(in crate::daemon) fn event(event: conversation::Event) -> Option<protocol::Event> {
    use conversation::Event;
    Some(match event {
        Event::Started => return None,
        Event::Status { phase, progress } => protocol::Event::Status {
            phase: self::phase(phase)?,
            progress,
            elapsed_ms: None,
        },
        Event::Waiting { phase, elapsed } => protocol::Event::Status {
            phase: match phase {
                Some(phase) => self::phase(phase)?,
                None => protocol::Phase::Waiting,
            },
            progress: None,
            elapsed_ms: Some(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
        },
        Event::TextDelta { text } => protocol::Event::TextDelta { text },
        Event::ReasoningDelta { text } => protocol::Event::ReasoningDelta { text },
        Event::ToolCallStarted { id, name } => protocol::Event::ToolCallStarted { id, name },
        // Opt-in, and no option asks for it yet.
        Event::ToolCallDelta { .. } => return None,
        Event::ToolCallReady { id, name, input } => protocol::Event::ToolCallReady {
            id,
            name,
            input: match input {
                Value::Object(input) => input,
                _ => Map::new(),
            },
        },
        Event::ToolResult {
            id,
            is_error,
            failure,
            preview,
        } => protocol::Event::ToolResult {
            id,
            is_error,
            code: failure.map(failure::call),
            preview,
        },
        Event::Usage(round) => protocol::Event::Usage {
            usage: usage(&round),
        },
        Event::Warning { message } => protocol::Event::Warning { message },
    })
}

/// Tokens of one round.
pub(in crate::daemon) fn usage(usage: &llm::Usage) -> protocol::Usage {
    protocol::Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cache_read_tokens: usage.cache_read_tokens,
        reasoning_tokens: usage.reasoning_tokens,
    }
}

/// What a line holds besides a prompt's result or its partial text and besides its names, at
/// most: the rest of the result or error is short.
const ENVELOPE: usize = 64 * 1024;

/// The result of a prompt that came to an end.
///
/// It fits into one line: if need be without `messages`, and else without content in `message`
/// too, each of which a warning tells.
pub(in crate::daemon) fn result(
    outcome: &Outcome<ssh::Error>,
    request_id: String,
    conversation_id: String,
    asked_model: &str,
    stop_reason: protocol::StopReason,
    raw_finish_reason: Option<String>,
) -> protocol::PromptResult {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let usages = outcome.usage.per_round.iter();
    let mut result = protocol::PromptResult {
        model: outcome
            .model
            .clone()
            .unwrap_or_else(|| asked_model.to_owned()),
        message: protocol::Message {
            role: protocol::Role::Assistant,
            content: Vec::new(),
        },
        messages: Vec::new(),
        stop_reason,
        raw_finish_reason,
        usage: protocol::TotalUsage {
            total: usage(&outcome.usage.total()),
            per_round: usages
                .map(|round| round.as_ref().map(usage).unwrap_or_default())
                .collect(),
        },
        timing: protocol::Timing {
            connect_ms: outcome.timing.connect.map(milliseconds),
            first_token_ms: outcome.timing.first_token.map(milliseconds),
            total_ms: milliseconds(outcome.timing.total),
            tokens_per_second: outcome.timing.tokens_per_second,
        },
        rounds: outcome.rounds,
        tool_calls: outcome.tool_calls,
        warnings: outcome.warnings.clone(),
        request_id,
        conversation_id,
    };
    let room = MAX_MESSAGE_BYTES.saturating_sub(ENVELOPE + json_bytes(&result.request_id));
    let room = room.saturating_sub(json_bytes(&result));
    let answer = outcome.answer();
    // JSON is never shorter than its text: what is too long for sure is not even copied.
    let least = answer.map_or(0, |answer| text_bytes(std::slice::from_ref(answer)));
    if least <= room
        && let Some(message) = answer.map(message::write)
        && json_bytes(&message) <= room
    {
        result.message = message;
    } else if answer.is_some() {
        result.warnings.push(format!(
            "The answer is longer than a message may be ({MAX_MESSAGE_BYTES} bytes) and is not \
             told again: the events had all of it."
        ));
    }
    let room = room.saturating_sub(json_bytes(&result.message));
    if text_bytes(&outcome.messages) <= room {
        result.messages = outcome.messages.iter().map(message::write).collect();
    }
    if json_bytes(&result.messages) > room || result.messages.len() < outcome.messages.len() {
        result.messages.clear();
        result.warnings.push(
            "`messages` is left out: with it, this would be longer than a message may be."
                .to_owned(),
        );
    }
    result
}

/// The text of a prompt that failed, if it fits into one line with the error.
pub(in crate::daemon) fn partial(text: String) -> Option<String> {
    Some(text).filter(|text| json_bytes(text) <= MAX_MESSAGE_BYTES - 2 * ENVELOPE)
}

/// Why the last answer is the last.
pub(in crate::daemon) fn stop_reason(reason: conversation::StopReason) -> protocol::StopReason {
    use conversation::StopReason;
    match reason {
        StopReason::EndTurn => protocol::StopReason::EndTurn,
        StopReason::MaxTokens => protocol::StopReason::MaxTokens,
        StopReason::StopSequence => protocol::StopReason::StopSequence,
        StopReason::ToolUse => protocol::StopReason::ToolUse,
        StopReason::Refusal => protocol::StopReason::Refusal,
        StopReason::Limit => protocol::StopReason::Limit,
    }
}
