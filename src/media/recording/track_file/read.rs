//! Reading, and repairing after a death.

use super::append::hex;
use super::format::{BLOCK_HEADER_BYTES, BlockHeader, BlockKind, HEADER_BYTES, TrackFileError, TrackHeader};
use aimg_domain::recording::GapMark;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// A block whose payload was not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub kind: BlockKind,
    pub media_time: u64,
    pub samples: u64,
}

impl Block {
    pub fn end(&self) -> u64 {
        self.media_time.saturating_add(self.samples)
    }
}

/// Reads blocks in order; memory: one block.
pub struct TrackReader<R> {
    source: BufReader<R>,
    header: TrackHeader,
    /// The block that was announced, its bytes still ahead.
    announced: Option<(BlockHeader, [u8; BLOCK_HEADER_BYTES])>,
    payload: Vec<u8>,
    /// Bytes up to the end of the last whole block.
    sound_bytes: u64,
}

/// False at a clean or torn end.
fn fill(source: &mut impl Read, out: &mut [u8]) -> io::Result<bool> {
    match source.read_exact(out) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

impl<R: Read + Seek> TrackReader<R> {
    pub fn open(source: R) -> Result<TrackReader<R>, TrackFileError> {
        let mut source = BufReader::with_capacity(16 << 10, source);
        let mut bytes = [0; HEADER_BYTES];
        if !fill(&mut source, &mut bytes)? {
            return Err(TrackFileError::NotATrack);
        }
        let header = TrackHeader::decode(&bytes)?;
        Ok(TrackReader {
            source,
            header,
            announced: None,
            payload: Vec::new(),
            sound_bytes: HEADER_BYTES as u64,
        })
    }

    pub fn header(&self) -> &TrackHeader {
        &self.header
    }

    /// The next block; one that was announced and not read is passed over, unchecked. `None` at the end, and where a block was torn.
    pub fn next_block(&mut self) -> Result<Option<Block>, TrackFileError> {
        if let Some((passed, _)) = self.announced.take() {
            self.source.seek_relative(passed.payload_bytes() as i64)?;
        }
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        if !fill(&mut self.source, &mut bytes)? {
            return Ok(None);
        }
        let header = BlockHeader::decode(&bytes).ok_or(TrackFileError::Damaged)?;
        self.announced = Some((header, bytes));
        Ok(Some(Block {
            kind: header.kind,
            media_time: header.media_time,
            samples: header.samples,
        }))
    }

    /// Replaces `out` with the samples of the announced block; none for a gap. False if it is torn.
    pub fn read_audio(&mut self, out: &mut Vec<i16>) -> Result<bool, TrackFileError> {
        out.clear();
        let Some((header, bytes)) = self.announced.take() else { return Ok(false) };
        self.payload.resize(header.payload_bytes(), 0);
        if !fill(&mut self.source, &mut self.payload)? {
            return Ok(false);
        }
        if !header.matches(&bytes, &self.payload) {
            return Err(TrackFileError::Damaged);
        }
        self.sound_bytes += (BLOCK_HEADER_BYTES + self.payload.len()) as u64;
        out.extend(self.payload.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
        Ok(true)
    }
}

/// What a repaired file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairedTrack {
    pub header: TrackHeader,
    /// Beginning of the first and end of the last audio; both 0 without any.
    pub from: u64,
    pub end: u64,
    pub bytes: u64,
    pub cut_bytes: u64,
    /// Of the repaired file, lower-case hex.
    pub sha256: String,
    pub gaps: Vec<GapMark>,
}

/// Cuts the file behind its last whole valid block, and syncs it.
pub fn repair(path: &Path) -> Result<RepairedTrack, TrackFileError> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let mut reader = TrackReader::open(&file)?;
    let (mut from, mut end, mut gaps, mut audio) = (None, 0, Vec::new(), Vec::new());
    loop {
        let block = match reader.next_block() {
            Ok(Some(block)) => block,
            Ok(None) | Err(TrackFileError::Damaged) => break,
            Err(error) => return Err(error),
        };
        match reader.read_audio(&mut audio) {
            Ok(true) => {}
            Ok(false) | Err(TrackFileError::Damaged) => break,
            Err(error) => return Err(error),
        }
        match block.kind {
            BlockKind::Audio => {
                from.get_or_insert(block.media_time);
                end = block.end();
            }
            BlockKind::Gap(why) => {
                gaps.push(GapMark {
                    track: Some(reader.header.track),
                    from_sample: block.media_time,
                    samples: block.samples,
                    why,
                });
            }
        }
    }
    let (header, bytes) = (reader.header, reader.sound_bytes);
    file.set_len(bytes)?;
    file.sync_all()?;
    let sha256 = hash(&file)?;
    Ok(RepairedTrack {
        header,
        from: from.unwrap_or(0),
        end,
        bytes,
        cut_bytes: length - bytes,
        sha256,
        gaps,
    })
}

fn hash(mut file: &File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let n = file.read(&mut chunk)?;
        if n == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&chunk[..n]);
    }
}
