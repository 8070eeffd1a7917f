//! An open segment: its tracks and files, driven by a writer thread.

use super::handle::{ORPHANED, Pause, SegmentSnapshot, Shared};
use super::track::TrackWriter;
use super::{Notify, SYNC_EVERY, SegmentEvent, SegmentSpec, SegmentSummary, TrackInput};
use crate::track_file::{Disk, TrackFile, TrackHeader};
use aimg_domain::TrackId;
use aimg_domain::recording::{GapMark, GapReason, Segment, SegmentState, SegmentTrack};
use std::io;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Open,
    Finished,
}

pub(super) struct SegmentWriter {
    disk: Arc<dyn Disk>,
    spec: SegmentSpec,
    tracks: Vec<TrackWriter>,
    files: Vec<TrackFile>,
    told_ended: Vec<TrackId>,
    shared: Arc<Shared>,
    notify: Notify,
    failed: Option<String>,
    synced_at: Duration,
    /// Pauses of which the end was written as a gap.
    pauses_marked: usize,
    pauses: Vec<GapMark>,
}

fn create_files(disk: &dyn Disk, spec: &SegmentSpec, tracks: &[TrackId]) -> io::Result<Vec<TrackFile>> {
    tracks
        .iter()
        .map(|&track| {
            let header = TrackHeader {
                recording: spec.recording,
                segment: spec.n,
                epoch: spec.epoch,
                track,
                rate: spec.timeline.rate(),
            };
            TrackFile::create(disk, &spec.path(track), &header)
        })
        .collect()
}

impl SegmentWriter {
    pub(super) fn create(disk: Arc<dyn Disk>, spec: SegmentSpec, inputs: Vec<TrackInput>, shared: Arc<Shared>, notify: Notify) -> io::Result<SegmentWriter> {
        let names: Vec<_> = inputs.iter().map(|input| input.track).collect();
        let files = create_files(&*disk, &spec, &names)?;
        let tracks = inputs
            .into_iter()
            .map(|input| TrackWriter::new(input.track, input.reader, spec.timeline, spec.from_media_time))
            .collect();
        shared.control.lock().snapshot.n = spec.n;
        Ok(SegmentWriter {
            disk,
            spec,
            tracks,
            files,
            told_ended: Vec::new(),
            shared,
            notify,
            failed: None,
            synced_at: Duration::ZERO,
            pauses_marked: 0,
            pauses: Vec::new(),
        })
    }

    /// Takes what waits; closes when told to.
    pub(super) fn advance(&mut self, now: Duration) -> Progress {
        let (pauses, stop_at, next) = {
            let mut control = self.shared.control.lock();
            if control.orphaned_at.is_some_and(|since| now.saturating_sub(since) >= ORPHANED) {
                control.stop_at.get_or_insert(now);
            }
            (control.pauses.clone(), control.stop_at, control.next.take())
        };
        self.drain(&pauses, stop_at);
        self.mark_pauses(&pauses, stop_at);
        self.publish();
        if let Some(at) = stop_at {
            let summary = self.close(self.spec.timeline.at(at));
            (self.notify)(SegmentEvent::Finished(summary.clone()));
            self.shared.finish(summary);
            return Progress::Finished;
        }
        if let Some(next) = next {
            self.rotate(*next);
        }
        Progress::Open
    }

    fn drain(&mut self, pauses: &[Pause], stop_at: Option<Duration>) {
        for i in 0..self.tracks.len() {
            if self.failed.is_some() {
                return;
            }
            let (track, file) = (&mut self.tracks[i], &mut self.files[i]);
            if let Err(error) = track.drain(file, pauses, stop_at) {
                let name = track.track;
                self.fail(name, &error);
            } else if track.ended && !self.told_ended.contains(&track.track) {
                self.told_ended.push(track.track);
                (self.notify)(SegmentEvent::TrackEnded(track.track));
            }
        }
    }

    fn fail(&mut self, track: TrackId, error: &io::Error) {
        let reason = format!("the {} track could not be written: {error}", track.as_str());
        tracing::error!(recording = %self.spec.recording, n = self.spec.n, %reason, "a recording failed");
        self.failed = Some(reason.clone());
        (self.notify)(SegmentEvent::Failed(reason));
    }

