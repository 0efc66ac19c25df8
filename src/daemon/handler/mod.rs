//! What each method does, one file a subject. Handlers translate and compose; the work is
//! done in the domain rooms.

pub(super) mod config;
pub(super) mod connection;
pub(super) mod history;
pub(super) mod lifecycle;
pub(super) mod model;
pub(super) mod preset;
pub(super) mod prompt;
pub(super) mod ssh_config;
pub(super) mod test;
pub(super) mod vault;

use std::future::Future;

use tokio_util::sync::CancellationToken;

use crate::protocol::ErrorObject;

use super::failure;

/// Runs `work` until the request is cancelled; dropping it then undoes what it began.
fn cancellable<T>(
    token: &CancellationToken,
    work: impl Future<Output = Result<T, ErrorObject>>,
) -> impl Future<Output = Result<T, ErrorObject>> {
    // Or every prompt would hold the room for it all the time, and twice.
    let work = Box::pin(work);
    async {
        tokio::select! {
            result = work => result,
            () = token.cancelled() => Err(failure::cancelled(None)),
        }
    }
}
