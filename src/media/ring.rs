//! A bounded ring of shared frames: one writer that never waits, many readers each at its own pace.
//!
//! Overflow policy: the oldest frame is overwritten. A reader that was that slow loses *its* frames and is told how many; nobody else notices.
//! The writer takes only locks that are held for a few instructions, and reuses the memory of frames that nobody holds any more.

mod bell;
mod reader;

pub use reader::{FrameReader, Read};

use crate::frame::{Frame, FrameKind};
use bell::Bell;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// 5 s of 20 ms frames.
pub const DEFAULT_FRAMES: usize = 256;

/// The shared part. Cheap to clone the `Arc` of.
pub struct FrameRing {
    slots: Box<[Mutex<Option<Arc<Frame>>>]>,
    /// How many frames were ever written; the next frame's `seq`.
    head: AtomicU64,
    /// Where the next frame begins.
    media_time: AtomicU64,
    writing: Mutex<Writing>,
    refused: AtomicU64,
    closed: AtomicBool,
    bell: Bell,
}

struct Writing {
    /// Only the writer that was made last may write.
    generation: u64,
    spare: Option<Arc<Frame>>,
}

/// The right to write. A later one for the same ring makes this one's frames refused.
pub struct RingWriter {
    ring: Arc<FrameRing>,
    generation: u64,
}

/// What a frame says beside its audio.
#[derive(Clone, Copy, Debug)]
pub struct FrameHead {
    pub media_time: u64,
    pub rate: u32,
    pub kind: FrameKind,
    pub samples: u64,
    pub received_at: Duration,
}

impl FrameRing {
    /// `frames` is rounded up to a power of two, at least 2.
    pub fn new(frames: usize) -> Arc<FrameRing> {
        let slots = (0..frames.clamp(2, 1 << 16).next_power_of_two()).map(|_| Mutex::new(None)).collect();
        Arc::new(FrameRing {
            slots,
            head: AtomicU64::new(0),
            media_time: AtomicU64::new(0),
            writing: Mutex::new(Writing { generation: 0, spare: None }),
            refused: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            bell: Bell::default(),
        })
    }

    /// A writer that replaces the one before.
    pub fn writer(self: &Arc<Self>) -> RingWriter {
        let mut writing = self.writing.lock();
        writing.generation += 1;
        RingWriter {
            ring: self.clone(),
            generation: writing.generation,
        }
    }

    /// A reader of what comes from now on.
    pub fn reader(self: &Arc<Self>) -> FrameReader {
        FrameReader::new(self.clone(), self.head.load(Ordering::Acquire))
    }

    /// A reader that begins with the oldest frame still here.
    pub fn reader_from_oldest(self: &Arc<Self>) -> FrameReader {
        let head = self.head.load(Ordering::Acquire);
        FrameReader::new(self.clone(), head.saturating_sub(self.slots.len() as u64))
    }

    /// How many frames were ever written.
    pub fn written(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// End of the last frame.
    pub fn media_time(&self) -> u64 {
        self.media_time.load(Ordering::Acquire)
    }

    /// Frames of replaced writers that were not taken.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Nothing more will come. Readers get what is left, then [`Read::Closed`].
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.bell.ring_all();
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn slot(&self, seq: u64) -> &Mutex<Option<Arc<Frame>>> {
        &self.slots[(seq & (self.slots.len() as u64 - 1)) as usize]
    }
}

impl RingWriter {
    pub fn ring(&self) -> &Arc<FrameRing> {
        &self.ring
    }

    /// Writes a frame; false if a later writer has taken over.
    pub fn write(&self, head: FrameHead, audio: &[i16]) -> bool {
        let mut writing = self.ring.writing.lock();
        if writing.generation != self.generation {
            self.ring.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let seq = self.ring.head.load(Ordering::Relaxed);
        let mut frame = writing.spare.take().unwrap_or_else(|| Arc::new(Frame::empty()));
        if Arc::get_mut(&mut frame).is_none() {
            frame = Arc::new(Frame::empty());
        }
        if let Some(owned) = Arc::get_mut(&mut frame) {
            owned.fill(seq, head, audio);
        }
        // A reader can only be on this very slot if it lags by the whole ring; then it keeps the old frame, and finds this one missing.
        if let Some(mut slot) = self.ring.slot(seq).try_lock() {
            writing.spare = slot.replace(frame);
        }
        self.ring.media_time.store(head.media_time.saturating_add(head.samples), Ordering::Release);
        self.ring.head.store(seq + 1, Ordering::Release);
        drop(writing);
        self.ring.bell.ring();
        true
    }
}

impl Frame {
    fn empty() -> Frame {
        Frame {
            seq: 0,
            media_time: 0,
            rate: 0,
            kind: FrameKind::Silence,
            samples: 0,
            audio: Vec::new(),
            received_at: Duration::ZERO,
        }
    }

    fn fill(&mut self, seq: u64, head: FrameHead, audio: &[i16]) {
        self.seq = seq;
        self.media_time = head.media_time;
        self.rate = head.rate;
        self.kind = head.kind;
        self.samples = head.samples;
        self.received_at = head.received_at;
        self.audio.clear();
        self.audio.extend_from_slice(audio);
    }
}

#[cfg(test)]
mod tests;
