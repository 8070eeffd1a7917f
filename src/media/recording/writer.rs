//! Threads that take frames from rings and append them to track files. Never a mailbox: a slow disk costs frames of this recording, marked as such,
//! and nothing else.
//!
//! A thread serves many segments: every 100 ms it takes what their rings hold. `fdatasync` comes at most once a second a file, and takes at most half of the
//! thread's time: on a slow disk files are synced less often rather than frames lost.

mod handle;
mod segment;
mod track;

pub use handle::{SegmentHandle, SegmentSnapshot};

use crate::timeline::Timeline;
use crate::track_file::{Disk, Folder};
use aimg_domain::recording::Segment;
use aimg_domain::{Clock, RecordingId, TrackId};
use aimg_media::FrameReader;
use handle::Shared;
use parking_lot::Mutex;
use segment::{Progress, SegmentWriter};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

const ROUND: Duration = Duration::from_millis(100);
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Segments a thread; beyond, a recording is refused.
const SEGMENTS_MAX: usize = 1024;

#[derive(Clone, Debug)]
pub struct SegmentSpec {
    pub recording: RecordingId,
    /// Number in the recording.
    pub n: u32,
    pub node: String,
    pub epoch: u64,
    /// Which making of the tap, from 1.
    pub tap: u32,
    /// Folder of the track files.
    pub folder: PathBuf,
    /// Of the recording; its rate is that of the files.
    pub timeline: Timeline,
    /// Where on the timeline this segment begins; nothing is written before it.
    pub from_media_time: u64,
}

impl SegmentSpec {
    pub fn path(&self, track: TrackId) -> PathBuf {
        self.folder.join(format!("{}-{:06}-{}.track", self.recording, self.n, track.as_str()))
    }
}

/// A track and where its frames are read.
#[derive(Debug)]
pub struct TrackInput {
    pub track: TrackId,
    pub reader: FrameReader,
}

/// What a closed segment holds: the manifest's row, and where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    pub recording: RecordingId,
    pub segment: Segment,
    pub files: Vec<(TrackId, PathBuf)>,
    /// Why nothing was written from some point on.
    pub failed: Option<String>,
}

/// Told on the writer's thread: hand it on and return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentEvent {
    /// The stream of this track is gone for good.
    TrackEnded(TrackId),
    /// Writing failed; what was written before is kept.
    Failed(String),
    /// Closed because the next one began ([`SegmentHandle::rotate`]).
    Rotated(SegmentSummary),
    Finished(SegmentSummary),
}

pub type Notify = Box<dyn Fn(SegmentEvent) + Send>;

/// The writer threads of a node.
pub struct WriterPool {
    lanes: Vec<Arc<Lane>>,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
}

/// The writer's lock is held while it works, the disk included: only the lane takes it.
#[derive(Clone)]
struct Open {
    shared: Arc<Shared>,
    writer: Arc<Mutex<SegmentWriter>>,
}

struct Lane {
    segments: Mutex<Vec<Open>>,
    stopped: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

impl WriterPool {
    pub fn start(threads: usize, clock: Arc<dyn Clock>) -> io::Result<WriterPool> {
        WriterPool::on(Arc::new(Folder), threads, clock)
    }

    pub fn on(disk: Arc<dyn Disk>, threads: usize, clock: Arc<dyn Clock>) -> io::Result<WriterPool> {
        let mut lanes = Vec::new();
        for n in 0..threads.clamp(1, 64) {
            let lane = Arc::new(Lane {
                segments: Mutex::new(Vec::new()),
                stopped: AtomicBool::new(false),
                thread: Mutex::new(None),
            });
            let (running, clock) = (lane.clone(), clock.clone());
            let handle = thread::Builder::new().name(format!("recorder-{n}")).spawn(move || running.run(&*clock))?;
            *lane.thread.lock() = Some(handle.thread().clone());
            lanes.push(lane);
        }
        Ok(WriterPool { lanes, clock, disk })
    }

    /// Begins a segment: makes its files now, so that an error is the caller's. Blocks on the disk: not for async code.
    pub fn record(&self, spec: SegmentSpec, inputs: Vec<TrackInput>, notify: Notify) -> io::Result<SegmentHandle> {
        let lane = self
            .lanes
            .iter()
            .min_by_key(|lane| lane.segments.lock().len())
            .ok_or(io::ErrorKind::NotConnected)?;
        if lane.segments.lock().len() >= SEGMENTS_MAX {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many open recordings on this node"));
        }
        let shared = Shared::new(spec.recording, lane.thread.lock().clone());
        let writer = SegmentWriter::create(self.disk.clone(), spec, inputs, shared.clone(), notify)?;
        lane.segments.lock().push(Open {
            shared: shared.clone(),
            writer: Arc::new(Mutex::new(writer)),
        });
        Ok(SegmentHandle::new(shared, self.clock.clone()))
    }

    /// The open segment of a recording whose handle was dropped (its actor crashed): it went on writing.
    pub fn adopt(&self, recording: RecordingId) -> Option<SegmentHandle> {
        let shared = self.lanes.iter().find_map(|lane| {
            let segments = lane.segments.lock();
            segments
                .iter()
                .map(|open| &open.shared)
                .find(|shared| shared.recording == recording && shared.adopt())
                .cloned()
        })?;
        Some(SegmentHandle::new(shared, self.clock.clone()))
    }

    /// Closes all segments and ends the threads, which takes up to a few seconds; does not wait for it.
    pub fn stop(&self) {
        for lane in &self.lanes {
            lane.stopped.store(true, Ordering::Release);
            if let Some(thread) = &*lane.thread.lock() {
                thread.unpark();
            }
        }
    }
}

impl Drop for WriterPool {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Lane {
    fn run(&self, clock: &dyn Clock) {
        let mut sync_again_at = Duration::ZERO;
        loop {
            let stopped = self.stopped.load(Ordering::Acquire);
            let segments = self.segments.lock().clone();
            for open in &segments {
                if stopped {
                    open.shared.stop(clock.monotonic());
                }
                if open.writer.lock().advance(clock.monotonic()) == Progress::Finished {
                    self.segments.lock().retain(|known| !Arc::ptr_eq(&known.writer, &open.writer));
                }
            }
            let now = clock.monotonic();
            if now >= sync_again_at {
                segments.iter().for_each(|open| open.writer.lock().sync_if_due(now));
                let done = clock.monotonic();
                sync_again_at = done + done.saturating_sub(now);
            }
            if stopped {
                return;
            }
            thread::park_timeout(ROUND);
        }
    }
}

#[cfg(test)]
mod tests;
