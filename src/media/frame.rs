//! A piece of a stream's timeline: decoded audio, or a stretch of which we know why there is none.

use std::time::Duration;

/// One frame. Frames of a stream follow each other without holes: `media_time + samples` of one is the `media_time` of the next,
/// and a stream keeps one rate for life. What a reader did not get shows as [`crate::Read::Lagged`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Position in the ring, from 0, without holes.
    pub seq: u64,
    /// Samples since the stream's first frame, by RTP timestamps (not by arrival).
    pub media_time: u64,
    /// Samples a second.
    pub rate: u32,
    pub kind: FrameKind,
    /// Length in samples. Of a gap too, which may be minutes long: never allocate by it.
    pub samples: u64,
    /// The audio: `samples` long for [`FrameKind::Audio`], empty for gaps.
    pub audio: Vec<i16>,
    /// When the packet that carried it, or ended the gap, arrived: monotonic.
    pub received_at: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    Audio,
    /// The sender sent nothing: its timestamps jumped while its sequence numbers did not.
    Silence,
    /// Packets that never came, or came too late.
    Lost,
    /// The sender began a new timeline (another SSRC, a jump of its clock). The length is the time that passed here meanwhile.
    Resync,
}

impl Frame {
    /// Where the next frame begins.
    pub fn end(&self) -> u64 {
        self.media_time.saturating_add(self.samples)
    }
}
