//! What the outside may look at. Copies: looking never slows a pump.

use aimg_domain::PbxId;
use aimg_media::StreamCounts;
use aimg_media::quality::QualityTotal;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// Open, no packet yet.
    Waiting,
    /// Packets come, or came.
    Flowing,
    /// Its lease was dropped; it may be taken back.
    Resting,
    /// A packet made the decoder panic; the stream is dropped, others go on.
    Failed,
    Closed,
}

/// Of one stream, at most about 100 ms old.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamSnapshot {
    pub state: StreamState,
    /// Where packets are awaited from; of a dedicated port, where they were seen to come from.
    pub source: Option<SocketAddr>,
    pub counts: StreamCounts,
    pub quality: QualityTotal,
    /// Samples since the stream began.
    pub media_time: u64,
    /// Of the last 100 ms or so, -96 when there was no audio.
    pub level_dbov: f64,
    pub peak_dbov: f64,
    /// Times that this stream's pump was replaced while it was at work on this very stream.
    pub replaced: u64,
    /// When this was taken, monotonic.
    pub at: Duration,
}

/// A source that no stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stranger {
    pub source: SocketAddr,
    pub packets: u64,
    pub last_at: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SocketStats {
    pub pbx: PbxId,
    pub local: SocketAddr,
    pub dedicated: bool,
    pub streams: usize,
    pub packets: u64,
    /// From sources that no stream waits for.
    pub unknown: u64,
    /// Truncated or of no known address family.
    pub unusable: u64,
    pub errors: u64,
    /// What the kernel granted, in bytes: what one tick may find waiting.
    pub receive_buffer_bytes: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PumpStats {
    pub threads: usize,
    pub streams: usize,
    pub resting: usize,
    pub packets: u64,
    pub unknown: u64,
    /// Streams dropped because a packet made them panic.
    pub failed: u64,
    /// Pump threads that went silent and were replaced.
    pub replaced: u64,
    /// Time at work of all threads since the start.
    pub busy: Duration,
    pub sockets: Vec<SocketStats>,
}
