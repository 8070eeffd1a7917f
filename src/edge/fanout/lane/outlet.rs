//! The write side of one socket.

use crate::shared::{Shared, Wrote};
use crate::stats::{Counters, count};
use aimg_wire::topic::Topic;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::oneshot;

/// Pieces of one system call.
const SLICES: usize = 32;
/// Loose frames that are taken at a time: once taken they are sent, however long it takes.
const LOOSE_AT_ONCE: usize = 16 * 1024;

/// Whole frames, and the topic they are of.
#[derive(Clone)]
pub(super) struct Piece {
    pub frames: Bytes,
    pub topic: Option<Topic>,
}

struct Loose {
    frame: Vec<u8>,
    flag_at: usize,
    flag: u8,
}

pub(super) enum Flushed {
    /// All is with the kernel.
    All,
    /// It waits for the socket already.
    Waits,
    Blocked,
    Slow,
    Broken,
}

pub(super) struct Outlet {
    pub shared: Arc<Shared>,
    pub attached: Vec<(Topic, u64)>,
    /// Pieces of this round, by number.
    pub pending: Vec<u32>,
    /// What the kernel did not take. The first may have been begun.
    outbox: VecDeque<Piece>,
    outbox_bytes: usize,
    begun: bool,
    signals: Vec<(Topic, Arc<str>, Bytes)>,
    loose: VecDeque<Loose>,
    loose_bytes: usize,
    loose_lost: bool,
    pub drained: Vec<oneshot::Sender<()>>,
    /// A task waits until the socket takes more.
    pub waiting: bool,
    dirty: bool,
    /// Code, and until when the close frame may take.
    pub closing: Option<(u16, Instant)>,
}

impl Outlet {
    pub fn new(shared: Arc<Shared>) -> Outlet {
        Outlet {
            shared,
            attached: Vec::new(),
            pending: Vec::new(),
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            begun: false,
            signals: Vec::new(),
            loose: VecDeque::new(),
            loose_bytes: 0,
            loose_lost: false,
            drained: Vec::new(),
            waiting: false,
            dirty: false,
            closing: None,
        }
    }

    pub fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Closed, and all of it written.
    pub fn is_finished(&self) -> bool {
        self.is_closing() && self.pending.is_empty() && self.outbox.is_empty()
    }

    /// True if it was not yet.
    pub fn make_dirty(&mut self) -> bool {
        if self.dirty {
            return false;
        }
        self.dirty = true;
        self.shared.clean.store(false, Ordering::Release);
        true
    }

    pub fn keep_signal(&mut self, topic: Topic, kind: &Arc<str>, frame: &Bytes) {
        match self.signals.iter_mut().find(|(of, known, _)| *of == topic && known == kind) {
            Some((_, _, latest)) => *latest = frame.clone(),
            None => self.signals.push((topic, kind.clone(), frame.clone())),
        }
    }

    /// Whether one more loose frame would push an older one out though the socket may still take it.
    pub fn would_drop(&self, bytes: usize, bytes_max: usize) -> bool {
        !self.waiting && !self.is_closing() && self.loose_bytes + bytes > bytes_max
    }

    pub fn keep_loose(&mut self, frame: Vec<u8>, flag_at: usize, flag: u8, bytes_max: usize) -> u64 {
        self.loose_bytes += frame.len();
        self.loose.push_back(Loose { frame, flag_at, flag });
        let mut dropped = 0;
        while self.loose_bytes > bytes_max && self.loose.len() > 1 {
            if let Some(oldest) = self.loose.pop_front() {
                self.loose_bytes -= oldest.frame.len();
                self.loose_lost = true;
                dropped += 1;
            }
        }
        dropped
    }

    /// Drops what is queued and `gone`. False when the first such piece is begun.
    pub fn purge(&mut self, pieces: &[Piece], gone: impl Fn(Option<Topic>) -> bool) -> bool {
        if self.begun && self.outbox.front().is_some_and(|piece| gone(piece.topic)) {
            return false;
        }
        self.pending.retain(|piece| !gone(pieces[*piece as usize].topic));
        self.outbox.retain(|piece| !gone(piece.topic));
        self.outbox_bytes = self.outbox.iter().map(|piece| piece.frames.len()).sum();
        self.signals.retain(|(topic, _, _)| !gone(Some(*topic)));
        if gone(None) {
            self.loose.clear();
            self.loose_bytes = 0;
        }
        true
    }

    /// What was held back for slowness goes before a goodbye.
    pub fn take_loose(&mut self) -> Vec<Bytes> {
        std::iter::from_fn(|| self.next_loose()).collect()
    }

    fn next_loose(&mut self) -> Option<Bytes> {
        let mut loose = self.loose.pop_front()?;
        self.loose_bytes -= loose.frame.len();
        if std::mem::take(&mut self.loose_lost)
            && let Some(byte) = loose.frame.get_mut(loose.flag_at)
        {
            *byte |= loose.flag;
        }
        Some(loose.frame.into())
    }

    /// Everything but the rest of a piece that is begun.
    pub fn drop_unbegun(&mut self) {
        self.outbox.truncate(usize::from(self.begun));
        self.outbox_bytes = self.outbox.iter().map(|piece| piece.frames.len()).sum();
        self.pending.clear();
        self.signals.clear();
        self.loose.clear();
        self.loose_bytes = 0;
    }

