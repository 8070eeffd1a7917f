//! One file a track: a header, then blocks, each with its place and a checksum. Only ever appended to, so that a crash costs the last block at most.
//!
//! All numbers are little-endian. Header: magic `AIMGTRAK`, version u16, track u8, 0 u8, rate u32, epoch u64, segment u32, recording 16 octets, CRC-32 of all
//! before. Block: magic 0xB10C u16, kind u8, 0 u8, media time u64, samples u64, CRC-32 of these and the payload, then `samples` times s16 for audio and
//! nothing for a gap. Audio blocks lie in order and do not overlap; a gap says why there is none between them (silence needs no saying).

mod append;
mod format;
mod read;

pub(crate) use append::hex;
pub use append::{Closed, Disk, Folder, Storage, TrackFile};
pub use format::{BLOCK_SAMPLES_MAX, BlockKind, TrackFileError, TrackHeader};
pub use read::{Block, RepairedTrack, TrackReader, repair};

#[cfg(test)]
mod tests;
