//! A reader's cursor.

use super::FrameRing;
use crate::frame::Frame;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread, ThreadId};
use std::time::Duration;

/// What a look at the ring gave.
#[derive(Clone, Debug)]
pub enum Read {
    Frame(Arc<Frame>),
    /// So many frames were overwritten before this reader came to them. The next read goes on behind them.
    Lagged(u64),
    /// Nothing new yet.
    Empty,
    /// All was read, and nothing more will come.
    Closed,
}

/// Reads a ring at its own pace. A clone is a second cursor at the same place.
pub struct FrameReader {
    ring: Arc<FrameRing>,
    next: u64,
    /// One a thread, so that the bell knows it again.
    unpark: Option<(ThreadId, Waker)>,
}

impl Clone for FrameReader {
    fn clone(&self) -> FrameReader {
        FrameReader::new(self.ring.clone(), self.next)
    }
}

impl fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader")
            .field("next", &self.next)
            .field("written", &self.ring.written())
            .finish()
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl FrameReader {
    pub(super) fn new(ring: Arc<FrameRing>, next: u64) -> FrameReader {
        FrameReader { ring, next, unpark: None }
    }

    /// Frames that wait for this reader, lost ones included.
    pub fn behind(&self) -> u64 {
        self.ring.written().saturating_sub(self.next)
    }

    pub fn ring(&self) -> &Arc<FrameRing> {
        &self.ring
    }

    /// Never waits.
    pub fn try_read(&mut self) -> Read {
        // Before `head`, so that a frame written before the close is never taken for the end.
        let closed = self.ring.is_closed();
        let head = self.ring.head.load(Ordering::Acquire);
        if self.next >= head {
            return if closed { Read::Closed } else { Read::Empty };
        }
        let oldest = head.saturating_sub(self.ring.slots.len() as u64);
        if self.next < oldest {
            return self.lagged(oldest);
        }
        let frame = self.ring.slot(self.next).lock().clone();
        match frame {
            Some(frame) if frame.seq == self.next => {
                self.next += 1;
                Read::Frame(frame)
            }
            // Overwritten since we looked, or (older) never stored because a reader held its slot.
            Some(frame) if frame.seq > self.next => {
                let oldest = self.ring.head.load(Ordering::Acquire).saturating_sub(self.ring.slots.len() as u64);
                self.lagged(oldest.max(self.next + 1))
            }
            _ => self.lagged(self.next + 1),
        }
    }

    fn lagged(&mut self, to: u64) -> Read {
        let lost = to - self.next;
        self.next = to;
        Read::Lagged(lost)
    }

    /// Waits for the next frame; never [`Read::Empty`]. Safe to drop at any point: nothing is lost.
    pub async fn read(&mut self) -> Read {
        poll_fn(|context| self.poll_read(context)).await
    }

    pub fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Read> {
        match self.try_read() {
            Read::Empty => {}
            other => return Poll::Ready(other),
        }
        self.ring.bell.register(context.waker());
        match self.try_read() {
            Read::Empty => Poll::Pending,
            other => Poll::Ready(other),
        }
    }

    /// Waits on this thread, at most `timeout`; [`Read::Empty`] then, or earlier when the thread was unparked for another reason.
    pub fn read_timeout(&mut self, timeout: Duration) -> Read {
        let thread = thread::current();
        let waker = match self.unpark.take() {
            Some((id, waker)) if id == thread.id() => waker,
            _ => Waker::from(Arc::new(Unpark(thread.clone()))),
        };
        self.unpark = Some((thread.id(), waker.clone()));
        match self.poll_read(&mut Context::from_waker(&waker)) {
            Poll::Ready(read) => read,
            Poll::Pending => {
                thread::park_timeout(timeout);
                self.try_read()
            }
        }
    }
}
