//! The task that owns a channel: moves bytes both ways and closes it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio_util::sync::CancellationToken;

use super::inbox::{End, Inbox};
use super::outbox::Outbox;
use crate::ssh::egress::Gate;
use crate::ssh::error::Lost;
use crate::ssh::link::Link;

/// The largest piece given to russh at once: one packet. Between two the gate is
/// asked, so that one large body does not fill the queue.
const PIECE: usize = 32 * 1024;

/// One channel in operation.
pub(in crate::ssh) struct Pump {
    pub(super) inbox: Arc<Inbox>,
    pub(super) outbox: Arc<Outbox>,
    /// Closes the channel.
    pub(super) stop: CancellationToken,
    /// The channel is closed, or its connection gone.
    pub(super) closed: CancellationToken,
}

impl Pump {
    /// Starts moving bytes, in a task that the connection waits for when it ends.
    pub(in crate::ssh) fn start(channel: Channel<Msg>, link: &Arc<Link>, gate: Gate) -> Self {
        let stop = CancellationToken::new();
        let closed = CancellationToken::new();
        let inbox = Inbox::new(link.budget.clone(), link.backlog.clone(), stop.clone());
        let outbox = Arc::new(Outbox::default());
        let (reading, writing) = channel.split();
        let pump = Self {
            inbox: inbox.clone(),
            outbox: outbox.clone(),
            stop: stop.clone(),
            closed: closed.clone(),
        };
        let task = Task {
            reading,
            writing,
            inbox,
            outbox,
            stop,
            link: link.clone(),
            gate,
        };
        link.tasks.spawn(async move {
            task.run().await;
            closed.cancel();
        });
        pump
    }

    /// Closes a channel that nobody wants any more.
    pub(in crate::ssh) fn stop(&self) {
        self.stop.cancel();
    }
}

struct Task {
    reading: ChannelReadHalf,
    writing: ChannelWriteHalf<Msg>,
    inbox: Arc<Inbox>,
    outbox: Arc<Outbox>,
    stop: CancellationToken,
    link: Arc<Link>,
    gate: Gate,
}

/// Who ended the channel.
enum EndedBy {
    Server,
    Us,
    Loss,
}

impl Task {
    async fn run(mut self) {
        let ended_by = tokio::select! {
            biased;
            () = self.stop.cancelled() => EndedBy::Us,
            () = self.link.closing.cancelled() => EndedBy::Us,
            ended_by = async {
                // Without bias: a flood of one direction must not starve the other.
                tokio::select! {
                    ended_by = receive(&mut self.reading, &self.inbox) => return ended_by,
                    () = send(&self.writing, &self.outbox, &self.gate) => {}
                }
                // What arrived before the loss is still there to be read.
                receive(&mut self.reading, &self.inbox).await
            } => ended_by,
        };
        match ended_by {
            EndedBy::Server => {
                self.inbox.end(End::Clean);
                self.outbox.end(End::Clean);
            }
            EndedBy::Us => {
                self.link.closed_here.fetch_add(1, Ordering::Relaxed);
                // After its CLOSE, russh delivers nothing more for a channel.
                tokio::select! {
                    biased;
                    () = self.link.dead.cancelled() => {}
                    _ = self.writing.close() => {}
                    // It may be waiting for room in this channel instead of
                    // looking for our CLOSE.
                    () = discard(&mut self.reading) => {}
                }
                let end = End::Lost(Lost(self.link.loss()));
                self.inbox.end(end.clone());
                self.outbox.end(self.inbox.ended().unwrap_or(end));
            }
            EndedBy::Loss => {
                let end = End::Lost(Lost(self.link.loss()));
                self.inbox.end(end.clone());
                self.outbox.end(end);
            }
        }
    }
}

/// Empties the channel until its end. Waits for nothing but the channel.
async fn receive(reading: &mut ChannelReadHalf, inbox: &Inbox) -> EndedBy {
    loop {
        match reading.wait().await {
            Some(ChannelMsg::Data { data }) => inbox.push(data),
            Some(ChannelMsg::Eof) => inbox.end(End::Clean),
            Some(ChannelMsg::Close) => return EndedBy::Server,
            Some(_) => {}
            None => return EndedBy::Loss,
        }
    }
}

/// Empties the channel for nobody.
async fn discard(reading: &mut ChannelReadHalf) {
    while reading.wait().await.is_some() {}
}

/// Sends until the connection is gone. Waits for the gate and for the window.
async fn send(writing: &ChannelWriteHalf<Msg>, outbox: &Outbox, gate: &Gate) {
    loop {
        let mut piece: Bytes = outbox.next().await;
        while !piece.is_empty() {
            let part = piece.split_to(PIECE.min(piece.len()));
            gate.pass().await;
            if writing.data_bytes(part).await.is_err() {
                return;
            }
        }
        outbox.sent();
    }
}
