#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::track_file::{Folder, TrackFile, TrackHeader};
use aimg_domain::recording::{RecordingStatus, Segment, SegmentState, SegmentTrack};
use aimg_domain::{CallId, RecordingId, TenantId, Timestamp};
use proptest::prelude::*;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use uuid::Uuid;

fn recording(channels: u16, segments: Vec<Segment>) -> Recording {
    Recording {
        id: RecordingId(Uuid::from_u128(1)),
        tenant_id: TenantId(Uuid::from_u128(2)),
        call_session_id: CallId(Uuid::from_u128(3)),
        status: RecordingStatus::Saved,
        started_at: Timestamp(0),
        ended_at: None,
        duration_ms: 0,
        channels,
        sample_rate: 8000,
        bytes: 0,
        sha256: None,
        renderer_version: RENDERER_VERSION,
        tracks: vec![],
        segments,
        gaps: vec![],
        reason: None,
    }
}

fn segment(n: u32, from: u64, samples: u64, tracks: &[TrackId]) -> Segment {
    Segment {
        n,
        node: "here".into(),
        epoch: 1,
        tap: 1,
        state: SegmentState::Closed,
        from_media_time: from,
        samples,
        tracks: tracks
            .iter()
            .map(|&track| SegmentTrack {
                track,
                blob: None,
                bytes: 0,
                sha256: None,
            })
            .collect(),
        gaps: vec![],
    }
}

struct Files {
    folder: TempDir,
}

type Opener = Arc<dyn Fn(&Segment, TrackId) -> io::Result<Option<Box<dyn OpenedTrack>>> + Send + Sync>;

#[derive(Clone)]
struct Source(Opener);

impl TrackSource for Source {
    fn open(&self, segment: &Segment, track: TrackId) -> io::Result<Option<Box<dyn OpenedTrack>>> {
        (self.0)(segment, track)
    }
}

impl Files {
    fn new() -> Files {
        Files {
            folder: TempDir::new().unwrap(),
        }
    }

    fn path(&self, n: u32, track: TrackId) -> PathBuf {
        self.folder.path().join(format!("{n}-{}", track.as_str()))
    }

    fn write(&self, n: u32, track: TrackId, rate: u32, blocks: &[(u64, Vec<i16>)]) {
        let header = TrackHeader {
            recording: RecordingId(Uuid::from_u128(1)),
            segment: n,
            epoch: 1,
            track,
            rate,
        };
        let mut file = TrackFile::create(&Folder, &self.path(n, track), &header).unwrap();
        blocks.iter().for_each(|(at, audio)| file.audio(*at, audio).unwrap());
        file.close().1.unwrap();
    }

    fn source(&self) -> Source {
        let folder = self.folder.path().to_path_buf();
        Source(Arc::new(move |segment, track| {
            let path = folder.join(format!("{}-{}", segment.n, track.as_str()));
            Ok(if path.exists() { Some(Box::new(File::open(path)?)) } else { None })
        }))
    }

    fn render(&self, recording: &Recording, range: Range<u64>) -> Vec<u8> {
        let mut out = Vec::new();
        WavRender::new(recording, self.source(), range).unwrap().read_to_end(&mut out).unwrap();
        out
    }
}

