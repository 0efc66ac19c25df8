//! The state of one SSH connection that its tasks share.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backlog::Backlog;
use super::channel_io::Budget;
use super::confided::Confided;
use super::error::{Cause, Error, HostKeyInfo, Place};
use super::openings::Openings;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) place: Arc<Place>,
    /// The connection is gone: nobody may wait for it any more.
    pub(super) dead: CancellationToken,
    /// Ends the connection at once, without a word to the server.
    pub(super) cut: CancellationToken,
    /// Ends the connection in good order.
    pub(super) closing: CancellationToken,
    /// The last bytes have left, or never will.
    pub(super) over: CancellationToken,
    /// The tasks of its channels.
    pub(super) tasks: TaskTracker,
    pub(super) budget: Arc<Budget>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) activity: watch::Sender<Activity>,
    pub(super) host_key: OnceLock<HostKeyInfo>,
    /// What the server said last about a channel that it did not open.
    pub(super) refusal: watch::Sender<String>,
    /// How long channels take to open.
    pub(super) openings: Mutex<Openings>,
    /// Rung when they take too long.
    pub(super) saturated: Notify,
    pub(super) begun: Instant,
    /// How many channels were closed from this side. russh keeps about 3 KiB for
    /// each of them until the connection ends.
    pub(super) closed_here: AtomicUsize,
    /// What the server must not be heard to repeat.
    pub(super) confided: Confided,
    ended: OnceLock<Cause>,
    banner: Mutex<String>,
}

/// How much the connection is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Activity {
    pub(super) streams: usize,
    pub(super) last: Instant,
}

impl Link {
    pub(super) fn new(place: Arc<Place>, budget: Arc<Budget>) -> Arc<Self> {
        let begun = Instant::now();
        Arc::new(Self {
            place,
            dead: CancellationToken::new(),
            cut: CancellationToken::new(),
            closing: CancellationToken::new(),
            over: CancellationToken::new(),
            tasks: TaskTracker::new(),
            budget,
            backlog: Arc::default(),
            activity: watch::Sender::new(Activity {
                streams: 0,
                last: begun,
            }),
            host_key: OnceLock::new(),
            refusal: watch::Sender::default(),
            openings: Mutex::default(),
            saturated: Notify::new(),
            begun,
            closed_here: AtomicUsize::new(0),
            confided: Confided::default(),
            ended: OnceLock::new(),
            banner: Mutex::default(),
        })
    }

    /// Records why the connection ends; the first reason counts.
    pub(super) fn end(&self, cause: Cause) {
        let _ = self.ended.set(cause);
    }

    /// Why the connection ended.
    pub(super) fn cause(&self) -> Cause {
        if let Some(cause) = self.ended.get() {
            return cause.clone();
        }
        if self.closing.is_cancelled() {
            return Cause::Closed;
        }
        Cause::Disconnected { message: None }
    }

    /// The error for everything that was under way.
    pub(super) fn loss(&self) -> Error {
        self.error(self.cause())
    }

    /// The error for a cause; where a hop before this one was lost, that hop's error.
    pub(super) fn error(&self, cause: Cause) -> Error {
        match cause.loss_below() {
            Some(below) => below.clone(),
            None => Error {
                place: self.place.clone(),
                cause,
            },
        }
    }

    /// What the server says before authentication is done.
    pub(super) fn add_banner(&self, text: &str) {
        let mut banner = self.banner.lock().unwrap_or_else(PoisonError::into_inner);
        if banner.len() < 2048 {
            if !banner.is_empty() {
                banner.push('\n');
            }
            banner.push_str(&self.confided.clean_lines(text));
        }
    }

    pub(super) fn banner(&self) -> Option<String> {
        let banner = self.banner.lock().unwrap_or_else(PoisonError::into_inner);
        (!banner.is_empty()).then(|| banner.clone())
    }

    /// A channel opened, after this long.
    pub(super) fn opened(&self, took: Duration) {
        let mut openings = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
        if openings.saturated_by(took) {
            self.saturated.notify_one();
        }
    }

    pub(super) fn touch(&self, streams: impl FnOnce(usize) -> usize) {
        self.activity.send_modify(|activity| {
            activity.streams = streams(activity.streams);
            activity.last = Instant::now();
        });
    }
}
