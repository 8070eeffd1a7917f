//! The download: a WAV, any range of it, exactly the bytes whose hash is told.

use crate::support::{Rig, call};
use aimg_domain::recording::{Recording, RecordingStatus, Segment, SegmentState, SegmentTrack};
use aimg_domain::{RecordingId, TenantId, TrackId};
use aimg_recording::track_file::Folder;
use aimg_recording::{RENDERER_VERSION, TrackFile, TrackHeader};
use aimg_store::blobs::{self, BlobPath};
use reqwest::Method;
use sha2::{Digest, Sha256};
use uuid::Uuid;

const OPERATOR: &str = "operator@alpha.org";
const SAMPLES: usize = 200_000;

async fn track(rig: &Rig, recording: RecordingId, track: TrackId) -> SegmentTrack {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("track");
    let header = TrackHeader {
        recording,
        segment: 1,
        epoch: 1,
        track,
        rate: 8000,
    };
    let mut file = TrackFile::create(&Folder, &path, &header).unwrap();
    let step = if track == TrackId::Caller { 7 } else { 13 };
    let audio: Vec<i16> = (0..SAMPLES).map(|n| ((n * step) % 20_000) as i16).collect();
    for (n, block) in audio.chunks(8000).enumerate() {
        file.audio(n as u64 * 8000, block).unwrap();
    }
    let (closed, result) = file.close();
    result.unwrap();
    let key = format!("recordings/{recording}/1-{}", track.as_str());
    blobs::put_file(rig.blobs.as_ref(), &BlobPath::from(key.as_str()), &path).await.unwrap();
    SegmentTrack {
        track,
        blob: Some(key),
        bytes: closed.bytes,
        sha256: Some(closed.sha256),
    }
}

pub async fn saved(rig: &Rig, tenant: TenantId) -> Recording {
    let id = RecordingId(Uuid::now_v7());
    let length = 44 + SAMPLES as u64 * 4;
    let mut recording = Recording {
        id,
        tenant_id: tenant,
        call_session_id: call(tenant, 0).id,
        status: RecordingStatus::Saved,
        started_at: rig_time(),
        ended_at: None,
        duration_ms: 25_000,
        channels: 2,
        sample_rate: 8000,
        bytes: length,
        sha256: None,
        renderer_version: RENDERER_VERSION,
        tracks: vec![TrackId::Caller, TrackId::Callee],
        segments: vec![Segment {
            n: 1,
            node: "n1".into(),
            epoch: 1,
            tap: 1,
            state: SegmentState::Closed,
            from_media_time: 0,
            samples: SAMPLES as u64,
            tracks: vec![track(rig, id, TrackId::Caller).await, track(rig, id, TrackId::Callee).await],
            gaps: Vec::new(),
        }],
        gaps: Vec::new(),
        reason: None,
    };
    recording.sha256 = Some(format!("{:064x}", 7));
    rig.repos.recordings.create(&recording).await.unwrap();
    recording
}

fn rig_time() -> aimg_domain::Timestamp {
    aimg_domain::Timestamp(1_799_999_000_000)
}

fn path(recording: &Recording) -> String {
    format!("/api/v1/audio-recordings/{}/download", recording.id)
}

#[tokio::test]
async fn the_whole_is_a_wav_of_the_length_told() {
    let rig = Rig::start().await;
    let recording = saved(&rig, rig.a).await;
    let response = rig.by(OPERATOR, Method::GET, &path(&recording)).await.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((header("content-type"), header("accept-ranges")), ("audio/wav".into(), "bytes".into()));
    assert_eq!(header("content-length"), recording.bytes.to_string());
    assert_eq!(header("etag"), format!("\"{}\"", recording.sha256.clone().unwrap()));
    let wav = response.bytes().await.unwrap();
    assert_eq!((wav.len() as u64, &wav[..4]), (recording.bytes, &b"RIFF"[..]));
    let sample = |n: usize, channel: usize| i16::from_le_bytes([wav[44 + n * 4 + channel * 2], wav[45 + n * 4 + channel * 2]]);
    for n in [0, 1, 7999, 8000, 123_456, SAMPLES - 1] {
        assert_eq!((sample(n, 0), sample(n, 1)), (((n * 7) % 20_000) as i16, ((n * 13) % 20_000) as i16), "{n}");
    }
}

#[tokio::test]
async fn any_range_is_that_part_of_the_whole() {
    let rig = Rig::start().await;
    let recording = saved(&rig, rig.a).await;
    let whole = rig
        .by(OPERATOR, Method::GET, &path(&recording))
        .await
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let n = whole.len();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=43-46", 43, 47),
        ("bytes=1000-70000", 1000, 70_001),
        ("bytes=-5", n - 5, n),
        ("bytes=700001-", 700_001, n),
    ] {
        let response = rig
            .by(OPERATOR, Method::GET, &path(&recording))
            .await
            .header("range", range)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 206, "{range}");
        assert_eq!(response.headers()["content-range"], format!("bytes {from}-{}/{n}", to - 1));
        assert_eq!(Sha256::digest(response.bytes().await.unwrap()), Sha256::digest(&whole[from..to]), "{range}");
    }
    let beyond = rig
        .by(OPERATOR, Method::GET, &path(&recording))
        .await
        .header("range", "bytes=99999999-")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (beyond.status().as_u16(), beyond.headers()["content-range"].to_str().unwrap()),
        (416, format!("bytes */{n}").as_str())
    );
}

#[tokio::test]
async fn conditions_decide_between_part_whole_and_nothing() {
    let rig = Rig::start().await;
    let recording = saved(&rig, rig.a).await;
    let tag = format!("\"{}\"", recording.sha256.clone().unwrap());
    for (name, value, expected) in [
        ("if-range", tag.as_str(), 206),
        ("if-range", "\"another\"", 200),
        ("if-range", "Wed, 21 Oct 2026 07:28:00 GMT", 200),
        ("if-none-match", tag.as_str(), 304),
        ("if-none-match", "\"another\"", 206),
    ] {
        let request = rig
            .by(OPERATOR, Method::GET, &path(&recording))
            .await
            .header("range", "bytes=0-9")
            .header(name, value);
        assert_eq!(request.send().await.unwrap().status().as_u16(), expected, "{name}: {value}");
    }
    let head = rig.by(OPERATOR, Method::HEAD, &path(&recording)).await.send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()),
        (200, recording.bytes.to_string().as_str())
    );
    assert!(head.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_finished_or_lost_is_said() {
    let rig = Rig::start().await;
    let mut recording = saved(&rig, rig.a).await;
    let (_, list) = rig
        .get(OPERATOR, &format!("/api/v1/audio-recordings?call_session_id={}", recording.call_session_id))
        .await;
    assert_eq!(list["results"][0]["segments"][0]["samples"], SAMPLES as u64);
    let key = recording.segments[0].tracks[1].blob.clone().unwrap();
    blobs::delete(rig.blobs.as_ref(), &BlobPath::from(key.as_str())).await.unwrap();
    assert_eq!(rig.get(OPERATOR, &path(&recording)).await.0, 404);
    recording.status = RecordingStatus::Active;
    rig.repos.recordings.update(&recording, 1).await.unwrap();
    let (status, problem) = rig.get(OPERATOR, &path(&recording)).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("not_possible_here")));
}
