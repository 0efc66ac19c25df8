//! Whether a request that failed is sent again. Knows no clock and does no I/O.
//!
//! Servers have no way to recognise a request that they already had, so what decides is how far
//! it came: what the server may be doing about it, and what our caller has seen of the answer.
//!
//! | | the failure | sent again |
//! |---|---|---|
//! | A | nothing of it was written, for a reason that may pass | 3 times, with a backoff |
//! | B | the connection died before the head of an answer | once, if the profile allows it |
//! | B′ | a clock ran out, and the server was there | never: it is likely at work |
//! | C | 429, 503, 529 | until the time or the patience is over |
//! | | 408, 502, 504: who stands in between did not reach the server | the same |
//! | | 500, 409 | once |
//! | | any other refusal | never |
//! | D | the answer broke off, and nothing of it had been told | once |
//! | | of these, an event stream that ended properly and had no event in it | once, in one piece |
//! | E | the same after anything of it was told | never |
//!
//! All of them together happen at most [`Retries::max`] times, before the deadline, and within the
//! server's [`Budget`].

use std::time::Duration;

use super::{
    carrier::Carrier,
    error::{Clock, Error},
    options::Retries,
    refusal::RefusalKind,
};

mod budget;
#[cfg(test)]
mod tests;

pub(super) use self::budget::Budget;

/// A server that wants to be left alone for longer is left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// First backoff after a request that nobody got; nearly always the way is at fault.
const UNSENT_BACKOFF: Duration = Duration::from_millis(250);

/// First backoff after a refusal without a `Retry-After`.
const REFUSED_BACKOFF: Duration = Duration::from_secs(1);

/// Each backoff is twice the one before, up to this.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// What went wrong, as far as the rules care. The letters are those of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// A.
    Unsent { transient: bool },
    /// B.
    NoHead,
    /// B′.
    Silence,
    /// C, with the server's `Retry-After`.
    Status { code: u16, wait: Option<Duration> },
    /// D.
    NoOutput,
    /// E.
    Cut,
    /// Whoever answered has answered, and would do so again.
    Final,
}

/// How far a request came before its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    Nothing,
    /// The carrier took at least a byte of it.
    Written,
    /// The head of an answer came.
    Head,
    /// Something of the answer was told.
    Output,
}

/// What is counted apart. A rule for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unsent,
    NoHead,
    Busy,
    Gateway,
    Failing,
    Conflict,
    NoOutput,
}

/// Everything that bears on the decision besides the failure itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) retries: Retries,
    /// What this request has been sent again for so far.
    pub(super) made: &'a [Kind],
    /// Until an answer has to have begun; for a request that was not sent, until it has to be.
    pub(super) time_left: Duration,
    /// The server's budget has room.
    pub(super) within_budget: bool,
    /// From 0 to 1; spreads those that failed together.
    pub(super) jitter: f64,
}

/// The request is to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Again {
    pub(super) kind: Kind,
    pub(super) delay: Duration,
}

/// Whether to send a request again, and when; `None` is to give up.
pub(super) fn decide(failure: Failure, situation: &Situation<'_>) -> Option<Again> {
    let Situation {
        retries,
        made,
        time_left,
        within_budget,
        jitter,
    } = *situation;
    let (kind, limit) = match failure {
        Failure::Unsent { transient: true } => (Kind::Unsent, 3),
        Failure::NoHead if retries.ambiguous => (Kind::NoHead, 1),
        Failure::Status { code, .. } => match code {
            429 | 503 | 529 => (Kind::Busy, usize::MAX),
            408 | 502 | 504 => (Kind::Gateway, usize::MAX),
            500 => (Kind::Failing, 1),
            409 => (Kind::Conflict, 1),
            _ => return None,
        },
        Failure::NoOutput => (Kind::NoOutput, 1),
        Failure::Unsent { transient: false }
        | Failure::NoHead
        | Failure::Silence
        | Failure::Cut
        | Failure::Final => return None,
    };
    let made_of_kind = made.iter().filter(|made| **made == kind).count();
    if made_of_kind >= limit || made.len() >= retries.max as usize || !within_budget {
        return None;
    }
    let delay = match failure {
        Failure::Status {
            wait: Some(wait), ..
        } => wait,
        Failure::Status { .. } => backoff(REFUSED_BACKOFF, made_of_kind, jitter),
        Failure::Unsent { .. } => backoff(UNSENT_BACKOFF, made_of_kind, jitter),
        // A connection was lost. Whether there is another one is found out by opening it.
        _ => Duration::ZERO,
    };
    (delay <= LONGEST_WAIT && delay < time_left).then_some(Again { kind, delay })
}

/// Doubles with each time that it was waited for, and strays by a fifth.
fn backoff(first: Duration, times: usize, jitter: f64) -> Duration {
    let doubled = u32::try_from(times)
        .ok()
        .and_then(|times| first.checked_mul(2_u32.checked_pow(times)?));
    doubled
        .map_or(LONGEST_BACKOFF, |doubled| doubled.min(LONGEST_BACKOFF))
        .mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

impl Failure {
    /// What an error means after a request came so far.
    pub(super) fn of<E: Carrier>(error: &Error<E>, reached: Reached) -> Self {
        let unsent = || Self::Unsent {
            transient: error.is_transient(),
        };
        match error {
            _ if reached == Reached::Output => Self::Cut,
            Error::Open(_) => unsent(),
            Error::NoReply { .. } if reached == Reached::Nothing => unsent(),
            Error::NoReply { .. } => Self::NoHead,
            Error::Timeout {
                clock: Clock::Connect,
                ..
            } if reached == Reached::Nothing => unsent(),
            Error::Timeout { .. } => Self::Silence,
            Error::Refused(refusal) => match (refusal.status, refusal.kind) {
                (
                    Some(code),
                    RefusalKind::RateLimited | RefusalKind::Unavailable | RefusalKind::Other,
                ) => Self::Status {
                    code,
                    wait: refusal.retry_after,
                },
                // Whatever its number, its text says what is wrong with the request; a model that
                // is loading has been waited for.
                (
                    _,
                    RefusalKind::Loading
                    | RefusalKind::Auth
                    | RefusalKind::HostHeader
                    | RefusalKind::NeedsTls
                    | RefusalKind::WrongPath
                    | RefusalKind::InvalidModel
                    | RefusalKind::ContextOverflow { .. }
                    | RefusalKind::ToolsUnsupported { .. }
                    | RefusalKind::ImagesUnsupported,
                )
                // It was said within an answer.
                | (None, _) => Self::Final,
            },
            Error::Interrupted { .. } => Self::NoOutput,
            Error::Header(_)
            | Error::Tls(_)
            | Error::NotHttp { .. }
            | Error::UnexpectedContent { .. }
            | Error::Redirected { .. }
            | Error::TooLong { .. }
            | Error::CannotContinue { .. }
            | Error::Protocol(_) => Self::Final,
        }
    }
}
