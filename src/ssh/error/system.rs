//! What an error says about the system's `ssh`.

/// What kind of failure the system's `ssh` told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemProblem {
    Resolve,
    Unreachable,
    TimedOut,
    HostKeyUnknown,
    HostKeyChanged,
    HostKeyRevoked,
    SignIn,
    /// A jump host may not forward.
    Forwarding,
    /// ssh_config can't be used.
    Config,
    Disconnected,
    Other,
}

impl SystemProblem {
    pub(super) fn is_transient(self) -> bool {
        match self {
            Self::Resolve | Self::Unreachable | Self::TimedOut | Self::Disconnected => true,
            Self::HostKeyUnknown
            | Self::HostKeyChanged
            | Self::HostKeyRevoked
            | Self::SignIn
            | Self::Forwarding
            | Self::Config
            | Self::Other => false,
        }
    }
}
