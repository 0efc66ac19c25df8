//! Those who wait for a connection.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::ssh::error::Error;
use crate::ssh::observe::Observer;
use crate::ssh::prompt::Prompter;
use crate::ssh::session::Session;
use crate::ssh::target::Target;

/// Somebody wants the connection.
pub(super) struct Demand {
    pub(super) target: Target,
    pub(super) prompter: Arc<dyn Prompter>,
    /// Is told of the steps too; the hop behind this one wants to know them.
    pub(super) observer: Option<Arc<dyn Observer>>,
    /// How long a lost connection is waited for.
    pub(super) until: Instant,
    /// Closed by those who give up.
    pub(super) reply: oneshot::Sender<Result<Session, Error>>,
}

/// Those who wait, in the order of their coming.
#[derive(Default)]
pub(super) struct Demands(Vec<Demand>);

impl Demands {
    pub(super) fn push(&mut self, demand: Demand) {
        self.0.push(demand);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one to ask a person through.
    pub(super) fn first(&self) -> Option<&Demand> {
        self.0.first()
    }

    /// Gives all of them the connection.
    pub(super) fn serve(&mut self, session: &Session) {
        for demand in self.0.drain(..) {
            session.touch();
            // Who has given up in this moment has no use for it.
            let _ = demand.reply.send(Ok(session.clone()));
        }
    }

    /// Tells all of them why there is none.
    pub(super) fn refuse(&mut self, error: &Error) {
        for demand in self.0.drain(..) {
            let _ = demand.reply.send(Err(error.clone()));
        }
    }

    /// Tells those who have waited for long enough.
    pub(super) fn expire(&mut self, now: Instant, error: &Error) {
        let (over, waiting) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|demand| demand.until <= now);
        self.0 = over;
        self.refuse(error);
        self.0 = waiting;
    }

    /// When the first of them will have waited for long enough.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.0.iter().map(|demand| demand.until).min()
    }

    /// Returns when the last of them has given up. Nobody can give up when there is nobody.
    pub(super) async fn abandoned(&mut self) {
        poll_fn(|cx| {
            if self.0.is_empty() {
                return Poll::Pending;
            }
            self.0
                .retain_mut(|demand| demand.reply.poll_closed(cx).is_pending());
            if self.0.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
