//! One way of one connection: takes bytes from one socket and hands them to the other, in time.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::fault::{Cut, End, Fault, Way};
use super::pace::Pace;

const PIECE: usize = 16 * 1024;

pub(super) struct Lane<'a> {
    way: Way,
    shared: &'a Shared,
    source: &'a Side,
    sink: &'a Side,
    waiting: Waiting,
    pace: Pace,
    delivered: u64,
    /// Nothing can be delivered any more: what comes is thrown away.
    deaf: bool,
}

/// What both ways know about one of the two sockets.
#[derive(Default)]
pub(super) struct Side {
    broken: AtomicBool,
    /// The other side was told that this one has ended, and will be told no more.
    end_told: AtomicBool,
}

/// What was taken and not yet delivered.
#[derive(Default)]
struct Waiting {
    pieces: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// How the source ended, after the pieces.
    end: Option<(Instant, SourceEnd)>,
}

#[derive(Clone, Copy)]
enum SourceEnd {
    Closed,
    Broken,
}

/// What a lane can do now.
enum Next {
    /// Nothing, until more comes or the fault changes.
    Idle,
    Wait(Instant),
    Write(Bytes),
    Ended(SourceEnd),
    Cut(Cut),
}

impl<'a> Lane<'a> {
    pub(super) fn new(
        way: Way,
        shared: &'a Shared,
        number: usize,
        source: &'a Side,
        sink: &'a Side,
    ) -> Self {
        Self {
            way,
            shared,
            source,
            sink,
            waiting: Waiting::default(),
            pace: Pace::new(number as u64 * 2 + way as u64),
            delivered: 0,
            deaf: false,
        }
    }

    /// Ends when the source has ended and everything was delivered; an error ends both ways.
    pub(super) async fn run(
        mut self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
    ) -> Result<(), End> {
        let mut faults = self.shared.faults.of(self.way).subscribe();
        let mut space = vec![0; PIECE];
        loop {
            let fault = *faults.borrow_and_update();
            let next = self.next(&fault);
            let (wake, part) = match &next {
                Next::Idle => (None, None),
                Next::Wait(until) => (Some(*until), None),
                Next::Write(part) => (None, Some(part)),
                Next::Ended(SourceEnd::Broken) => return Err(End::Reset),
                Next::Ended(SourceEnd::Closed) => {
                    if !self.deaf {
                        // Where that fails, the other way sees why.
                        let _ended = to.shutdown().await;
                        self.source.end_told.store(true, Ordering::Relaxed);
                    }
                    return Ok(());
                }
                Next::Cut(cut) => {
                    if self.takes(*cut) {
                        return Err(cut.end);
                    }
                    continue;
                }
            };
            let room = fault.buffer.saturating_sub(self.waiting.bytes).min(PIECE);
            let space = space.get_mut(..room).unwrap_or_default();
            let takes = room > 0 && self.waiting.end.is_none();
            tokio::select! {
                // An error means that the proxy is gone, and this task with it.
                _ = faults.changed() => {}
                read = from.read(space), if takes => {
                    let bytes = read.map(|length| space.get(..length).unwrap_or_default());
                    self.took(bytes, &fault);
                    acknowledge_quickly(&from);
                }
                written = to.write(part.map_or(&[], |part| part)), if part.is_some() => {
                    self.wrote(written, &fault)?;
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    fn next(&mut self, fault: &Fault) -> Next {
        self.deaf |= fault.dead;
        if self.deaf {
            self.waiting.pieces.clear();
            self.waiting.bytes = 0;
            // A source that breaks tells nobody either.
            return match self.waiting.end {
                Some(_) => Next::Ended(SourceEnd::Closed),
                None => Next::Idle,
            };
        }
        if fault.stalled {
            return Next::Idle;
        }
        if let Some(cut) = fault.cut.filter(|cut| cut.after == self.delivered) {
            return Next::Cut(cut);
        }
        let now = Instant::now();
        let Some((due, piece)) = self.waiting.pieces.front() else {
            return match self.waiting.end {
                None => Next::Idle,
                Some((due, _)) if due > now => Next::Wait(due),
                Some((_, end)) => Next::Ended(end),
            };
        };
        if *due > now {
            return Next::Wait(*due);
        }
        let until_cut = fault
            .cut
            .and_then(|cut| cut.after.checked_sub(self.delivered));
        let until_cut = until_cut.and_then(|left| usize::try_from(left).ok());
        let wanted = piece.len().min(until_cut.unwrap_or(usize::MAX));
        match self.pace.allowed(wanted, fault) {
            Ok(allowed) => Next::Write(piece.slice(..allowed)),
            Err(later) => Next::Wait(later),
        }
    }

    fn took(&mut self, read: io::Result<&[u8]>, fault: &Fault) {
        let due = self.pace.due(fault);
        match read {
            Ok([]) => {
                let broken = self.source.broken.load(Ordering::Relaxed);
                let end = if broken {
                    SourceEnd::Broken
                } else {
                    SourceEnd::Closed
                };
                self.waiting.end = Some((due, end));
            }
            Ok(bytes) => {
                let length = bytes.len() as u64;
                self.shared
                    .seen
                    .update(|seen| *seen.taken.of_mut(self.way) += length);
                self.waiting.bytes += bytes.len();
                let bytes = Bytes::copy_from_slice(bytes);
                self.waiting.pieces.push_back((due, bytes));
            }
            Err(_) => {
                self.source.broken.store(true, Ordering::Relaxed);
                self.waiting.end = Some((due, SourceEnd::Broken));
            }
        }
    }

    fn wrote(&mut self, written: io::Result<usize>, fault: &Fault) -> Result<(), End> {
        let Ok(length) = written else {
            if self.sink.end_told.load(Ordering::Relaxed) {
                return Err(End::Reset);
            }
            // The other way tells the source, as fast as its faults allow.
            self.sink.broken.store(true, Ordering::Relaxed);
            self.deaf = true;
            return Ok(());
        };
        self.pace.spend(length, fault);
        self.delivered += length as u64;
        self.waiting.bytes -= length;
        if let Some((_, piece)) = self.waiting.pieces.front_mut() {
            piece.advance(length);
            if piece.is_empty() {
                self.waiting.pieces.pop_front();
            }
        }
        self.shared
            .seen
            .update(|seen| *seen.delivered.of_mut(self.way) += length as u64);
        Ok(())
    }

    /// Whether the cut is still to be made, and by this connection.
    fn takes(&self, cut: Cut) -> bool {
        let mut mine = false;
        self.shared.faults.of(self.way).send_if_modified(|fault| {
            mine = fault.cut == Some(cut);
            if mine && cut.once {
                fault.cut = None;
            }
            mine && cut.once
        });
        if mine {
            self.shared.seen.update(|seen| seen.cuts += 1);
        }
        mine
    }
}

/// A network acknowledges what it has taken. The kernel would wait for 40 ms at times, and a sender
/// that uses Nagle's algorithm, as sshd does, with it.
fn acknowledge_quickly(from: &ReadHalf<'_>) {
    let socket: &TcpStream = from.as_ref();
    // It is slower without, nothing else.
    let _set = SockRef::from(socket).set_tcp_quickack(true);
}
