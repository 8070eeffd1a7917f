//! What the outside holds of an open segment.

use super::{SegmentSpec, SegmentSummary};
use aimg_domain::{Clock, RecordingId};
use parking_lot::{Condvar, Mutex};
use std::fmt;
use std::sync::Arc;
use std::thread::Thread;
use std::time::Duration;

/// An open segment without a handle is closed after this.
pub(super) const ORPHANED: Duration = Duration::from_secs(10);

/// At most about 100 ms old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentSnapshot {
    pub n: u32,
    /// End of the last audio on the recording's timeline.
    pub media_time: u64,
    /// Of the open segment's files.
    pub bytes: u64,
    pub paused: bool,
    /// Packets lost on the way and frames the writer was too slow for, in samples.
    pub lost_samples: u64,
    pub overrun_samples: u64,
    pub failed: Option<String>,
    pub finished: bool,
}

/// A stretch in which nothing may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) from: Duration,
    pub(super) to: Option<Duration>,
}

#[derive(Default)]
pub(super) struct Control {
    pub(super) pauses: Vec<Pause>,
    pub(super) stop_at: Option<Duration>,
    pub(super) next: Option<Box<SegmentSpec>>,
    pub(super) orphaned_at: Option<Duration>,
    pub(super) snapshot: SegmentSnapshot,
    pub(super) summary: Option<SegmentSummary>,
}

pub(super) struct Shared {
    pub(super) recording: RecordingId,
    pub(super) control: Mutex<Control>,
    done: Condvar,
    thread: Option<Thread>,
}

impl Shared {
    pub(super) fn new(recording: RecordingId, thread: Option<Thread>) -> Arc<Shared> {
        Arc::new(Shared {
            recording,
            control: Mutex::new(Control::default()),
            done: Condvar::new(),
            thread,
        })
    }

    pub(super) fn adopt(&self) -> bool {
        let mut control = self.control.lock();
        control.summary.is_none() && control.orphaned_at.take().is_some()
    }

    pub(super) fn stop(&self, at: Duration) {
        self.control.lock().stop_at.get_or_insert(at);
        self.wake();
    }

    pub(super) fn finish(&self, summary: SegmentSummary) {
        let mut control = self.control.lock();
        control.snapshot.finished = true;
        control.summary = Some(summary);
        self.done.notify_all();
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

/// Dropped without [`SegmentHandle::stop`], the segment goes on for 10 s, in which [`super::WriterPool::adopt`] gives a new handle; then it is closed.
pub struct SegmentHandle {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for SegmentHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentHandle").field("recording", &self.shared.recording).finish()
    }
}

impl SegmentHandle {
    pub(super) fn new(shared: Arc<Shared>, clock: Arc<dyn Clock>) -> SegmentHandle {
        SegmentHandle { shared, clock }
    }

    /// From this moment nothing that arrives is written, however late the writer comes to it.
    pub fn pause(&self) {
        let from = self.clock.monotonic();
        let mut control = self.shared.control.lock();
        if control.pauses.last().is_none_or(|pause| pause.to.is_some()) {
            control.pauses.push(Pause { from, to: None });
            control.snapshot.paused = true;
        }
    }

    pub fn resume(&self) {
        let to = self.clock.monotonic();
        let mut control = self.shared.control.lock();
        control.snapshot.paused = false;
        if let Some(pause) = control.pauses.last_mut().filter(|pause| pause.to.is_none()) {
            pause.to = Some(to);
        }
    }

    /// Closes this segment and goes on in `next` without losing a sample; told by [`super::SegmentEvent::Rotated`]. `next.from_media_time` and its
    /// timeline are set by the writer.
    pub fn rotate(&self, next: SegmentSpec) {
        self.shared.control.lock().next = Some(Box::new(next));
        self.shared.wake();
    }

    /// What arrived until now is written, then the segment is closed; told by [`super::SegmentEvent::Finished`].
    pub fn stop(&self) {
        self.shared.stop(self.clock.monotonic());
    }

    pub fn snapshot(&self) -> SegmentSnapshot {
        self.shared.control.lock().snapshot.clone()
    }

    /// Blocks this thread until the segment is closed: not for async code.
    pub fn wait(&self, timeout: Duration) -> Option<SegmentSummary> {
        let mut control = self.shared.control.lock();
        self.shared.done.wait_while_for(&mut control, |control| control.summary.is_none(), timeout);
        control.summary.clone()
    }
}

impl Drop for SegmentHandle {
    fn drop(&mut self) {
        let now = self.clock.monotonic();
        let mut control = self.shared.control.lock();
        if control.stop_at.is_none() {
            control.orphaned_at = Some(now);
        }
    }
}
