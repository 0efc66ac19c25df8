//! What can be wrong with a network, as values.

use std::time::Duration;

/// One of the two directions of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// How one way is. By default nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fault {
    /// How long every byte, and the end, takes.
    pub(crate) delay: Duration,
    /// At most this much is added to the delay; nothing overtakes what came before it.
    pub(crate) jitter: Duration,
    /// Makes the jitter the same every time.
    pub(crate) seed: u64,
    /// Bytes a second.
    pub(crate) rate: Option<u64>,
    /// Takes what it has room for and delivers nothing, not even the end, until it is cleared.
    pub(crate) stalled: bool,
    /// Takes everything, delivers nothing, and never tells the end: one half of a half-open
    /// connection. A connection on which it happened stays so.
    pub(crate) dead: bool,
    pub(crate) cut: Option<Cut>,
    /// How many bytes wait here at most. With a delay, this bounds the rate as well.
    pub(crate) buffer: usize,
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            seed: 0,
            rate: None,
            stalled: false,
            dead: false,
            cut: None,
            buffer: 256 * 1024,
        }
    }
}

impl Fault {
    pub(crate) fn stall() -> Self {
        Self {
            stalled: true,
            ..Self::default()
        }
    }

    pub(crate) fn dead() -> Self {
        Self {
            dead: true,
            ..Self::default()
        }
    }

    /// At most so many bytes a second.
    pub(crate) fn rate(bytes: u64) -> Self {
        Self {
            rate: Some(bytes),
            // As much as a home router keeps: a tenth of a second.
            buffer: usize::try_from(bytes / 10)
                .unwrap_or(usize::MAX)
                .max(16 * 1024),
            ..Self::default()
        }
    }

    pub(crate) fn cut(cut: Cut) -> Self {
        Self {
            cut: Some(cut),
            ..Self::default()
        }
    }
}

/// Ends a connection, both ways, when exactly so many bytes of it have been delivered on this way;
/// one that has carried more already goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Counted on each connection from its beginning.
    pub(crate) after: u64,
    pub(crate) end: End,
    /// The first connection to get there is the only one.
    pub(crate) once: bool,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// RST to both sides. What a side has not yet taken from its kernel's send buffer is lost.
    Reset,
    /// FIN to both sides.
    Close,
}

/// What happens to a new connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Admission {
    #[default]
    Open,
    /// As if nothing listened.
    Refused,
    /// It is accepted, and that is all that ever happens on it.
    Silent,
}
