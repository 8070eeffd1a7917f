//! One track over all its segments, read forwards once.

use super::RenderError;
use crate::track_file::{Block, BlockKind, TrackFileError, TrackReader};
use aimg_domain::TrackId;
use aimg_domain::recording::{Recording, Segment};
use std::io::{self, Read, Seek};

/// A track file wherever it lies.
pub trait OpenedTrack: Read + Seek + Send {}
impl<T: Read + Seek + Send> OpenedTrack for T {}

/// Opens the file of a segment's track: an open file, a blob. `Ok(None)`: it is known to be gone, and silence takes its place.
pub trait TrackSource: Send {
    fn open(&self, segment: &Segment, track: TrackId) -> io::Result<Option<Box<dyn OpenedTrack>>>;
}

impl<F> TrackSource for F
where
    F: Fn(&Segment, TrackId) -> io::Result<Option<Box<dyn OpenedTrack>>> + Send,
{
    fn open(&self, segment: &Segment, track: TrackId) -> io::Result<Option<Box<dyn OpenedTrack>>> {
        self(segment, track)
    }
}

struct Open {
    segment: u32,
    reader: TrackReader<Box<dyn OpenedTrack>>,
    block: Option<Block>,
}

pub(super) struct TrackCursor<S> {
    track: TrackId,
    rate: u32,
    source: S,
    /// Not yet opened, the next one last.
    segments: Vec<Segment>,
    open: Option<Open>,
    /// Audio of the current block, and where it begins.
    audio: Vec<i16>,
    audio_at: u64,
}

impl<S: TrackSource> TrackCursor<S> {
    pub(super) fn new(recording: &Recording, track: TrackId, source: S) -> TrackCursor<S> {
        let mut segments: Vec<_> = recording
            .segments
            .iter()
            .filter(|segment| segment.tracks.iter().any(|row| row.track == track))
            .cloned()
            .collect();
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.n));
        TrackCursor {
            track,
            rate: recording.sample_rate,
            source,
            segments,
            open: None,
            audio: Vec::new(),
            audio_at: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Lays the track's audio from sample `from` on over `out`. `from` only ever grows.
    pub(super) fn fill(&mut self, from: u64, out: &mut [i16]) -> Result<(), RenderError> {
        let to = from + out.len() as u64;
        loop {
            self.lay(from, out);
            if self.audio_at + self.audio.len() as u64 > to {
                return Ok(());
            }
            if !self.advance(from, to)? {
                return Ok(());
            }
        }
    }

    fn lay(&self, from: u64, out: &mut [i16]) {
        let start = self.audio_at.max(from);
        let end = (self.audio_at + self.audio.len() as u64).min(from + out.len() as u64);
        if start < end {
            let (start_in, end_in) = ((start - self.audio_at) as usize, (end - self.audio_at) as usize);
            out[(start - from) as usize..(end - from) as usize].copy_from_slice(&self.audio[start_in..end_in]);
        }
    }

    /// Loads the next block that reaches beyond `from`; false if it begins at `to` or later, or there is none.
    fn advance(&mut self, from: u64, to: u64) -> Result<bool, RenderError> {
        let mut audio = std::mem::take(&mut self.audio);
        audio.clear();
        loop {
            let Some(open) = self.opened()? else { return Ok(false) };
            let segment = open.segment;
            let step = match open.block {
                Some(block) if block.kind == BlockKind::Audio && block.end() > from => {
                    if block.media_time >= to {
                        return Ok(false);
                    }
                    open.block = None;
                    let sound = open.reader.read_audio(&mut audio);
                    sound.map(|sound| if sound { Step::Loaded(block.media_time) } else { Step::Ended })
                }
                _ => open.reader.next_block().map(|block| {
                    open.block = block;
                    if block.is_some() { Step::Looking } else { Step::Ended }
                }),
            };
            match step.map_err(|source| self.error(segment, source))? {
                Step::Loaded(at) => {
                    (self.audio, self.audio_at) = (audio, at);
                    return Ok(true);
                }
                Step::Looking => {}
                Step::Ended => self.open = None,
            }
        }
    }

    /// The open file, or the next one opened.
    fn opened(&mut self) -> Result<Option<&mut Open>, RenderError> {
        while self.open.is_none() {
            let Some(segment) = self.segments.pop() else { return Ok(None) };
            let file = self.source.open(&segment, self.track).map_err(|source| self.error(segment.n, source.into()))?;
            let Some(file) = file else { continue };
            let reader = TrackReader::open(file).map_err(|source| self.error(segment.n, source))?;
            let found = reader.header().rate;
            if found != self.rate {
                return Err(RenderError::Rate {
                    segment: segment.n,
                    found,
                    wanted: self.rate,
                });
            }
            self.open = Some(Open {
                segment: segment.n,
                reader,
                block: None,
            });
        }
        Ok(self.open.as_mut())
    }

    fn error(&self, segment: u32, source: TrackFileError) -> RenderError {
        RenderError::Track {
            segment,
            track: self.track.as_str(),
            source,
        }
    }
}

enum Step {
    /// Audio that begins here.
    Loaded(u64),
    Looking,
    Ended,
}
