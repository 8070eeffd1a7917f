//! A recording: a manifest of segments. The WAV is a rendering of it.

use crate::clock::Timestamp;
use crate::id::{CallId, RecordingId, TenantId};
use crate::track::TrackId;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    pub id: RecordingId,
    pub tenant_id: TenantId,
    pub call_session_id: CallId,
    pub status: RecordingStatus,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub duration_ms: u64,
    /// 2: caller left, callee right. 1: mixed.
    pub channels: u16,
    pub sample_rate: u32,
    /// Size of the rendered WAV.
    pub bytes: u64,
    /// Of the rendered WAV, lower-case hex, once saved.
    pub sha256: Option<String>,
    pub renderer_version: u16,
    pub tracks: Vec<TrackId>,
    pub segments: Vec<Segment>,
    /// On the recording's own timeline.
    pub gaps: Vec<GapMark>,
    /// Why it is partial or failed, in words.
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingStatus {
    Active,
    Paused,
    Saved,
    /// Saved, but a part of the call is missing: see `gaps`.
    Partial,
    Failed,
}

/// An uninterrupted stay of a tap, as track files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub n: u32,
    pub node: String,
    pub epoch: u64,
    /// Which making of the tap this was, from 1.
    pub tap: u32,
    pub state: SegmentState,
    /// Offset on the recording's timeline in samples.
    pub from_media_time: u64,
    /// Length in samples.
    pub samples: u64,
    pub tracks: Vec<SegmentTrack>,
    pub gaps: Vec<GapMark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentState {
    Open,
    Closed,
    /// Cut at its last whole block after a death.
    Repaired,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentTrack {
    pub track: TrackId,
    /// Key in the blob store once closed.
    pub blob: Option<String>,
    pub bytes: u64,
    pub sha256: Option<String>,
}

/// A stretch without audio of which we know why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapMark {
    /// `None`: all tracks.
    pub track: Option<TrackId>,
    pub from_sample: u64,
    pub samples: u64,
    pub why: GapReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// Packets that never came.
    Loss,
    Paused,
    /// The tap was made again.
    TapRemade,
    /// The node was down.
    NodeDown,
    /// The writer could not keep up or the disk failed.
    Overrun,
}
