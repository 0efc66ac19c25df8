//! How much of an answer is taken in. A server that sends more has gone wrong, or means harm: its
//! answer ends with an error that keeps what came before, and its connection is closed.

/// In bytes, but for the depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// A line of a stream, without its end. 1 MiB: servers that stream send a line for a few
    /// tokens, and even a tool call in one line is shorter.
    pub(crate) line: usize,
    /// The data of an event, all of its lines. 4 MiB.
    pub(crate) event: usize,
    /// The body of an answer in one piece. 32 MiB.
    pub(crate) body: usize,
    /// A streamed answer on the wire. 256 MiB: each token comes in a frame of JSON some hundred
    /// times its size, and a long answer is no fault.
    pub(crate) stream: usize,
    /// Arrays and objects within each other, wherever a server sends JSON. 64.
    pub(crate) depth: usize,
}

impl Limits {
    pub(crate) const DEFAULT: Self = Self {
        line: 1024 * 1024,
        event: 4 * 1024 * 1024,
        body: 32 * 1024 * 1024,
        stream: 256 * 1024 * 1024,
        depth: 64,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// One of the [`Limits`] was passed; each tells how many bytes it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooLarge {
    #[error("a line of the answer is longer than {0} bytes")]
    Line(usize),
    #[error("an event of the answer is longer than {0} bytes")]
    Event(usize),
    #[error("the answer is longer than {0} bytes")]
    Body(usize),
}
