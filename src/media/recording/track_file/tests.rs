#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use aimg_domain::recording::GapReason;
use aimg_domain::{RecordingId, TrackId};
use proptest::prelude::*;
use std::io::Cursor;
use std::path::PathBuf;
use tempfile::TempDir;
use uuid::Uuid;

const HEADER: TrackHeader = TrackHeader {
    recording: RecordingId(Uuid::from_u128(7)),
    segment: 3,
    epoch: u64::MAX - 1,
    track: TrackId::Callee,
    rate: 8000,
};

struct Written {
    _folder: TempDir,
    path: PathBuf,
    closed: Closed,
    /// `(media time, audio)`; a gap has none.
    blocks: Vec<(u64, Vec<i16>)>,
}

/// Pieces of `(silence before, samples, gap)`.
fn written(pieces: &[(u64, usize, bool)]) -> Written {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a/b.track");
    let mut file = TrackFile::create(&Folder, &path, &HEADER).unwrap();
    let (mut at, mut blocks) = (5, Vec::new());
    for &(before, samples, gap) in pieces {
        at += before;
        if gap {
            file.gap(at, samples as u64, GapReason::Loss).unwrap();
            blocks.push((at, vec![]));
        } else {
            let audio: Vec<i16> = (0..samples).map(|n| (at as usize + n) as i16).collect();
            file.audio(at, &audio).unwrap();
            blocks.push((at, audio));
        }
        at += samples as u64;
    }
    let (closed, synced) = file.close();
    synced.unwrap();
    Written {
        _folder: folder,
        path,
        closed,
        blocks,
    }
}

fn read(bytes: Vec<u8>) -> Vec<(u64, Vec<i16>)> {
    let mut reader = TrackReader::open(Cursor::new(bytes)).unwrap();
    assert_eq!(*reader.header(), HEADER);
    let (mut blocks, mut audio) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block().unwrap() {
        assert!(reader.read_audio(&mut audio).unwrap());
        blocks.push((block.media_time, audio.clone()));
    }
    blocks
}

#[test]
fn blocks_come_back_as_they_were_written_and_the_hash_is_that_of_the_file() {
    let written = written(&[(0, 100, false), (50, 20, false), (0, 80, true), (80, 1, false)]);
    let bytes = std::fs::read(&written.path).unwrap();
    assert_eq!(read(bytes.clone()), written.blocks);
    assert_eq!((written.closed.bytes, written.closed.end), (bytes.len() as u64, 5 + 331));
    let repaired = repair(&written.path).unwrap();
    assert_eq!((repaired.cut_bytes, repaired.sha256), (0, written.closed.sha256));
    assert_eq!((repaired.from, repaired.end, repaired.gaps.len()), (5, 336, 1));
}

#[test]
fn a_block_that_is_not_read_is_passed_over() {
    let written = written(&[(0, 100, false), (50, 20, false)]);
    let mut reader = TrackReader::open(Cursor::new(std::fs::read(&written.path).unwrap())).unwrap();
    assert_eq!(reader.next_block().unwrap().map(|block| block.media_time), Some(5));
    assert_eq!(reader.next_block().unwrap().map(|block| (block.media_time, block.samples)), Some((155, 20)));
    let mut audio = Vec::new();
    assert!(reader.read_audio(&mut audio).unwrap());
    assert_eq!(audio, written.blocks[1].1);
    assert_eq!(reader.next_block().unwrap(), None);
}

#[test]
fn audio_longer_than_a_block_becomes_several() {
    let written = written(&[(0, BLOCK_SAMPLES_MAX + 10, false)]);
    let blocks = read(std::fs::read(&written.path).unwrap());
    assert_eq!(
        blocks.iter().map(|(at, audio)| (*at, audio.len())).collect::<Vec<_>>(),
        [(5, BLOCK_SAMPLES_MAX), (5 + BLOCK_SAMPLES_MAX as u64, 10)]
    );
}

#[test]
fn what_is_no_track_file_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other");
    std::fs::write(&path, [b'x'; 100]).unwrap();
    assert!(matches!(repair(&path), Err(TrackFileError::NotATrack)));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 100);
    let written = written(&[]);
    assert!(TrackFile::create(&Folder, &written.path, &HEADER).is_err(), "nothing is overwritten");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cut_at_any_byte_a_valid_prefix_is_left(pieces in proptest::collection::vec((0u64..50, 1usize..60, any::<bool>()), 0..12), cut in 0.0f64..1.0) {
        let written = written(&pieces);
        let whole = std::fs::read(&written.path).unwrap();
        let cut = 48 + ((whole.len() - 48) as f64 * cut) as usize;
        std::fs::write(&written.path, &whole[..cut]).unwrap();
        let repaired = repair(&written.path).unwrap();
        let left = std::fs::read(&written.path).unwrap();
        prop_assert_eq!(left.len() as u64, repaired.bytes);
        prop_assert_eq!(repaired.bytes + repaired.cut_bytes, cut as u64);
        prop_assert_eq!(&whole[..left.len()], &left[..]);
        let blocks = read(left);
        prop_assert_eq!(&written.blocks[..blocks.len()], &blocks[..]);
        // No whole block was cut.
        let next = written.blocks.get(blocks.len()).map_or(usize::MAX, |(_, audio)| 24 + audio.len() * 2);
        prop_assert!(repaired.cut_bytes < next as u64);
    }

    #[test]
    fn a_changed_byte_ends_the_file_before_its_block(pieces in proptest::collection::vec((0u64..50, 1usize..60, any::<bool>()), 1..12), at in 0.0f64..1.0, flip in 1u8..) {
        let written = written(&pieces);
        let mut bytes = std::fs::read(&written.path).unwrap();
        let at = 48 + ((bytes.len() - 49) as f64 * at) as usize;
        bytes[at] ^= flip;
        std::fs::write(&written.path, &bytes).unwrap();
        let repaired = repair(&written.path).unwrap();
        // Octet 3 of a block is spare, yet under the checksum as well.
        prop_assert!(repaired.bytes <= at as u64);
        let blocks = read(std::fs::read(&written.path).unwrap());
        prop_assert_eq!(&written.blocks[..blocks.len()], &blocks[..]);
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300), sound: bool) {
        let bytes = if sound { [&HEADER.encode()[..], &bytes].concat() } else { bytes };
        if let Ok(mut reader) = TrackReader::open(Cursor::new(bytes)) {
            let mut audio = Vec::new();
            while let Ok(Some(_)) = reader.next_block() {
                if reader.read_audio(&mut audio).is_err() {
                    break;
                }
            }
        }
    }
}
