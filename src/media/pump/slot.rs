//! A stream's state, outside the thread that works on it.

use crate::snapshot::{StreamSnapshot, StreamState};
use aimg_domain::quality::{TrackQuality, TrackQualitySummary, Vantage};
use aimg_domain::{CallId, Clock, PbxId, TrackId};
use aimg_media::dsp::SILENCE_DBOV;
use aimg_media::quality::QualityInterval;
use aimg_media::{FrameRing, RingWriter, StreamConfig, StreamCore};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Intervals kept for who asks late: 5 minutes.
const INTERVALS_KEPT: usize = 60;
const PUBLISH_EVERY: Duration = Duration::from_millis(100);
/// How often a stream on which nothing arrives is looked after.
pub(crate) const CARE_EVERY: Duration = Duration::from_millis(100);

/// Who a stream is of: what may take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StreamKey {
    pub(crate) pbx: PbxId,
    pub(crate) call: CallId,
    pub(crate) track: TrackId,
}

pub(crate) struct Slot {
    pub(crate) key: StreamKey,
    config: StreamConfig,
    pub(crate) ring: Arc<FrameRing>,
    cell: ArcSwap<Cell>,
    published: Mutex<Published>,
    /// The next SSRC is right: the tap was made anew.
    new_sender: AtomicBool,
    failed: AtomicBool,
    /// Arrival of the last packet in µs, plus 1: for a successor that cannot ask the core.
    last_arrival_micros: AtomicU64,
    replaced: AtomicU64,
    #[cfg(test)]
    pub(crate) panics: AtomicBool,
    #[cfg(test)]
    pub(crate) stalls: Mutex<Option<Arc<std::sync::Barrier>>>,
}

/// The core with the generation of the pump that last worked on it. A successor that finds it locked makes a new one.
struct Cell {
    work: Mutex<Work>,
}

struct Work {
    generation: u64,
    core: StreamCore,
    writer: RingWriter,
    published_at: Duration,
}

struct Published {
    snapshot: StreamSnapshot,
    intervals: VecDeque<(u64, TrackQuality)>,
    next_interval: u64,
}

/// What a pump thread brings along.
pub(crate) struct Visit<'a> {
    /// Of the pump thread.
    pub(crate) generation: u64,
    pub(crate) now: Duration,
    pub(crate) clock: &'a dyn Clock,
}

/// What became of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visited {
    Done {
        holding: bool,
    },
    /// A newer generation works here: the visitor is to end.
    Refused,
    /// Panicked, now or before.
    Failed,
}

impl Slot {
    pub(crate) fn new(key: StreamKey, config: StreamConfig, ring_frames: usize, now: Duration) -> Arc<Slot> {
        let ring = FrameRing::new(ring_frames);
        let core = StreamCore::new(config);
        let snapshot = StreamSnapshot {
            state: StreamState::Waiting,
            source: None,
            counts: core.counts(),
            quality: core.quality(),
            media_time: 0,
            level_dbov: SILENCE_DBOV,
            peak_dbov: SILENCE_DBOV,
            replaced: 0,
            at: now,
        };
        let cell = Cell {
            work: Mutex::new(Work {
                generation: 0,
                core,
                writer: ring.writer(),
                published_at: now,
            }),
        };
        Arc::new(Slot {
            key,
            config,
            ring,
            cell: ArcSwap::from_pointee(cell),
            published: Mutex::new(Published {
                snapshot,
                intervals: VecDeque::new(),
                next_interval: 0,
            }),
            new_sender: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            last_arrival_micros: AtomicU64::new(0),
            replaced: AtomicU64::new(0),
            #[cfg(test)]
            panics: AtomicBool::new(false),
            #[cfg(test)]
            stalls: Mutex::new(None),
        })
    }

    pub(crate) fn rate(&self) -> u32 {
        self.config.rate
    }

