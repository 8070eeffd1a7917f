//! A recording as it is shown.

use aimg_domain::recording::{GapMark, GapReason, Recording, RecordingStatus, Segment, SegmentState};
use aimg_domain::{CallId, RecordingId, TenantId, Timestamp, TrackId};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = AudioRecording)]
pub struct RecordingView {
    #[schema(value_type = uuid::Uuid)]
    pub id: RecordingId,
    #[schema(value_type = uuid::Uuid)]
    tenant_id: TenantId,
    #[schema(value_type = uuid::Uuid)]
    call_session_id: CallId,
    /// `active`, `paused`, `saved`, `partial` or `failed`
    #[schema(value_type = String)]
    status: RecordingStatus,
    /// Why it is partial or failed.
    reason: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    duration_ms: u64,
    /// 2: caller left, callee right
    channels: u16,
    sample_rate: u32,
    /// Of the WAV
    bytes: u64,
    /// Of the WAV, once saved
    sha256: Option<String>,
    #[schema(value_type = Vec<String>)]
    tracks: Vec<TrackId>,
    gaps: Vec<GapMarkView>,
    segments: Vec<SegmentView>,
}

#[derive(Serialize, ToSchema)]
pub struct GapMarkView {
    /// null: all tracks
    #[schema(value_type = Option<String>)]
    track: Option<TrackId>,
    from_sample: u64,
    samples: u64,
    /// `loss`, `paused`, `tap_remade`, `node_down` or `overrun`
    #[schema(value_type = String)]
    why: GapReason,
}

#[derive(Serialize, ToSchema)]
pub struct SegmentView {
    n: u32,
    node: String,
    epoch: u64,
    /// Which making of the tap this was, from 1
    tap: u32,
    /// `open`, `closed` or `repaired`
    #[schema(value_type = String)]
    state: SegmentState,
    from_media_time: u64,
    samples: u64,
    gaps: Vec<GapMarkView>,
}

impl RecordingView {
    pub fn of(recording: &Recording) -> RecordingView {
        RecordingView {
            id: recording.id,
            tenant_id: recording.tenant_id,
            call_session_id: recording.call_session_id,
            status: recording.status,
            reason: recording.reason.clone(),
            started_at: recording.started_at,
            ended_at: recording.ended_at,
            duration_ms: recording.duration_ms,
            channels: recording.channels,
            sample_rate: recording.sample_rate,
            bytes: recording.bytes,
            sha256: recording.sha256.clone(),
            tracks: recording.tracks.clone(),
            gaps: recording.gaps.iter().map(GapMarkView::of).collect(),
            segments: recording.segments.iter().map(SegmentView::of).collect(),
        }
    }
}

impl GapMarkView {
    fn of(gap: &GapMark) -> GapMarkView {
        GapMarkView {
            track: gap.track,
            from_sample: gap.from_sample,
            samples: gap.samples,
            why: gap.why,
        }
    }
}

impl SegmentView {
    fn of(segment: &Segment) -> SegmentView {
        SegmentView {
            n: segment.n,
            node: segment.node.clone(),
            epoch: segment.epoch,
            tap: segment.tap,
            state: segment.state,
            from_media_time: segment.from_media_time,
            samples: segment.samples,
            gaps: segment.gaps.iter().map(GapMarkView::of).collect(),
        }
    }
}
