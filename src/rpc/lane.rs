//! A way to the host for one stream among many.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;

use super::error::NotSent;
use super::message;
use super::outbound::Outbound;

/// Who has much to say, one notification after the other.
///
/// What waits stays with its source, who may merge it: it is asked for the next message when the
/// host is ready for that. The sources that have something take turns, so that one with very
/// much to say does not keep the others waiting behind all of it.
pub trait Source: Send + Sync + 'static {
    /// Takes the next message and writes it to `to`; tells whether there is another. Must not
    /// wait for anything.
    fn next(&self, to: &mut Notifier<'_>) -> bool;
}

/// What a source's messages are written to.
#[derive(Debug)]
pub struct Notifier<'a> {
    lines: &'a mut Vec<u8>,
    message_bytes: usize,
}

/// A source's place among the others.
#[derive(Debug)]
pub struct Lane {
    outbound: Outbound,
    member: Arc<Member>,
}

/// The sources that have something to say, in the order of their turns.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    waiting: Mutex<VecDeque<Arc<Member>>>,
    arrived: Notify,
}

struct Member {
    source: Arc<dyn Source>,
    /// It is in the row.
    waits: AtomicBool,
}

impl<'a> Notifier<'a> {
    /// Appends lines to `lines`, each at most so many bytes long.
    pub fn new(lines: &'a mut Vec<u8>, message_bytes: usize) -> Self {
        Self {
            lines,
            message_bytes,
        }
    }

    /// Writes a notification.
    ///
    /// # Errors
    /// See [`NotSent`]; it is never `Closed`.
    pub fn notify(&mut self, method: &'static str, params: &impl Serialize) -> Result<(), NotSent> {
        message::notification_line(self.lines, method, params, self.message_bytes)
    }
}

impl Lane {
    pub(super) fn new(outbound: Outbound, source: Arc<dyn Source>) -> Self {
        let waits = AtomicBool::new(false);
        Self {
            outbound,
            member: Arc::new(Member { source, waits }),
        }
    }

    /// The source has something to say. It is asked in its turn, until it has nothing more.
    ///
    /// # Errors
    /// [`NotSent::Closed`] when the host is gone, and the source will not be asked.
    pub fn ready(&self) -> Result<(), NotSent> {
        if self.outbound.gone_token().is_cancelled() {
            return Err(NotSent::Closed);
        }
        self.outbound.lanes().join(&self.member);
        Ok(())
    }

    /// Completes when the host can no longer be written to.
    pub async fn gone(&self) {
        self.outbound.gone().await;
    }
}

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Member>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, member: &Arc<Member>) {
        if !member.waits.swap(true, Ordering::AcqRel) {
            self.lock().push_back(Arc::clone(member));
            self.arrived.notify_one();
        }
    }

    /// Waits until a source has something to say.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn arrived(&self) {
        loop {
            let arrived = self.arrived.notified();
            if self.len() > 0 {
                return;
            }
            arrived.await;
        }
    }

    /// How many sources have something to say.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Has the source whose turn it is write its next message; `false`: there is none.
    pub(super) fn take(&self, to: &mut Notifier<'_>) -> bool {
        let Some(member) = self.lock().pop_front() else {
            return false;
        };
        // Before it is asked: what comes from now on may be too late for this turn.
        member.waits.store(false, Ordering::Release);
        if member.source.next(to) {
            self.join(&member);
        }
        true
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("waits", &self.waits)
            .finish_non_exhaustive()
    }
}
