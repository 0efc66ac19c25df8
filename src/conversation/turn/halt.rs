//! Why no further call is run and the model is not asked again.

use std::time::Duration;

use crate::conversation::error::Error;
use crate::conversation::guard::{Circle, Setback};
use crate::conversation::outcome::StopReason;
use crate::conversation::tool::CallFailure;
use crate::llm::Carrier;

use super::{Finish, Stop};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Halt {
    Cancelled,
    HostGone,
    /// The answer was cut by the server's content filter: what it calls is not to be trusted.
    Refused,
    Rounds(u32),
    Calls(u32),
    /// All its time, without that in which a person was asked.
    Time(Duration),
    Loop {
        name: String,
        circle: Circle,
    },
    Setback(Setback),
}

impl Halt {
    /// How the prompt ends for this reason.
    pub(super) fn finish<E: Carrier>(self, (_, raw): Finish) -> Result<Finish, Stop<E>> {
        let error = match self {
            Self::Cancelled => return Err(Stop::Cancelled),
            Self::Refused => return Ok((StopReason::Refusal, raw)),
            Self::Rounds(_) | Self::Calls(_) | Self::Time(_) => {
                return Ok((StopReason::Limit, raw));
            }
            Self::HostGone => Error::HostGone,
            Self::Loop { name, circle } => Error::ToolLoop {
                name,
                period: circle.period,
            },
            Self::Setback(Setback::Unfit { rounds }) => Error::UnfitCalls { rounds },
            Self::Setback(Setback::Failed { rounds }) => Error::FailedCalls { rounds },
        };
        Err(Stop::Failed(error))
    }

    /// What a call that is not run for this reason is said to have failed of.
    pub(super) fn failure(&self) -> CallFailure {
        match self {
            Self::Cancelled | Self::HostGone | Self::Refused => CallFailure::Cancelled,
            Self::Rounds(_) | Self::Calls(_) | Self::Time(_) | Self::Setback(_) => {
                CallFailure::Limit
            }
            Self::Loop { .. } => CallFailure::Loop,
        }
    }
}

/// What a call that was not run is answered with.
impl std::fmt::Display for Halt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not run: ")?;
        match self {
            Self::Cancelled => f.write_str("the prompt was cancelled"),
            Self::HostGone => f.write_str("the connection to the user was lost"),
            Self::Refused => f.write_str("the answer was cut off by a content filter"),
            Self::Rounds(max) => write!(f, "the prompt reached its limit of {max} rounds"),
            Self::Calls(max) => write!(f, "the prompt reached its limit of {max} tool calls"),
            Self::Time(limit) => {
                let seconds = limit.as_secs_f64();
                write!(f, "the prompt reached its limit of {seconds} s of work")
            }
            Self::Loop {
                name,
                circle: Circle { period: 1 },
            } => write!(
                f,
                "`{name}` was called four times in a row with the same arguments"
            ),
            Self::Loop {
                circle: Circle { period },
                ..
            } => write!(f, "the same {period} calls were made for the fourth time"),
            Self::Setback(_) => f.write_str("nothing that was called worked"),
        }
    }
}
