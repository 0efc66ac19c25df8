//! Whether a prompt fits in the model's context, found out before it is sent.
//!
//! Nearly every prompt has fewer bytes than the context has tokens, and a token has at least one
//! byte: such a prompt is not looked at any further. One that could be too large is counted, by
//! the server's own tokenizer where discovery found one that has it ([`tokenizer`]); what was
//! counted once is not counted again ([`Ledger`]). Elsewhere there is an [`estimate`], which is
//! good for a warning and no more. What Ollama makes of a prompt is apart, since there the context
//! is ours to choose.

pub(super) mod estimate;
mod ledger;
mod tokenizer;

use std::fmt;

use super::{carrier::Carrier, discovery::Inquiry, message::ChatRequest};

use self::{ledger::Known, tokenizer::Counted};
pub(super) use self::{
    ledger::{Ledger, TYPED},
    tokenizer::{PATIENCE, Question},
};

/// The largest prompt that is sent to be counted, in bytes; a larger one would take too much of the
/// uplink, before it is sent once more.
const MAX_COUNTED: u64 = 2 * 1024 * 1024;

/// How many tokens of context there will be, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) tokens: u64,
    pub(super) source: &'static str,
}

/// How many tokens a prompt has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Exactly(u64),
    About(u64),
}

/// What becomes of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Fits,
    /// It is sent all the same: whether the server takes it is not certain.
    Warning(String),
    /// The server would refuse it, or cut it.
    TooLong {
        needed: u64,
        available: u64,
    },
}

/// Why there is trouble ahead; the beginning of a sentence.
pub(super) struct Excess<'a> {
    pub(super) count: Count,
    pub(super) model: &'a str,
    pub(super) window: Window,
}

/// Judges a prompt that goes to a server other than Ollama. Whatever the server does not say, or
/// not in time, is left open.
pub(super) async fn judge<E: Carrier>(
    inquiry: &Inquiry<'_, E>,
    request: &ChatRequest,
    question: impl FnOnce() -> Option<Question>,
) -> Verdict {
    let ledger = || inquiry.server().ledger();
    let Some(mut window) = ledger().window(&request.model) else {
        return Verdict::Fits;
    };
    let bytes = estimate::at_most(request);
    if bytes <= window.tokens {
        return Verdict::Fits;
    }
    // No tokenizer tells what an image comes to.
    let cannot = estimate::has_images(request) || ledger().lacks_tokenizer();
    let question = match cannot || bytes > MAX_COUNTED {
        true => None,
        false => question(),
    };
    let mut counted = None;
    if let Some(question) = &question {
        let known = ledger().known(question);
        counted = match known {
            Some(Known { tokens, rest: 0 }) => Some(tokens),
            Some(Known { tokens, rest }) if tokens.saturating_add(rest) <= window.tokens => {
                return Verdict::Fits;
            }
            Some(_) | None => match tokenizer::count(inquiry, question).await {
                Some(Counted { tokens, window }) => {
                    ledger().note(question, tokens);
                    if let Some(window) = window {
                        ledger().put(&request.model, window);
                    }
                    Some(tokens)
                }
                None => None,
            },
        };
    }
    let (Some(tokens), Some(question)) = (counted, &question) else {
        let count = estimate::tokens(request);
        return match count > window.tokens && is_news(request, window.tokens) {
            true => Verdict::Warning(may_be_cut(Count::About(count), request, window)),
            false => Verdict::Fits,
        };
    };
    // What was typed in stays what it is; what the server said may have changed since.
    window = ledger().window(&request.model).unwrap_or(window);
    let own = match tokens >= window.tokens {
        true => tokenizer::window(inquiry, question).await,
        false => None,
    };
    if let Some(own) = own {
        ledger().put(&request.model, own);
        window = ledger().window(&request.model).unwrap_or(own);
    }
    if tokens >= own.unwrap_or(window).tokens {
        return Verdict::TooLong {
            needed: tokens,
            available: own.unwrap_or(window).tokens,
        };
    }
    if tokens >= window.tokens {
        return Verdict::Warning(may_be_cut(Count::Exactly(tokens), request, window));
    }
    let room = window.tokens - tokens;
    match request.sampling.max_output_tokens {
        Some(wanted) if wanted > room && !request.goes_on() => Verdict::Warning(format!(
            "The prompt has {tokens} of the {} tokens that fit in the context of {}: there is room \
             for an answer of {room}, not of {wanted}.",
            window.tokens, request.model
        )),
        _ => Verdict::Fits,
    }
}

fn may_be_cut(count: Count, request: &ChatRequest, window: Window) -> String {
    let excess = Excess {
        count,
        model: &request.model,
        window,
    };
    format!(
        "{excess}: the server may refuse it, or leave out a part of it without saying so. Shorten \
         the conversation, begin a new one, or load the model with more."
    )
}

/// Whether it is this request that outgrows a window of so many tokens, or the first of a prompt.
pub(super) fn is_news(request: &ChatRequest, window: u64) -> bool {
    !request.goes_on() || estimate::tokens_without_last(request, 2) <= window
}

impl fmt::Display for Excess<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count,
            model,
            window: Window { tokens, source },
        } = self;
        write!(
            f,
            "The prompt has {count} tokens, but {model} has a context of {tokens} ({source})"
        )
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(tokens) => write!(f, "{tokens}"),
            Self::About(tokens) => write!(f, "about {tokens}"),
        }
    }
}
