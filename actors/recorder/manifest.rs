//! The manifest of a recording, as it grows: pure.

use aimg_domain::Timestamp;
use aimg_domain::recording::{GapMark, GapReason, Recording, RecordingStatus, Segment, SegmentState, SegmentTrack};
use aimg_domain::{CallId, RecordingId, TenantId, TrackId};

pub fn begin(id: RecordingId, tenant: TenantId, call: CallId, at: Timestamp, tracks: Vec<TrackId>, sample_rate: u32) -> Recording {
    let channels = if tracks.contains(&TrackId::Mixed) { 1 } else { 2 };
    Recording {
        id,
        tenant_id: tenant,
        call_session_id: call,
        status: RecordingStatus::Active,
        started_at: at,
        ended_at: None,
        duration_ms: 0,
        channels,
        sample_rate,
        bytes: 0,
        sha256: None,
        renderer_version: aimg_recording::RENDERER_VERSION,
        tracks,
        segments: Vec::new(),
        gaps: Vec::new(),
        reason: None,
    }
}

/// Opens a segment at `from` and marks why there is nothing between the last one and it.
pub fn open_segment(recording: &mut Recording, node: &str, epoch: u64, tap: u32, from: u64) -> u32 {
    let n = recording.segments.last().map_or(1, |segment| segment.n + 1);
    if let Some(last) = recording.segments.last() {
        let end = last.from_media_time + last.samples;
        if from > end {
            let why = if last.state == SegmentState::Repaired {
                GapReason::NodeDown
            } else {
                GapReason::TapRemade
            };
            recording.gaps.push(GapMark {
                track: None,
                from_sample: end,
                samples: from - end,
                why,
            });
        }
    }
    let tracks = recording
        .tracks
        .iter()
        .map(|track| SegmentTrack {
            track: *track,
            blob: None,
            bytes: 0,
            sha256: None,
        })
        .collect();
    recording.segments.push(Segment {
        n,
        node: node.to_owned(),
        epoch,
        tap,
        state: SegmentState::Open,
        from_media_time: from,
        samples: 0,
        tracks,
        gaps: Vec::new(),
    });
    n
}

pub fn close_segment(recording: &mut Recording, closed: Segment) {
    match recording.segments.iter_mut().find(|segment| segment.n == closed.n) {
        Some(segment) => *segment = closed,
        None => recording.segments.push(closed),
    }
}

/// Nothing more comes. The status says whether anything of the call is missing.
pub fn conclude(recording: &mut Recording, at: Timestamp, why: Option<String>) {
    recording.ended_at = Some(at);
    // Segments in which nothing was ever heard say nothing; a recording of none has failed.
    recording.segments.retain(|segment| segment.samples > 0);
    let inside = recording.segments.iter().flat_map(|segment| &segment.gaps);
    let mut gaps: Vec<GapMark> = inside.chain(&recording.gaps).cloned().collect();
    gaps.sort_by_key(|gap| (gap.from_sample, gap.track));
    gaps.dedup();
    let end = recording.segments.last().map_or(0, |segment| segment.from_media_time + segment.samples);
    gaps.retain(|gap| gap.from_sample < end);
    let torn = gaps
        .iter()
        .any(|gap| matches!(gap.why, GapReason::TapRemade | GapReason::NodeDown | GapReason::Overrun));
    recording.gaps = gaps;
    recording.duration_ms = end * 1000 / u64::from(recording.sample_rate.max(1));
    recording.reason = recording.reason.take().or(why);
    recording.status = if recording.segments.is_empty() {
        RecordingStatus::Failed
    } else if torn || recording.reason.is_some() {
        RecordingStatus::Partial
    } else {
        RecordingStatus::Saved
    };
    if recording.status == RecordingStatus::Failed {
        recording.reason.get_or_insert_with(|| "no audio arrived while it was recording".into());
    } else if torn {
        recording.reason.get_or_insert_with(|| "a part of the call is missing, see gaps".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn recording() -> Recording {
        let id = Uuid::from_u128(1);
        begin(
            RecordingId(id),
            TenantId(id),
            CallId(id),
            Timestamp(0),
            vec![TrackId::Caller, TrackId::Callee],
            8000,
        )
    }

    fn close(recording: &mut Recording, samples: u64, state: SegmentState) {
        let segment = recording.segments.last().cloned();
        if let Some(segment) = segment {
            close_segment(recording, Segment { samples, state, ..segment });
        }
    }

    #[test]
    fn one_whole_segment_is_saved() {
        let mut recording = recording();
        assert_eq!(open_segment(&mut recording, "n", 1, 1, 0), 1);
        close(&mut recording, 16_000, SegmentState::Closed);
        conclude(&mut recording, Timestamp(2000), None);
        assert_eq!((recording.status, recording.duration_ms, recording.channels), (RecordingStatus::Saved, 2000, 2));
        assert!(recording.gaps.is_empty() && recording.reason.is_none());
    }

    #[test]
    fn a_death_in_between_makes_it_partial_with_the_gap() {
        let mut recording = recording();
        open_segment(&mut recording, "n", 1, 1, 0);
        close(&mut recording, 8000, SegmentState::Repaired);
        assert_eq!(open_segment(&mut recording, "n", 2, 1, 24_000), 2);
        close(&mut recording, 8000, SegmentState::Closed);
        conclude(&mut recording, Timestamp(4000), None);
        assert_eq!(recording.status, RecordingStatus::Partial);
        assert_eq!(
            recording.gaps,
            [GapMark {
                track: None,
                from_sample: 8000,
                samples: 16_000,
                why: GapReason::NodeDown
            }]
        );
        assert_eq!(recording.duration_ms, 4000);
    }

    #[test]
    fn without_audio_it_failed_and_says_so() {
        let mut recording = recording();
        open_segment(&mut recording, "n", 1, 1, 0);
        conclude(&mut recording, Timestamp(1), None);
        assert_eq!(recording.status, RecordingStatus::Failed);
        assert!(recording.reason.is_some());
    }

    #[test]
    fn a_pause_is_a_gap_but_nothing_is_missing() {
        let mut recording = recording();
        open_segment(&mut recording, "n", 1, 1, 0);
        if let Some(segment) = recording.segments.last_mut() {
            segment.gaps.push(GapMark {
                track: None,
                from_sample: 100,
                samples: 50,
                why: GapReason::Paused,
            });
        }
        close(&mut recording, 8000, SegmentState::Closed);
        conclude(&mut recording, Timestamp(1000), None);
        assert_eq!((recording.status, recording.gaps.len()), (RecordingStatus::Saved, 1));
    }
}