    pub fn flush(&mut self, pieces: &[Piece], incarnation: u64, counters: &Counters, bytes_max: usize) -> Flushed {
        self.dirty = false;
        if self.waiting {
            self.stash(pieces, 0, 0);
            return if self.is_too_slow(bytes_max) { Flushed::Slow } else { Flushed::Waits };
        }
        let mut outcome = if self.outbox.is_empty() {
            self.write_pending(pieces, incarnation, counters)
        } else {
            Flushed::All
        };
        self.stash(pieces, 0, 0);
        while matches!(outcome, Flushed::All) {
            self.refill();
            if self.outbox.is_empty() {
                self.shared.clean.store(true, Ordering::Release);
                for drained in self.drained.drain(..) {
                    // Its asker may have lost patience.
                    let _ = drained.send(());
                }
                return Flushed::All;
            }
            outcome = self.write_outbox(incarnation, counters);
        }
        if matches!(outcome, Flushed::Blocked) && self.is_too_slow(bytes_max) {
            Flushed::Slow
        } else {
            outcome
        }
    }

    fn is_too_slow(&self, bytes_max: usize) -> bool {
        self.outbox_bytes > bytes_max && !self.is_closing()
    }

    /// The quick way: straight from the round's pieces, nothing copied.
    fn write_pending(&mut self, pieces: &[Piece], incarnation: u64, counters: &Counters) -> Flushed {
        while !self.pending.is_empty() {
            let now = self.pending.len().min(SLICES);
            let wrote = match self.pending.as_slice() {
                [only] => self.shared.write(incarnation, &[IoSlice::new(&pieces[*only as usize].frames)]),
                several => {
                    let mut slices = [IoSlice::new(&[]); SLICES];
                    several
                        .iter()
                        .zip(&mut slices)
                        .for_each(|(piece, slice)| *slice = IoSlice::new(&pieces[*piece as usize].frames));
                    self.shared.write(incarnation, &slices[..now])
                }
            };
            let mut written = match counted(wrote, counters) {
                Ok(written) => written,
                Err(outcome) => return outcome,
            };
            let mut whole = 0;
            while whole < now && written >= pieces[self.pending[whole] as usize].frames.len() {
                written -= pieces[self.pending[whole] as usize].frames.len();
                whole += 1;
            }
            if whole < now {
                self.stash(pieces, whole, written);
                return Flushed::All;
            }
            self.pending.drain(..now);
        }
        Flushed::All
    }

    /// Copies what is pending, from `first` on and without the first `written` bytes of that, to the outbox.
    fn stash(&mut self, pieces: &[Piece], first: usize, written: usize) {
        for (n, number) in self.pending.drain(..).enumerate().skip(first) {
            let mut piece = pieces[number as usize].clone();
            if n == first && written > 0 {
                piece.frames.advance(written);
                self.begun = true;
            }
            self.outbox_bytes += piece.frames.len();
            self.outbox.push_back(piece);
        }
    }

    /// Signals and loose frames go when nothing else waits.
    fn refill(&mut self) {
        if !self.outbox.is_empty() || self.is_closing() {
            return;
        }
        for (topic, _, frames) in std::mem::take(&mut self.signals) {
            self.outbox_bytes += frames.len();
            self.outbox.push_back(Piece { frames, topic: Some(topic) });
        }
        let mut taken = 0;
        while taken < LOOSE_AT_ONCE
            && let Some(frames) = self.next_loose()
        {
            taken += frames.len();
            self.outbox_bytes += frames.len();
            self.outbox.push_back(Piece { frames, topic: None });
        }
    }

    fn write_outbox(&mut self, incarnation: u64, counters: &Counters) -> Flushed {
        let now = self.outbox.len().min(SLICES);
        let mut slices = [IoSlice::new(&[]); SLICES];
        self.outbox
            .iter()
            .zip(&mut slices)
            .for_each(|(piece, slice)| *slice = IoSlice::new(&piece.frames));
        let mut written = match counted(self.shared.write(incarnation, &slices[..now]), counters) {
            Ok(written) => written,
            Err(outcome) => return outcome,
        };
        self.outbox_bytes -= written;
        while let Some(front) = self.outbox.front_mut() {
            if written < front.frames.len() {
                front.frames.advance(written);
                self.begun |= written > 0;
                break;
            }
            written -= front.frames.len();
            self.outbox.pop_front();
            self.begun = false;
        }
        Flushed::All
    }
}

fn counted(wrote: Wrote, counters: &Counters) -> Result<usize, Flushed> {
    match wrote {
        Wrote::Bytes(bytes) => {
            count(&counters.writes, 1);
            count(&counters.bytes, bytes as u64);
            Ok(bytes)
        }
        Wrote::Blocked => {
            count(&counters.blocked, 1);
            Err(Flushed::Blocked)
        }
        // The thread is about to end: nothing of this is its business any more.
        Wrote::Retired => Err(Flushed::Waits),
        Wrote::Broken => Err(Flushed::Broken),
    }
}