fn samples(wav: &[u8]) -> Vec<i16> {
    wav[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

#[test]
fn the_caller_is_left_the_callee_right_and_between_blocks_is_silence() {
    let files = Files::new();
    files.write(1, TrackId::Caller, 8000, &[(1, vec![10, 11])]);
    files.write(1, TrackId::Callee, 8000, &[(0, vec![20]), (3, vec![21])]);
    files.write(2, TrackId::Caller, 8000, &[(5, vec![12])]);
    let recording = recording(
        2,
        vec![
            segment(2, 5, 2, &[TrackId::Caller, TrackId::Callee]),
            segment(1, 0, 5, &[TrackId::Caller, TrackId::Callee]),
        ],
    );
    let wav = files.render(&recording, 0..u64::MAX);
    assert_eq!(samples(&wav), [0, 20, 10, 0, 11, 0, 0, 21, 0, 0, 12, 0, 0, 0]);
    let layout = WavLayout::of(&recording).unwrap();
    assert_eq!((layout.len(), layout.samples(), layout.is_rf64()), (wav.len() as u64, 7, false));
    assert_eq!((&wav[0..4], &wav[8..16], &wav[36..40]), (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]));
    assert_eq!(&wav[4..8], &((wav.len() - 8) as u32).to_le_bytes());
    assert_eq!(&wav[40..44], &28u32.to_le_bytes());
    assert_eq!(wav[22..36], [2, 0, 0x40, 0x1f, 0, 0, 0, 0x7d, 0, 0, 4, 0, 16, 0]);
    assert_eq!(
        render_sha256(&recording, files.source()).unwrap(),
        (crate::track_file::hex(&Sha256::digest(&wav)), wav.len() as u64)
    );
}

#[test]
fn mono_is_the_clipped_sum_and_a_mixed_track_is_on_both_sides_of_stereo() {
    let files = Files::new();
    files.write(1, TrackId::Caller, 8000, &[(0, vec![100, 30_000, -30_000])]);
    files.write(1, TrackId::Callee, 8000, &[(0, vec![-30, 30_000, -30_000])]);
    files.write(2, TrackId::Mixed, 8000, &[(3, vec![5])]);
    let segments = vec![segment(1, 0, 3, &[TrackId::Caller, TrackId::Callee]), segment(2, 3, 1, &[TrackId::Mixed])];
    assert_eq!(samples(&files.render(&recording(1, segments.clone()), 0..u64::MAX)), [70, 32767, -32768, 5]);
    assert_eq!(
        samples(&files.render(&recording(2, segments), 0..u64::MAX)),
        [100, -30, 30_000, 30_000, -30_000, -30_000, 5, 5]
    );
}

#[test]
fn what_cannot_be_rendered_says_why() {
    let files = Files::new();
    files.write(1, TrackId::Caller, 16000, &[(0, vec![1; 10])]);
    let segments = vec![segment(1, 0, 10, &[TrackId::Caller])];
    assert!(matches!(
        WavRender::new(&recording(3, segments.clone()), files.source(), 0..10),
        Err(RenderError::Channels(3))
    ));
    let error = render_sha256(&recording(2, segments), files.source()).unwrap_err();
    assert!(error.to_string().contains("16000"), "{error}");
    let mut bytes = std::fs::read(files.path(1, TrackId::Caller)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(files.path(1, TrackId::Caller), bytes).unwrap();
    let damaged = Recording {
        sample_rate: 16000,
        ..recording(2, vec![segment(1, 0, 10, &[TrackId::Caller])])
    };
    let error = render_sha256(&damaged, files.source()).unwrap_err();
    assert!(error.to_string().contains("segment 1, caller"), "{error}");
}

#[test]
fn above_four_gigabytes_it_is_rf64() {
    let long = recording(2, vec![segment(1, 0, 1 << 30, &[TrackId::Caller])]);
    let layout = WavLayout::of(&long).unwrap();
    let header = layout.header();
    assert!(layout.is_rf64());
    assert_eq!((layout.len(), header.len()), ((1 << 32) + 80, 80));
    assert_eq!((&header[0..8], &header[12..16]), (&b"RF64\xff\xff\xff\xff"[..], &b"ds64"[..]));
    assert_eq!(header[20..28], ((1u64 << 32) + 72).to_le_bytes());
    assert_eq!(header[28..36], (1u64 << 32).to_le_bytes());
    assert_eq!(header[36..44], (1u64 << 30).to_le_bytes());
    // The last bytes come without what lies before them.
    assert_eq!(Files::new().render(&long, layout.len() - 8..u64::MAX), [0; 8]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_range_is_that_part_of_the_whole(
        blocks in proptest::collection::vec((0u64..3000, 1usize..5000), 0..8),
        other in proptest::collection::vec((0u64..3000, 1usize..5000), 0..8),
        a in 0.0f64..1.1, b in 0.0f64..1.1, channels in 1u16..=2,
    ) {
        let files = Files::new();
        let lay = |track: TrackId, pieces: &[(u64, usize)], seed: usize| {
            let (mut at, mut blocks) = (0, Vec::new());
            for &(before, samples) in pieces {
                at += before;
                blocks.push((at, (0..samples).map(|n| ((n + seed) * 7919 % 60_000) as i16).collect::<Vec<i16>>()));
                at += samples as u64;
            }
            files.write(1, track, 8000, &blocks);
            let mut flat = vec![0i16; at as usize];
            blocks.iter().for_each(|(at, audio)| flat[*at as usize..][..audio.len()].copy_from_slice(audio));
            flat
        };
        let (left, right) = (lay(TrackId::Caller, &blocks, 1), lay(TrackId::Callee, &other, 50));
        let length = left.len().max(right.len());
        let recording = recording(channels, vec![segment(1, 0, length as u64, &[TrackId::Caller, TrackId::Callee])]);
        let whole = files.render(&recording, 0..u64::MAX);
        let at = |track: &Vec<i16>, n: usize| track.get(n).copied().unwrap_or(0);
        let expected: Vec<i16> = (0..length).flat_map(|n| {
            let (left, right) = (at(&left, n), at(&right, n));
            if channels == 2 { vec![left, right] } else { vec![left.saturating_add(right)] }
        }).collect();
        prop_assert_eq!(samples(&whole), expected);
        let (from, to) = ((whole.len() as f64 * a.min(b)) as u64, (whole.len() as f64 * a.max(b)) as u64);
        let to_cut = (to as usize).min(whole.len());
        prop_assert_eq!(files.render(&recording, from..to), &whole[(from as usize).min(to_cut)..to_cut]);
    }
}
