//! The bytes.

use aimg_domain::recording::GapReason;
use aimg_domain::{RecordingId, TrackId};
use std::io;
use thiserror::Error;

pub(super) const MAGIC: [u8; 8] = *b"AIMGTRAK";
const VERSION: u16 = 1;
pub(super) const HEADER_BYTES: usize = 48;
const BLOCK_MAGIC: u16 = 0xB10C;
pub(super) const BLOCK_HEADER_BYTES: usize = 24;
/// Longest audio block: what a damaged length can make a reader allocate is twice this.
pub const BLOCK_SAMPLES_MAX: usize = 1 << 17;

#[derive(Debug, Error)]
pub enum TrackFileError {
    #[error("no track file, or its header is damaged")]
    NotATrack,
    #[error("a track file of version {0}")]
    Version(u16),
    #[error("a block of the track file is damaged")]
    Damaged,
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackHeader {
    pub recording: RecordingId,
    pub segment: u32,
    pub epoch: u64,
    pub track: TrackId,
    pub rate: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    Audio,
    Gap(GapReason),
}

fn track_code(track: TrackId) -> u8 {
    match track {
        TrackId::Caller => 1,
        TrackId::Callee => 2,
        TrackId::Mixed => 3,
    }
}

fn kind_code(kind: BlockKind) -> u8 {
    match kind {
        BlockKind::Audio => 0,
        BlockKind::Gap(GapReason::Loss) => 1,
        BlockKind::Gap(GapReason::Paused) => 2,
        BlockKind::Gap(GapReason::TapRemade) => 3,
        BlockKind::Gap(GapReason::NodeDown) => 4,
        BlockKind::Gap(GapReason::Overrun) => 5,
    }
}

const KINDS: [BlockKind; 6] = [
    BlockKind::Audio,
    BlockKind::Gap(GapReason::Loss),
    BlockKind::Gap(GapReason::Paused),
    BlockKind::Gap(GapReason::TapRemade),
    BlockKind::Gap(GapReason::NodeDown),
    BlockKind::Gap(GapReason::Overrun),
];

/// Fixed-width fields from a buffer that is known to be long enough.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl TrackHeader {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[10] = track_code(self.track);
        out[12..16].copy_from_slice(&self.rate.to_le_bytes());
        out[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        out[24..28].copy_from_slice(&self.segment.to_le_bytes());
        out[28..44].copy_from_slice(self.recording.0.as_bytes());
        let crc = crc32fast::hash(&out[..44]);
        out[44..48].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<TrackHeader, TrackFileError> {
        if field(bytes, 0) != MAGIC || u32::from_le_bytes(field(bytes, 44)) != crc32fast::hash(&bytes[..44]) {
            return Err(TrackFileError::NotATrack);
        }
        let version = u16::from_le_bytes(field(bytes, 8));
        if version != VERSION {
            return Err(TrackFileError::Version(version));
        }
        let track = [TrackId::Caller, TrackId::Callee, TrackId::Mixed]
            .into_iter()
            .find(|track| track_code(*track) == bytes[10]);
        Ok(TrackHeader {
            recording: RecordingId(uuid::Uuid::from_bytes(field(bytes, 28))),
            segment: u32::from_le_bytes(field(bytes, 24)),
            epoch: u64::from_le_bytes(field(bytes, 16)),
            track: track.ok_or(TrackFileError::NotATrack)?,
            rate: u32::from_le_bytes(field(bytes, 12)),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) kind: BlockKind,
    pub(super) media_time: u64,
    pub(super) samples: u64,
    crc: u32,
}

impl BlockHeader {
    pub(super) fn payload_bytes(&self) -> usize {
        match self.kind {
            BlockKind::Audio => usize::try_from(self.samples).unwrap_or(0) * 2,
            BlockKind::Gap(_) => 0,
        }
    }

    /// `None` if this is no block.
    pub(super) fn decode(bytes: &[u8; BLOCK_HEADER_BYTES]) -> Option<BlockHeader> {
        let kind = *KINDS.get(usize::from(bytes[2]))?;
        let (media_time, samples) = (u64::from_le_bytes(field(bytes, 4)), u64::from_le_bytes(field(bytes, 12)));
        let sound = u16::from_le_bytes(field(bytes, 0)) == BLOCK_MAGIC
            && media_time.checked_add(samples).is_some()
            && (kind != BlockKind::Audio || samples <= BLOCK_SAMPLES_MAX as u64);
        sound.then(|| BlockHeader {
            kind,
            media_time,
            samples,
            crc: u32::from_le_bytes(field(bytes, 20)),
        })
    }

    pub(super) fn matches(&self, bytes: &[u8; BLOCK_HEADER_BYTES], payload: &[u8]) -> bool {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&bytes[..20]);
        crc.update(payload);
        crc.finalize() == self.crc
    }
}

/// Appends a block to `out`. `audio` is empty for gaps.
pub(super) fn encode_block(kind: BlockKind, media_time: u64, samples: u64, audio: &[i16], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&BLOCK_MAGIC.to_le_bytes());
    out.extend_from_slice(&[kind_code(kind), 0]);
    out.extend_from_slice(&media_time.to_le_bytes());
    out.extend_from_slice(&samples.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    audio.iter().for_each(|sample| out.extend_from_slice(&sample.to_le_bytes()));
    let mut crc = crc32fast::Hasher::new();
    crc.update(&out[start..start + 20]);
    crc.update(&out[start + BLOCK_HEADER_BYTES..]);
    let crc = crc.finalize().to_le_bytes();
    out[start + 20..start + BLOCK_HEADER_BYTES].copy_from_slice(&crc);
}
