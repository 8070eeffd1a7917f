#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::track_file::{BlockKind, Storage, TrackReader, repair};
use aimg_domain::Timestamp;
use aimg_domain::recording::GapReason;
use aimg_media::ring::FrameHead;
use aimg_media::{FrameKind, FrameRing, RingWriter};
use proptest::prelude::*;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use tempfile::TempDir;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(20);

/// Stands still until told.
#[derive(Default)]
struct Held(AtomicU64);

impl Held {
    fn set_ms(&self, ms: u64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct Source {
    ring: Arc<FrameRing>,
    writer: RingWriter,
    at: u64,
}

impl Source {
    fn new(frames: usize) -> Source {
        let ring = FrameRing::new(frames);
        Source {
            writer: ring.writer(),
            ring,
            at: 0,
        }
    }

    fn input(&self, track: TrackId) -> TrackInput {
        TrackInput {
            track,
            reader: self.ring.reader(),
        }
    }

    fn frame(&mut self, kind: FrameKind, samples: u64, value: i16, received_ms: u64) {
        let audio = if kind == FrameKind::Audio { vec![value; samples as usize] } else { vec![] };
        let head = FrameHead {
            media_time: self.at,
            rate: 8000,
            kind,
            samples,
            received_at: Duration::from_millis(received_ms),
        };
        assert!(self.writer.write(head, &audio));
        self.at += samples;
    }
}

struct Rig {
    pool: WriterPool,
    clock: Arc<Held>,
    folder: TempDir,
    events: Arc<Mutex<Vec<SegmentEvent>>>,
}

fn rig() -> Rig {
    rig_on(Arc::new(Folder))
}

fn rig_on(disk: Arc<dyn Disk>) -> Rig {
    let clock = Arc::new(Held::default());
    clock.set_ms(1000);
    Rig {
        pool: WriterPool::on(disk, 1, clock.clone()).unwrap(),
        clock,
        folder: TempDir::new().unwrap(),
        events: Arc::default(),
    }
}

impl Rig {
    fn spec(&self, n: u32) -> SegmentSpec {
        SegmentSpec {
            recording: RecordingId(Uuid::from_u128(5)),
            n,
            node: "here".into(),
            epoch: 1,
            tap: 1,
            folder: self.folder.path().to_path_buf(),
            timeline: Timeline::starting(Duration::from_millis(1000), 8000),
            from_media_time: 0,
        }
    }

    fn record(&self, inputs: Vec<TrackInput>) -> SegmentHandle {
        let events = self.events.clone();
        self.pool
            .record(self.spec(1), inputs, Box::new(move |event| events.lock().push(event)))
            .unwrap()
    }

    fn stop(&self, handle: &SegmentHandle, ms: u64) -> SegmentSummary {
        self.clock.set_ms(ms);
        handle.stop();
        handle.wait(DEADLINE).expect("closed in time")
    }

    /// Blocks of audio as `(media time, samples, value)`, gaps left out.
    fn blocks(&self, n: u32, track: TrackId) -> Vec<(u64, u64, i16)> {
        let mut reader = TrackReader::open(std::fs::File::open(self.spec(n).path(track)).unwrap()).unwrap();
        let (mut blocks, mut audio) = (Vec::<(u64, u64, i16)>::new(), Vec::new());
        while let Some(block) = reader.next_block().unwrap() {
            assert!(reader.read_audio(&mut audio).unwrap());
            for (at, &value) in (block.media_time..).zip(&audio) {
                match blocks.last_mut() {
                    Some(last) if last.0 + last.1 == at && last.2 == value => last.1 += 1,
                    _ => blocks.push((at, 1, value)),
                }
            }
            assert!(block.kind == BlockKind::Audio || audio.is_empty());
        }
        blocks
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "never: {what}");
        std::thread::yield_now();
    }
}

fn gaps(summary: &SegmentSummary) -> Vec<(Option<TrackId>, u64, u64, GapReason)> {
    summary
        .segment
        .gaps
        .iter()
        .map(|gap| (gap.track, gap.from_sample, gap.samples, gap.why))
        .collect()
}

#[test]
fn tracks_are_aligned_by_their_first_arrival_and_then_by_media_time() {
    let rig = rig();
    let (mut caller, mut callee) = (Source::new(64), Source::new(64));
    caller.frame(FrameKind::Audio, 160, 99, 900);
    let handle = rig.record(vec![caller.input(TrackId::Caller), callee.input(TrackId::Callee)]);
    caller.frame(FrameKind::Audio, 160, 1, 1010);
    // Arrival jitters; the place does not.
    caller.frame(FrameKind::Audio, 160, 2, 1047);
    caller.frame(FrameKind::Silence, 800, 0, 1150);
    caller.frame(FrameKind::Audio, 160, 3, 1150);
    callee.frame(FrameKind::Audio, 160, 7, 1030);
    callee.frame(FrameKind::Lost, 320, 0, 1090);
    callee.frame(FrameKind::Audio, 160, 8, 1090);
    let summary = rig.stop(&handle, 1300);
    assert_eq!(rig.blocks(1, TrackId::Caller), [(80, 160, 1), (240, 160, 2), (1200, 160, 3)]);
    assert_eq!(rig.blocks(1, TrackId::Callee), [(240, 160, 7), (720, 160, 8)]);
    assert_eq!(gaps(&summary), [(Some(TrackId::Callee), 400, 320, GapReason::Loss)]);
    assert_eq!((summary.segment.from_media_time, summary.segment.samples), (0, 2400));
    assert_eq!(summary.segment.tracks.len(), 2);
    for (track, path) in &summary.files {
        let repaired = repair(path).unwrap();
        let row = summary.segment.tracks.iter().find(|row| row.track == *track).unwrap();
        assert_eq!((Some(repaired.sha256), repaired.bytes, repaired.cut_bytes), (row.sha256.clone(), row.bytes, 0));
    }
    assert_eq!(*rig.events.lock(), [SegmentEvent::Finished(summary)]);
}

#[test]
fn what_arrives_in_a_pause_is_never_written_however_late_it_is_read() {
    let rig = rig();
    let mut source = Source::new(64);
    let handle = rig.record(vec![source.input(TrackId::Mixed)]);
    rig.clock.set_ms(1100);
    handle.pause();
    assert!(handle.snapshot().paused);
    rig.clock.set_ms(1200);
    handle.resume();
    // Read after the resume; what arrived before, in and after the pause.
    for received in (1000..=1300).step_by(20) {
        source.frame(FrameKind::Audio, 160, (received / 20) as i16, received);
    }
    let summary = rig.stop(&handle, 1400);
    let values: Vec<i16> = rig.blocks(1, TrackId::Mixed).iter().map(|block| block.2).collect();
    // 1200 began in the pause.
    assert_eq!(values, (50..55).chain(61..=65).collect::<Vec<i16>>());
    assert_eq!(gaps(&summary), [(None, 800, 800, GapReason::Paused)]);
}

#[test]
fn a_stop_in_a_pause_marks_it_to_the_end() {
    let rig = rig();
    let source = Source::new(64);
    let handle = rig.record(vec![source.input(TrackId::Mixed)]);
    rig.clock.set_ms(1100);
    handle.pause();
    handle.pause();
    let summary = rig.stop(&handle, 1500);
    assert_eq!(gaps(&summary), [(None, 800, 3200, GapReason::Paused)]);
}

#[test]
fn frames_the_writer_was_too_slow_for_are_a_marked_gap() {
    let clock = Arc::new(Held::default());
    clock.set_ms(1000);
    let mut source = Source::new(4);
    let folder = TempDir::new().unwrap();
    let mut track = track::TrackWriter::new(TrackId::Caller, source.ring.reader(), Timeline::starting(Duration::from_millis(1000), 8000), 0);
    let header = crate::TrackHeader {
        recording: RecordingId(Uuid::from_u128(1)),
        segment: 1,
        epoch: 1,
        track: TrackId::Caller,
        rate: 8000,
    };
    let mut file = crate::TrackFile::create(&Folder, &folder.path().join("x"), &header).unwrap();
    source.frame(FrameKind::Audio, 160, 1, 1000);
    track.drain(&mut file, &[], None).unwrap();
    for n in 0..10 {
        source.frame(FrameKind::Audio, 160, 2, 1020 + n * 20);
    }
    track.drain(&mut file, &[], None).unwrap();
    assert_eq!(
        track.gaps.iter().map(|gap| (gap.from_sample, gap.samples, gap.why)).collect::<Vec<_>>(),
        [(160, 6 * 160, GapReason::Overrun)]
    );
    assert_eq!((track.end(), track.overrun_samples), (11 * 160, 960));
}

#[test]
fn rotation_loses_and_doubles_no_sample() {
    let rig = rig();
    let mut source = Source::new(64);
    let handle = rig.record(vec![source.input(TrackId::Caller)]);
    for n in 0..10 {
        source.frame(FrameKind::Audio, 160, n, 1005 + n as u64 * 21);
    }
    handle.rotate(rig.spec(2));
    until("rotated", || !rig.events.lock().is_empty());
    for n in 10..20 {
        source.frame(FrameKind::Audio, 160, n, 1005 + n as u64 * 21);
    }
    let second = rig.stop(&handle, 1440);
    let SegmentEvent::Rotated(first) = rig.events.lock()[0].clone() else {
        panic!("not rotated")
    };
    assert_eq!((first.segment.n, second.segment.n), (1, 2));
    assert_eq!(first.segment.from_media_time + first.segment.samples, second.segment.from_media_time);
    let all: Vec<_> = rig.blocks(1, TrackId::Caller).into_iter().chain(rig.blocks(2, TrackId::Caller)).collect();
    let whole: Vec<_> = (0..20).map(|n| (40 + n * 160, 160, n as i16)).collect();
    assert_eq!(all, whole);
}

#[test]
fn a_segment_whose_handle_is_gone_goes_on_until_adopted_and_ends_if_it_is_not() {
    let rig = rig();
    let mut source = Source::new(64);
    let handle = rig.record(vec![source.input(TrackId::Caller)]);
    let recording = rig.spec(1).recording;
    assert!(rig.pool.adopt(recording).is_none(), "it has a handle");
    drop(handle);
    source.frame(FrameKind::Audio, 160, 1, 1010);
    let handle = rig.pool.adopt(recording).expect("still open");
    source.frame(FrameKind::Audio, 160, 1, 1030);
    until("written", || handle.snapshot().media_time == 80 + 320);
    drop(handle);
    rig.clock.set_ms(1000 + 10_000);
    until("closed", || matches!(rig.events.lock().last(), Some(SegmentEvent::Finished(_))));
    assert!(rig.pool.adopt(recording).is_none());
}

#[test]
fn a_stream_that_ends_is_told_once_and_the_segment_waits_for_its_stop() {
    let rig = rig();
    let mut source = Source::new(64);
    let handle = rig.record(vec![source.input(TrackId::Caller)]);
    source.frame(FrameKind::Audio, 160, 1, 1010);
    source.ring.close();
    until("told", || !rig.events.lock().is_empty());
    let summary = rig.stop(&handle, 2000);
    assert_eq!(*rig.events.lock(), [SegmentEvent::TrackEnded(TrackId::Caller), SegmentEvent::Finished(summary)]);
}

/// Takes so many bytes.
struct Small(Arc<AtomicU64>);
struct SmallFile(Box<dyn Storage>, Arc<AtomicU64>);

impl Disk for Small {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Storage>> {
        Ok(Box::new(SmallFile(Folder.create(path)?, self.0.clone())))
    }
}

impl Storage for SmallFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.1.load(Ordering::SeqCst);
        if (bytes.len() as u64) <= left {
            self.1.store(left - bytes.len() as u64, Ordering::SeqCst);
            return self.0.append(bytes);
        }
        // As a real disk: part of it is written.
        self.0.append(&bytes[..left as usize])?;
        Err(io::ErrorKind::StorageFull.into())
    }
    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
}

