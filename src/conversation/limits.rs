//! Bounds of one prompt.

use std::time::Duration;

/// Bounds of one prompt. Whatever is asked for, none is above [`Limits::HIGHEST`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Requests to the model; at least one is made.
    pub max_rounds: u32,
    /// Calls answered by a tool or by an error, in all rounds together.
    pub max_tool_calls: u32,
    /// For all of it together, apart from the time in which a person is asked to allow calls. It is
    /// looked at when the model has called tools: no answer is cut short by it.
    pub prompt_time: Duration,
    /// For one call of a tool that has no time of its own; the time in which a person is asked to allow it does not count.
    pub tool_timeout: Duration,
    /// Text of one result, in bytes, that reaches the model.
    pub tool_output_bytes: usize,
    /// How many read-only tools run at once; at least one does.
    pub parallel_tools: usize,
}

impl Limits {
    /// The most that a prompt can have.
    pub const HIGHEST: Self = Self {
        max_rounds: 500,
        max_tool_calls: 2000,
        prompt_time: Duration::from_secs(24 * 60 * 60),
        tool_timeout: Duration::from_secs(30 * 60),
        tool_output_bytes: 1024 * 1024,
        parallel_tools: 4,
    };

    /// Text of the results of one round, in bytes, that reaches the model.
    pub(super) const ROUND_OUTPUT_BYTES: usize = 1024 * 1024;

    pub(super) fn bounded(self) -> Self {
        let highest = Self::HIGHEST;
        Self {
            max_rounds: self.max_rounds.clamp(1, highest.max_rounds),
            max_tool_calls: self.max_tool_calls.min(highest.max_tool_calls),
            prompt_time: self.prompt_time.min(highest.prompt_time),
            tool_timeout: self.tool_timeout.min(highest.tool_timeout),
            tool_output_bytes: self.tool_output_bytes.min(highest.tool_output_bytes),
            parallel_tools: self.parallel_tools.clamp(1, highest.parallel_tools),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_rounds: 50,
            max_tool_calls: 200,
            prompt_time: Duration::from_secs(30 * 60),
            tool_timeout: Duration::from_secs(120),
            tool_output_bytes: 256 * 1024,
            parallel_tools: 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_prompt_has_more_than_the_highest_limits() {
        let boundless = Limits {
            max_rounds: u32::MAX,
            max_tool_calls: u32::MAX,
            prompt_time: Duration::MAX,
            tool_timeout: Duration::MAX,
            tool_output_bytes: usize::MAX,
            parallel_tools: usize::MAX,
        };
        assert_eq!(boundless.bounded(), Limits::HIGHEST);
        assert_eq!(Limits::default().bounded(), Limits::default());
    }
}