    pub(crate) fn expect_new_sender(&self) {
        self.new_sender.store(true, Ordering::Release);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// A datagram from this stream's source.
    pub(crate) fn packet(&self, datagram: &[u8], visit: &Visit<'_>) -> Visited {
        self.work(visit, |work| {
            #[cfg(test)]
            self.misbehave();
            if self.new_sender.load(Ordering::Relaxed) && self.new_sender.swap(false, Ordering::AcqRel) {
                work.core.expect_new_sender();
            }
            if work.core.packet(datagram, visit.now, &mut &work.writer) {
                let micros = u64::try_from(visit.now.as_micros()).unwrap_or(u64::MAX - 1);
                self.last_arrival_micros.store(micros + 1, Ordering::Release);
            }
        })
    }

    /// Gives up holes, closes intervals, publishes. Due every few ms while holding, else every [`CARE_EVERY`].
    pub(crate) fn care(&self, visit: &Visit<'_>) -> Visited {
        self.work(visit, |work| {
            let interval = work.core.tick(visit.now, &mut &work.writer);
            if let Some(interval) = interval {
                self.publish_interval(&interval, visit.clock);
            }
            if visit.now.saturating_sub(work.published_at) >= PUBLISH_EVERY {
                self.publish(work, visit.now);
            }
        })
    }

    fn work(&self, visit: &Visit<'_>, act: impl FnOnce(&mut Work)) -> Visited {
        if self.has_failed() {
            return Visited::Failed;
        }
        let mut cell = self.cell.load();
        let mut guard = cell.work.try_lock();
        if guard.is_none() {
            // Only pump threads lock this, and a stream has one: the holder is of an older generation and stuck in here.
            drop(guard);
            self.replace_cell(visit);
            cell = self.cell.load();
            guard = cell.work.try_lock();
        }
        let Some(mut work) = guard else { return Visited::Refused };
        if work.generation > visit.generation {
            return Visited::Refused;
        }
        work.generation = visit.generation;
        match catch_unwind(AssertUnwindSafe(|| act(&mut work))) {
            Ok(()) => Visited::Done {
                holding: work.core.is_holding(),
            },
            Err(_) => {
                self.fail();
                Visited::Failed
            }
        }
    }

    /// The writer made here makes what the old holder still writes refused.
    fn replace_cell(&self, visit: &Visit<'_>) {
        self.replaced.fetch_add(1, Ordering::Relaxed);
        let writer = self.ring.writer();
        let last_arrival = self.last_arrival_micros.load(Ordering::Acquire).checked_sub(1).map(Duration::from_micros);
        let core = StreamCore::resume(self.config, self.ring.media_time(), last_arrival);
        let work = Work {
            generation: visit.generation,
            core,
            writer,
            published_at: visit.now,
        };
        self.cell.store(Arc::new(Cell { work: Mutex::new(work) }));
    }

    fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.published.lock().snapshot.state = StreamState::Failed;
        self.ring.close();
        tracing::error!(call = %self.key.call, track = self.key.track.as_str(), "a packet made the stream panic: the stream is dropped");
    }

    fn publish(&self, work: &mut Work, now: Duration) {
        let counts = work.core.counts();
        let level = work.core.take_level();
        work.published_at = now;
        // Somebody is looking this instant: the next one will do.
        let Some(mut published) = self.published.try_lock() else { return };
        let snapshot = &mut published.snapshot;
        if snapshot.state == StreamState::Waiting && counts.packets > 0 {
            snapshot.state = StreamState::Flowing;
        }
        snapshot.counts = counts;
        snapshot.quality = work.core.quality();
        snapshot.media_time = work.core.media_time();
        snapshot.level_dbov = level.mean_dbov();
        snapshot.peak_dbov = level.peak_dbov();
        snapshot.replaced = self.replaced.load(Ordering::Relaxed);
        snapshot.at = now;
    }

    fn publish_interval(&self, interval: &QualityInterval, clock: &dyn Clock) {
        let quality = TrackQuality {
            track: self.key.track,
            vantage: Vantage::PbxToUs,
            at: clock.now(),
            packets: interval.packets,
            lost: interval.lost,
            loss_percent: interval.loss_percent,
            jitter_ms: interval.jitter_ms,
            mos: interval.mos,
            level_dbov: interval.level_dbov,
            peak_dbov: interval.peak_dbov,
        };
        let mut published = self.published.lock();
        let n = published.next_interval;
        published.next_interval += 1;
        if published.intervals.len() == INTERVALS_KEPT {
            published.intervals.pop_front();
        }
        published.intervals.push_back((n, quality));
    }

    pub(crate) fn snapshot(&self) -> StreamSnapshot {
        self.published.lock().snapshot
    }

    pub(crate) fn set_state(&self, state: StreamState) {
        let mut published = self.published.lock();
        let flowing = published.snapshot.counts.packets > 0;
        published.snapshot.state = match state {
            _ if self.has_failed() => StreamState::Failed,
            StreamState::Waiting if flowing => StreamState::Flowing,
            other => other,
        };
    }

    pub(crate) fn set_source(&self, source: Option<SocketAddr>) {
        self.published.lock().snapshot.source = source;
    }

    /// Intervals from number `from` on, as far as they are kept.
    pub(crate) fn quality_since(&self, from: u64) -> Vec<(u64, TrackQuality)> {
        self.published.lock().intervals.iter().filter(|(n, _)| *n >= from).cloned().collect()
    }

    pub(crate) fn summary(&self) -> TrackQualitySummary {
        let total = self.snapshot().quality;
        TrackQualitySummary {
            track: self.key.track,
            vantage: Vantage::PbxToUs,
            packets: total.packets,
            lost: total.lost,
            loss_percent: total.loss_percent,
            jitter_ms: total.jitter_ms,
            jitter_ms_max: total.jitter_ms_max,
            mos: total.mos,
            mos_min: total.mos_min,
            level_dbov: total.level_dbov,
        }
    }

    #[cfg(test)]
    fn misbehave(&self) {
        assert!(!self.panics.load(Ordering::Relaxed), "told to");
        let barrier = self.stalls.lock().take();
        if let Some(barrier) = barrier {
            barrier.wait();
            barrier.wait();
        }
    }
}