#[test]
fn a_full_disk_fails_the_recording_with_the_reason_and_keeps_what_there_is() {
    let rig = rig_on(Arc::new(Small(Arc::new(AtomicU64::new(48 + 24 + 320 + 100)))));
    let mut source = Source::new(64);
    let handle = rig.record(vec![source.input(TrackId::Caller)]);
    source.frame(FrameKind::Audio, 160, 1, 1010);
    until("written", || handle.snapshot().media_time > 0);
    source.frame(FrameKind::Audio, 160, 2, 1030);
    until("failed", || handle.snapshot().failed.is_some());
    source.frame(FrameKind::Audio, 160, 3, 1050);
    let summary = rig.stop(&handle, 3000);
    assert!(summary.failed.as_deref().is_some_and(|reason| reason.contains("caller")), "{summary:?}");
    assert!(matches!(rig.events.lock()[0], SegmentEvent::Failed(_)));
    let path = rig.spec(1).path(TrackId::Caller);
    assert_eq!(repair(&path).unwrap().cut_bytes, 100);
    assert_eq!(rig.blocks(1, TrackId::Caller), [(80, 160, 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_sample_that_arrives_lies_at_its_place(frames in proptest::collection::vec((0u8..6, 1u64..400), 1..150), drain_every in 1usize..20) {
        let folder = TempDir::new().unwrap();
        let mut source = Source::new(256);
        let mut track = track::TrackWriter::new(TrackId::Caller, source.ring.reader(), Timeline::starting(Duration::from_millis(1000), 8000), 0);
        let header = crate::TrackHeader { recording: RecordingId(Uuid::from_u128(1)), segment: 1, epoch: 1, track: TrackId::Caller, rate: 8000 };
        let path = folder.path().join("x");
        let mut file = crate::TrackFile::create(&Folder, &path, &header).unwrap();
        let (mut expected, mut lost) = (vec![0i16; 80], 0);
        for (n, (kind, samples)) in frames.into_iter().enumerate() {
            let kind = match kind { 0 => FrameKind::Lost, 1 => FrameKind::Silence, 2 => FrameKind::Resync, _ => FrameKind::Audio };
            source.frame(kind, samples, n as i16 + 1, 1010);
            expected.extend(std::iter::repeat_n(if kind == FrameKind::Audio { n as i16 + 1 } else { 0 }, samples as usize));
            lost += if kind == FrameKind::Lost { samples } else { 0 };
            if n % drain_every == 0 {
                track.drain(&mut file, &[], None).unwrap();
            }
        }
        track.drain(&mut file, &[], None).unwrap();
        file.close().1.unwrap();
        let mut got = vec![0i16; expected.len()];
        let mut reader = TrackReader::open(std::fs::File::open(&path).unwrap()).unwrap();
        let mut audio = Vec::new();
        while let Some(block) = reader.next_block().unwrap() {
            prop_assert!(reader.read_audio(&mut audio).unwrap());
            got[block.media_time as usize..][..audio.len()].copy_from_slice(&audio);
        }
        prop_assert_eq!(got, expected);
        prop_assert_eq!(track.gaps.iter().map(|gap| gap.samples).sum::<u64>(), lost);
    }
}
