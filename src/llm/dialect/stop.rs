//! The words that servers have for why a model stopped.

use crate::llm::event::StopReason;

/// The answer is as long as it may be, or fills the context.
const LIMIT: &[&str] = &[
    "length",
    "max_tokens",
    "max_length",
    "max_output_tokens",
    "model_length",
];

/// Somebody stopped the model from answering.
const REFUSAL: &[&str] = &[
    "content_filter",
    "content_filtered",
    "refusal",
    "safety",
    "recitation",
    "prohibited_content",
    "blocklist",
    "guardrail_intervened",
];

/// The answer was given up.
const FAILURE: &[&str] = &[
    "error",
    "abort",
    "cancelled",
    "insufficient_system_resource",
    "network_error",
];

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|other| word.eq_ignore_ascii_case(other))
}

pub(super) fn is_limit(word: &str) -> bool {
    is_one_of(word, LIMIT)
}

pub(super) fn is_failure(word: &str) -> bool {
    is_one_of(word, FAILURE)
}

/// What a word means for an answer without calls. `matched`: it ended at a stop sequence of the
/// request.
pub(super) fn reason(word: &str, matched: bool) -> StopReason {
    match word {
        _ if is_limit(word) => StopReason::MaxTokens,
        _ if is_one_of(word, REFUSAL) => StopReason::Refusal,
        "stop_sequence" => StopReason::StopSequence,
        "stop" if matched => StopReason::StopSequence,
        _ => StopReason::EndTurn,
    }
}
