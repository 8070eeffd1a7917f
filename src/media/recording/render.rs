//! A WAV from a recording's manifest and track files: stereo with the caller left and the callee right, or mono with all mixed. Every sample in its place,
//! zeros between. Any range of bytes, with the memory of a block a track.

mod cursor;
mod layout;

pub use cursor::{OpenedTrack, TrackSource};
pub use layout::WavLayout;

use crate::track_file::TrackFileError;
use aimg_domain::TrackId;
use aimg_domain::recording::Recording;
use cursor::TrackCursor;
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::ops::Range;
use thiserror::Error;

/// Raised whenever the same manifest gives other bytes: a stored hash is of one version.
pub const RENDERER_VERSION: u16 = 1;
/// Sample frames rendered at once.
const CHUNK_FRAMES: usize = 4096;

#[derive(Debug, Error)]
pub enum RenderError {
    #[error("a recording has 1 or 2 channels, not {0}")]
    Channels(u16),
    #[error("segment {segment}: the track file has {found} samples a second, the recording {wanted}")]
    Rate { segment: u32, found: u32, wanted: u32 },
    #[error("segment {segment}, {track}: {source}")]
    Track {
        segment: u32,
        track: &'static str,
        source: TrackFileError,
    },
}

impl From<RenderError> for io::Error {
    fn from(error: RenderError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// Reads as the bytes of the WAV file, or of a range of them.
pub struct WavRender<S> {
    layout: WavLayout,
    header: Vec<u8>,
    /// Left and right, or all in one.
    channels: Vec<Vec<TrackCursor<S>>>,
    /// Of the file, the next byte; and one past the last that is wanted.
    at: u64,
    to: u64,
    chunk: Vec<u8>,
    /// The file offset of `chunk`.
    chunk_at: u64,
    one: Vec<i16>,
    sum: Vec<i32>,
}

fn channels_of(recording: &Recording) -> Result<Vec<Vec<TrackId>>, RenderError> {
    match recording.channels {
        1 => Ok(vec![vec![TrackId::Caller, TrackId::Callee, TrackId::Mixed]]),
        2 => Ok(vec![vec![TrackId::Caller, TrackId::Mixed], vec![TrackId::Callee, TrackId::Mixed]]),
        other => Err(RenderError::Channels(other)),
    }
}

impl<S: TrackSource + Clone> WavRender<S> {
    /// `range`: of the file's bytes, cut to its length.
    pub fn new(recording: &Recording, source: S, range: Range<u64>) -> Result<WavRender<S>, RenderError> {
        let layout = WavLayout::of(recording)?;
        let channels = channels_of(recording)?
            .into_iter()
            .map(|tracks| {
                tracks
                    .into_iter()
                    .map(|track| TrackCursor::new(recording, track, source.clone()))
                    .filter(|cursor| !cursor.is_empty())
                    .collect()
            })
            .collect();
        let to = range.end.min(layout.len());
        let (header, at) = (layout.header(), range.start.min(to));
        Ok(WavRender {
            layout,
            header,
            channels,
            at,
            to,
            chunk: Vec::new(),
            chunk_at: 0,
            one: Vec::new(),
            sum: Vec::new(),
        })
    }

    pub fn layout(&self) -> &WavLayout {
        &self.layout
    }

    /// Renders the chunk that begins with the sample frame of byte `at`.
    fn render(&mut self) -> Result<(), RenderError> {
        let frame_bytes = self.layout.frame_bytes();
        let first = (self.at - self.header.len() as u64) / frame_bytes;
        let frames = (self.layout.samples() - first).min(CHUNK_FRAMES as u64) as usize;
        let count = self.channels.len();
        self.chunk.clear();
        self.chunk.resize(frames * frame_bytes as usize, 0);
        self.chunk_at = self.header.len() as u64 + first * frame_bytes;
        for (n, cursors) in self.channels.iter_mut().enumerate() {
            self.sum.clear();
            self.sum.resize(frames, 0);
            for cursor in cursors {
                self.one.clear();
                self.one.resize(frames, 0);
                cursor.fill(first, &mut self.one)?;
                self.sum.iter_mut().zip(&self.one).for_each(|(sum, &sample)| *sum += i32::from(sample));
            }
            for (frame, &sum) in self.sum.iter().enumerate() {
                let sample = sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
                let at = (frame * count + n) * 2;
                self.chunk[at..at + 2].copy_from_slice(&sample.to_le_bytes());
            }
        }
        Ok(())
    }
}

impl<S: TrackSource + Clone> Read for WavRender<S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.to || out.is_empty() {
            return Ok(0);
        }
        let header = self.header.len() as u64;
        if self.at >= header && !(self.chunk_at..self.chunk_at + self.chunk.len() as u64).contains(&self.at) {
            self.render()?;
        }
        let ready = if self.at < header {
            &self.header[self.at as usize..]
        } else {
            &self.chunk[(self.at - self.chunk_at) as usize..]
        };
        let n = ready.len().min(out.len()).min(usize::try_from(self.to - self.at).unwrap_or(usize::MAX));
        out[..n].copy_from_slice(&ready[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

/// Lower-case hex of the whole WAV's SHA-256, and its length.
pub fn render_sha256<S: TrackSource + Clone>(recording: &Recording, source: S) -> io::Result<(String, u64)> {
    let mut render = WavRender::new(recording, source, 0..u64::MAX)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let n = render.read(&mut chunk)?;
        if n == 0 {
            return Ok((crate::track_file::hex(&hash.finalize()), render.layout.len()));
        }
        hash.update(&chunk[..n]);
    }
}

#[cfg(test)]
mod tests;
