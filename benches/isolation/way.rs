//! The ways to the model that are compared, and what goes on beside the measured stream on each.

use std::fmt;
use std::sync::Arc;

use crate::gaps::Arrivals;

/// What goes on beside the measured stream, on the same connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    Nothing,
    /// An answer that comes as fast as it can and that nobody reads.
    Unread,
    /// The same, and read.
    Flood,
    /// Questions of 105 MB in all, over an uplink of 20 Mbit/s.
    Upload,
    /// A channel to where nobody answers.
    Hang,
}

impl Disturbance {
    /// Whether it is heard of at the model.
    pub(crate) fn moves(self) -> bool {
        match self {
            Self::Unread | Self::Flood | Self::Upload => true,
            Self::Nothing | Self::Hang => false,
        }
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Nothing => "undisturbed",
            Self::Unread => "an unread flood",
            Self::Flood => "a flood",
            Self::Upload => "105 MB up",
            Self::Hang => "a hanging open",
        })
    }
}

/// One of so many questions that go up at the same time: a line of the host's is at most 16 MiB.
pub(crate) const UPLOADS: usize = 7;
pub(crate) const UPLOAD: usize = 15_000_000;

/// Ends what it stands for when it is dropped.
pub(crate) type Guard = Box<dyn Send>;

/// A connection that the measured stream shares with the disturbance.
pub(crate) trait Way {
    fn name(&self) -> &'static str;

    /// Whether there can be this on this way.
    fn can(&self, disturbance: Disturbance) -> bool;

    /// Starts the stream that is measured.
    async fn talk(&self, arrivals: Arrivals) -> Guard;

    async fn disturb(&self, disturbance: Disturbance) -> Guard;
}

/// Aborts a task when it is dropped.
pub(crate) struct Task(pub(crate) tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn long_question(kind: &str) -> Arc<str> {
    let words = "the same words over and over again, which nobody will ever read; ";
    let mut text = format!("{kind} {}", words.repeat(UPLOAD / words.len()));
    text.truncate(UPLOAD);
    text.into()
}
