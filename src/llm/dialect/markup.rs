//! Tool calls that a model wrote as text, and the server did not recognise. They are never run:
//! text may quote what somebody else wrote.

/// What calls begin with in the formats of the common models.
const MARKS: &[&str] = &[
    "<tool_call>",
    "[TOOL_CALLS]",
    "<function=",
    "<|tool_call|>",
    "<|python_tag|>",
    "<|tool_calls_section_begin|>",
    "<｜tool▁calls▁begin｜>",
];

pub(super) const WARNING: &str = "the model wrote a tool call as text, which is not run: the \
     server lacks the tool parser of this model (vLLM, SGLang: --tool-call-parser; llama.cpp: \
     --jinja)";

pub(super) fn is_in(text: &str) -> bool {
    MARKS.iter().any(|mark| text.contains(mark))
}
