//! One track of an open segment: frames in, blocks out.

use super::handle::Pause;
use crate::timeline::Timeline;
use crate::track_file::TrackFile;
use aimg_domain::TrackId;
use aimg_domain::recording::{GapMark, GapReason};
use aimg_media::dsp::Resampler;
use aimg_media::{Frame, FrameKind, FrameReader, Read};
use std::io;
use std::time::Duration;

/// Samples gathered into one block at most: what a crash costs beyond what the ring holds.
const BLOCK_SAMPLES: usize = 16_000;
/// Gaps kept for the manifest; later ones lengthen the last.
const GAPS_MAX: usize = 10_000;

/// Where the stream's time lies on the recording's.
#[derive(Clone, Copy)]
struct Anchor {
    media_time: u64,
    position: u64,
}

pub(super) struct TrackWriter {
    pub(super) track: TrackId,
    reader: FrameReader,
    timeline: Timeline,
    anchor: Option<Anchor>,
    resampler: Option<(u32, Resampler)>,
    pending: Vec<i16>,
    pending_at: u64,
    /// End of all that was gathered or written; nothing before it is written again.
    end: u64,
    /// Where the next frame belongs if none was missed.
    next: u64,
    missed: bool,
    pub(super) ended: bool,
    pub(super) gaps: Vec<GapMark>,
    pub(super) lost_samples: u64,
    pub(super) overrun_samples: u64,
}

impl TrackWriter {
    pub(super) fn new(track: TrackId, reader: FrameReader, timeline: Timeline, from: u64) -> TrackWriter {
        TrackWriter {
            track,
            reader,
            timeline,
            anchor: None,
            resampler: None,
            pending: Vec::new(),
            pending_at: from,
            end: from,
            next: from,
            missed: false,
            ended: false,
            gaps: Vec::new(),
            lost_samples: 0,
            overrun_samples: 0,
        }
    }

    /// End of the audio so far.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Takes what the ring holds, but nothing that arrived after `until`; then writes what was gathered.
    pub(super) fn drain(&mut self, file: &mut TrackFile, pauses: &[Pause], until: Option<Duration>) -> io::Result<()> {
        // Bounded: a ring that is refilled as quickly as it is read must not hold the other segments up.
        for _ in 0..4096 {
            match self.reader.try_read() {
                Read::Frame(frame) if until.is_some_and(|until| frame.received_at > until) => break,
                Read::Frame(frame) => self.frame(&frame, pauses, file)?,
                Read::Lagged(_) => self.missed = true,
                Read::Empty => break,
                Read::Closed => {
                    self.ended = true;
                    break;
                }
            }
        }
        self.flush(file)
    }

    fn frame(&mut self, frame: &Frame, pauses: &[Pause], file: &mut TrackFile) -> io::Result<()> {
        let anchor = *self.anchor.get_or_insert_with(|| Anchor {
            media_time: frame.media_time,
            position: self.timeline.at(frame.received_at),
        });
        let position = anchor.position + self.scaled(frame.media_time.saturating_sub(anchor.media_time), frame.rate);
        let samples = self.scaled(frame.samples, frame.rate);
        if std::mem::take(&mut self.missed) && position > self.next {
            self.mark(file, self.next, position - self.next, GapReason::Overrun)?;
        }
        self.next = position.saturating_add(samples);
        match frame.kind {
            _ if is_paused(frame, pauses) => Ok(()),
            FrameKind::Audio => self.audio(position, frame, file),
            FrameKind::Lost => self.mark(file, position, samples, GapReason::Loss),
            FrameKind::Silence | FrameKind::Resync => Ok(()),
        }
    }

    fn scaled(&self, samples: u64, rate: u32) -> u64 {
        let scaled = u128::from(samples) * u128::from(self.timeline.rate()) / u128::from(rate.max(1));
        u64::try_from(scaled).unwrap_or(u64::MAX / 2).min(u64::MAX / 2)
    }

    fn audio(&mut self, position: u64, frame: &Frame, file: &mut TrackFile) -> io::Result<()> {
        let mut converted = Vec::new();
        let audio = if frame.rate == self.timeline.rate() {
            &frame.audio
        } else {
            self.convert(frame, &mut converted)
        };
        let skip = usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX).min(audio.len());
        let (position, audio) = (position + skip as u64, &audio[skip..]);
        if audio.is_empty() {
            return Ok(());
        }
        if position != self.end || self.pending.len() + audio.len() > BLOCK_SAMPLES {
            self.flush(file)?;
        }
        if self.pending.is_empty() {
            self.pending_at = position;
        }
        self.pending.extend_from_slice(audio);
        self.end = position + audio.len() as u64;
        Ok(())
    }

    fn convert<'a>(&mut self, frame: &'a Frame, out: &'a mut Vec<i16>) -> &'a Vec<i16> {
        if self.resampler.as_ref().is_none_or(|(rate, _)| *rate != frame.rate) {
            self.resampler = Resampler::new(frame.rate, self.timeline.rate()).map(|resampler| (frame.rate, resampler));
        }
        // Rates that cannot be converted do not come: all streams are 8 or 16 kHz. Silence then.
        if let Some((_, resampler)) = &mut self.resampler {
            resampler.run(&frame.audio, out);
        }
        out.resize(
            usize::try_from(self.scaled(frame.samples, frame.rate)).unwrap_or(0).min(frame.audio.len() * 2),
            0,
        );
        out
    }

    fn flush(&mut self, file: &mut TrackFile) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let result = file.audio(self.pending_at, &self.pending);
        self.pending.clear();
        result
    }

    /// A gap is written too, so that it is known after a crash.
    fn mark(&mut self, file: &mut TrackFile, from: u64, samples: u64, why: GapReason) -> io::Result<()> {
        if samples == 0 {
            return Ok(());
        }
        match why {
            GapReason::Loss => self.lost_samples += samples,
            _ => self.overrun_samples += samples,
        }
        let full = self.gaps.len() >= GAPS_MAX;
        match self.gaps.last_mut() {
            Some(last) if last.why == why && (last.from_sample + last.samples == from || full) => last.samples = from + samples - last.from_sample,
            _ => self.gaps.push(GapMark {
                track: Some(self.track),
                from_sample: from,
                samples,
                why,
            }),
        }
        file.gap(from, samples, why)
    }
}

/// A frame that arrived in a pause, or began in it. Arrival decides, not media time, so that a sender's slow clock lets nothing through.
fn is_paused(frame: &Frame, pauses: &[Pause]) -> bool {
    let length = match frame.kind {
        FrameKind::Audio => Duration::from_micros(frame.samples.saturating_mul(1_000_000) / u64::from(frame.rate.max(1))),
        _ => Duration::ZERO,
    };
    pauses
        .iter()
        .any(|pause| frame.received_at >= pause.from && pause.to.is_none_or(|to| frame.received_at.saturating_sub(length) < to))
}
