//! The two numbers of a context overflow, from fields or from prose.

use super::shape::Said;

/// What stands before the tokens that the prompt needs, in lower case.
const NEEDED: &[&str] = &[
    "prompt contains at least ",
    "prompt contains ",
    "resulted in ",
    "request (",
    "requested tokens (",
    "requested a total of ",
    "requested about ",
    "you requested ",
    "you passed ",
    "given: ",
    "input length (",
    "the input (",
    "prompt (length ",
    "prompt length (",
    "prompt length ",
    "`splited_prompt_len` (",
    "keep the first ",
    "n_keep: ",
    "prompt is too long: ",
    "input token count (",
    "context limit: ",
    "'n_prompt_tokens': ",
];

/// What stands before the tokens that there are.
const AVAILABLE: &[&str] = &[
    "maximum context length is ",
    "maximum context length of ",
    "context size (",
    "context window of ",
    "context length is only ",
    "context length of only ",
    "context length of ",
    "context length (",
    "must be <= ",
    "must have less than ",
    "maximum allowed length (",
    "maximum model length of ",
    "max_seq_len ",
    "max_seq_len (",
    "max_num_tokens (",
    "n_ctx: ",
    "'n_ctx': ",
    "tokens allowed (",
    "for model with ",
    "tokens > ",
    " > ",
];

/// (tokens the prompt needs, tokens there are)
pub(super) fn of_overflow(said: &Said) -> (Option<u64>, Option<u64>) {
    let text = said.message.to_lowercase();
    let first = |phrases: &[&str]| {
        phrases
            .iter()
            .find_map(|phrase| number_after(&text, phrase))
    };
    let available = said.context.or_else(|| first(AVAILABLE));
    let needed = said.prompt_tokens.or_else(|| first(NEEDED));
    // Of a prompt that would fit, the length is not what is wrong.
    let fits = |needed: &u64| available.is_some_and(|available| *needed < available);
    (needed.filter(|needed| !fits(needed)), available)
}

fn number_after(text: &str, phrase: &str) -> Option<u64> {
    text.split(phrase).skip(1).find_map(|rest| {
        let digits: String = rest
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == ',')
            .filter(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    })
}
