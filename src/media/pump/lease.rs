//! The right to a stream.

use crate::error::PumpError;
use crate::set::PumpSet;
use crate::slot::Slot;
use crate::snapshot::StreamSnapshot;
use aimg_domain::quality::{TrackQuality, TrackQualitySummary};
use aimg_media::FrameReader;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Dropping it lets the stream rest: it goes on receiving, and the same call and track may open it again with ring and source.
pub struct StreamLease {
    set: Arc<PumpSet>,
    number: u64,
    slot: Arc<Slot>,
    local: SocketAddr,
}

impl fmt::Debug for StreamLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamLease")
            .field("call", &self.slot.key.call)
            .field("track", &self.slot.key.track)
            .field("local", &self.local)
            .finish()
    }
}

impl StreamLease {
    pub(crate) fn new(set: Arc<PumpSet>, number: u64, slot: Arc<Slot>, local: SocketAddr) -> StreamLease {
        StreamLease { set, number, slot, local }
    }

    /// Where the PBX has to send to. The port to be stored with the tap; the address is the one bound, which may be the unspecified one.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Packets from `source` on this stream's port are this stream's. Another source later replaces it, and may bring another SSRC.
    /// On a dedicated port the source is not held to: where packets really come from is learned, and shows in the snapshot.
    pub fn expect_from(&self, source: SocketAddr) -> Result<(), PumpError> {
        self.set.expect_from(&self.slot.key, self.number, source)
    }

    /// What comes from now on.
    pub fn reader(&self) -> FrameReader {
        self.slot.ring.reader()
    }

    /// Begins with the oldest frame still in the ring (about 5 s).
    pub fn reader_from_oldest(&self) -> FrameReader {
        self.slot.ring.reader_from_oldest()
    }

    /// Samples a second of all frames.
    pub fn sample_rate(&self) -> u32 {
        self.slot.rate()
    }

    pub fn snapshot(&self) -> StreamSnapshot {
        self.slot.snapshot()
    }

    /// Five-second intervals from number `from` on, with their numbers; those of the last 5 minutes are kept.
    pub fn quality_since(&self, from: u64) -> Vec<(u64, TrackQuality)> {
        self.slot.quality_since(from)
    }

    #[cfg(test)]
    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Of the stream so far.
    pub fn quality_summary(&self) -> TrackQualitySummary {
        self.slot.summary()
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        self.set.release(&self.slot.key, self.number);
    }
}
