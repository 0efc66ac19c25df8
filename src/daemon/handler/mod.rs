//! What each method does, one file a subject. Handlers translate and compose; the work is
//! done in the domain rooms.

pub(super) mod config;
pub(super) mod connection;
pub(super) mod history;
pub(super) mod lifecycle;
pub(super) mod model;
pub(super) mod prompt;
pub(super) mod test;