    /// Marks pauses that are over; at the stop the open one too.
    fn mark_pauses(&mut self, pauses: &[Pause], stop_at: Option<Duration>) {
        for pause in &pauses[self.pauses_marked.min(pauses.len())..] {
            let Some(to) = pause.to.or(stop_at) else { break };
            self.pauses_marked += 1;
            let (from, to) = (self.spec.timeline.at(pause.from), self.spec.timeline.at(to));
            if to <= from {
                continue;
            }
            self.pauses.push(GapMark {
                track: None,
                from_sample: from,
                samples: to - from,
                why: GapReason::Paused,
            });
            for i in 0..self.files.len() {
                if self.failed.is_none()
                    && let Err(error) = self.files[i].gap(from, to - from, GapReason::Paused)
                {
                    self.fail(self.tracks[i].track, &error);
                }
            }
        }
    }

    fn publish(&self) {
        let snapshot = SegmentSnapshot {
            n: self.spec.n,
            media_time: self.end(),
            bytes: self.files.iter().map(TrackFile::bytes).sum(),
            lost_samples: self.tracks.iter().map(|track| track.lost_samples).sum(),
            overrun_samples: self.tracks.iter().map(|track| track.overrun_samples).sum(),
            failed: self.failed.clone(),
            ..SegmentSnapshot::default()
        };
        let published = &mut self.shared.control.lock().snapshot;
        *published = SegmentSnapshot {
            paused: published.paused,
            finished: published.finished,
            ..snapshot
        };
    }

    fn end(&self) -> u64 {
        self.tracks.iter().map(TrackWriter::end).max().unwrap_or(self.spec.from_media_time)
    }

    pub(super) fn sync_if_due(&mut self, now: Duration) {
        if now.saturating_sub(self.synced_at) < SYNC_EVERY || self.failed.is_some() {
            return;
        }
        self.synced_at = now;
        for i in 0..self.files.len() {
            if self.files[i].is_dirty()
                && let Err(error) = self.files[i].sync()
            {
                return self.fail(self.tracks[i].track, &error);
            }
        }
    }

    /// Closes the files. The segment is as long as its longest track, or until `stop` if that is later.
    fn close(&mut self, stop: u64) -> SegmentSummary {
        let mut rows = Vec::new();
        for (file, track) in std::mem::take(&mut self.files).into_iter().zip(&self.tracks) {
            let (closed, synced) = file.close();
            if let Err(error) = synced {
                self.failed
                    .get_or_insert_with(|| format!("the {} track could not be synced: {error}", track.track.as_str()));
            }
            rows.push(SegmentTrack {
                track: track.track,
                blob: None,
                bytes: closed.bytes,
                sha256: Some(closed.sha256),
            });
        }
        let end = self.end().max(if self.failed.is_some() { 0 } else { stop });
        let mut gaps: Vec<_> = self
            .tracks
            .iter_mut()
            .flat_map(|track| std::mem::take(&mut track.gaps))
            .chain(std::mem::take(&mut self.pauses))
            .collect();
        gaps.sort_by_key(|gap| gap.from_sample);
        let segment = Segment {
            n: self.spec.n,
            node: self.spec.node.clone(),
            epoch: self.spec.epoch,
            tap: self.spec.tap,
            state: SegmentState::Closed,
            from_media_time: self.spec.from_media_time,
            samples: end.saturating_sub(self.spec.from_media_time),
            tracks: rows,
            gaps,
        };
        let files = self.tracks.iter().map(|track| (track.track, self.spec.path(track.track))).collect();
        SegmentSummary {
            recording: self.spec.recording,
            segment,
            files,
            failed: self.failed.clone(),
        }
    }

    /// If the next files cannot be made, this segment simply goes on.
    fn rotate(&mut self, mut next: SegmentSpec) {
        next.timeline = self.spec.timeline;
        next.from_media_time = self.end();
        let names: Vec<_> = self.tracks.iter().map(|track| track.track).collect();
        match create_files(&*self.disk, &next, &names) {
            Ok(files) => {
                let summary = self.close(0);
                self.spec = next;
                self.files = files;
                self.publish();
                (self.notify)(SegmentEvent::Rotated(summary));
            }
            Err(error) => tracing::warn!(recording = %self.spec.recording, n = next.n, %error, "the next segment cannot be opened; the open one goes on"),
        }
    }
}
