//! Judged against the real `ssh` on the same files.

#[cfg(unix)]
mod corpus;
#[cfg(unix)]
mod generated;
mod hostile;
#[cfg(unix)]
mod oracle;
#[cfg(unix)]
mod ways;
