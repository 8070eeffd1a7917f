//! Writing.

use super::format::{BLOCK_SAMPLES_MAX, BlockKind, TrackHeader, encode_block};
use aimg_domain::recording::GapReason;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// What a track file is written to.
pub trait Storage: Send {
    /// All or an error; after an error some of it may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
    /// `fdatasync`.
    fn sync(&mut self) -> io::Result<()>;
}

/// Where files are made. A folder, or what a test puts in its place.
pub trait Disk: Send + Sync {
    /// Fails if there is one of this name.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Storage>>;
}

pub struct Folder;

impl Disk for Folder {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Storage>> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(Box::new(OpenOptions::new().append(true).create_new(true).open(path)?))
    }
}

impl Storage for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

pub struct TrackFile {
    storage: Box<dyn Storage>,
    hash: Sha256,
    bytes: u64,
    end: u64,
    dirty: bool,
    block: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub bytes: u64,
    /// Of the file, lower-case hex.
    pub sha256: String,
    /// End of the last audio.
    pub end: u64,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl TrackFile {
    pub fn create(disk: &dyn Disk, path: &Path, header: &TrackHeader) -> io::Result<TrackFile> {
        let mut file = TrackFile {
            storage: disk.create(path)?,
            hash: Sha256::new(),
            bytes: 0,
            end: 0,
            dirty: false,
            block: Vec::new(),
        };
        file.append(&header.encode())?;
        Ok(file)
    }

    /// `media_time` must not lie before the end of the audio so far: the caller cuts overlaps.
    pub fn audio(&mut self, media_time: u64, audio: &[i16]) -> io::Result<()> {
        debug_assert!(media_time >= self.end);
        let mut at = media_time;
        for piece in audio.chunks(BLOCK_SAMPLES_MAX) {
            self.block(BlockKind::Audio, at, piece.len() as u64, piece)?;
            at += piece.len() as u64;
            self.end = at;
        }
        Ok(())
    }

    pub fn gap(&mut self, media_time: u64, samples: u64, why: GapReason) -> io::Result<()> {
        self.block(BlockKind::Gap(why), media_time, samples, &[])
    }

    fn block(&mut self, kind: BlockKind, media_time: u64, samples: u64, audio: &[i16]) -> io::Result<()> {
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        encode_block(kind, media_time, samples, audio, &mut block);
        let result = self.append(&block);
        self.block = block;
        result
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.storage.append(bytes) {
            // Half a block would be cut at repair; if this fails too, it will be.
            let _ = self.storage.truncate(self.bytes);
            return Err(error);
        }
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.dirty = true;
        Ok(())
    }

    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn sync(&mut self) -> io::Result<()> {
        self.storage.sync()?;
        self.dirty = false;
        Ok(())
    }

    /// Syncs; the figures are true of what was written even if that fails.
    pub fn close(mut self) -> (Closed, io::Result<()>) {
        let synced = self.sync();
        (
            Closed {
                bytes: self.bytes,
                sha256: hex(&self.hash.finalize()),
                end: self.end,
            },
            synced,
        )
    }
}
