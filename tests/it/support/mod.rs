//! The real daemon as a child, and the two servers it talks to.

pub(crate) mod bed;
pub(crate) mod canary;
pub(crate) mod daemon;
pub(crate) mod fault_proxy;
pub(crate) mod journal;
pub(crate) mod llm_server;
pub(crate) mod peer;
pub(crate) mod port;
pub(crate) mod processes;
pub(crate) mod random;
pub(crate) mod row;
pub(crate) mod ssh_server;

/// Tells a figure to whoever runs the test with `--nocapture`.
#[expect(clippy::print_stderr, reason = "of this test's, not of the daemon's")]
pub(crate) fn measured(figure: &str) {
    eprintln!("measured: {figure}");
}
