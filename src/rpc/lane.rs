//! A way to the host for one stream among many.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::NotSent;
use super::outbound::Outbound;

/// Messages of one lane that may be in the queue: one that is being written, and the next.
const IN_QUEUE: usize = 2;

/// A way to the host that takes its turn: only few of its messages are in the queue at a time,
/// so that a stream with very much to say does not keep the others waiting behind all of it.
/// What it has to say meanwhile waits with its sender, who may merge it.
#[derive(Debug)]
pub struct Lane {
    outbound: Outbound,
    turns: Arc<Semaphore>,
}

/// The right to send one message.
#[derive(Debug)]
pub struct Turn<'a> {
    outbound: &'a Outbound,
    turn: OwnedSemaphorePermit,
}

impl Lane {
    pub(super) fn new(outbound: Outbound) -> Self {
        Self {
            outbound,
            turns: Arc::new(Semaphore::new(IN_QUEUE)),
        }
    }

    /// Waits until almost all that was sent on this lane is written.
    ///
    /// # Errors
    /// [`NotSent::Closed`] when the host is gone.
    ///
    /// # Cancel safety
    /// Dropping the future, or the turn, loses nothing.
    pub async fn turn(&self) -> Result<Turn<'_>, NotSent> {
        let turn = tokio::select! {
            turn = Arc::clone(&self.turns).acquire_owned() => turn.map_err(|_| NotSent::Closed)?,
            () = self.outbound.gone() => return Err(NotSent::Closed),
        };
        Ok(Turn {
            outbound: &self.outbound,
            turn,
        })
    }
}

impl Turn<'_> {
    /// As [`Outbound::notify`].
    ///
    /// # Errors
    /// See [`NotSent`].
    pub async fn notify(
        self,
        method: &'static str,
        params: &(impl Serialize + ?Sized),
    ) -> Result<(), NotSent> {
        let Self { outbound, turn } = self;
        outbound.notify_in_turn(method, params, Some(turn)).await
    }
}
