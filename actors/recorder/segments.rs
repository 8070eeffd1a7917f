//! Segments of a recording: opened when the tap flows, found again after a death.

use super::{Current, Recorder, RecorderMessage, finish, manifest};
use crate::call::CallParts;
use crate::calls::session::MediaReport;
use aimg_actor_kit::ActorError;
use aimg_domain::recording::{Recording, RecordingStatus};
use aimg_domain::{RecordingId, TrackId};
use aimg_media_pump::StreamLease;
use aimg_recording::{SegmentEvent, SegmentHandle, SegmentSpec, Timeline, TrackInput};
use aimg_store::StoreError;
use aimg_store::records::PageRequest;
use std::sync::Arc;

impl Recorder {
    pub(super) async fn segment(&mut self, tap: u32) -> Result<(), ActorError> {
        let streams: Vec<_> = self.parts.keep.lock().streams.iter().map(|(track, lease)| (*track, lease.clone())).collect();
        let Some(rate) = streams.first().map(|(_, lease)| lease.sample_rate()) else {
            return Ok(());
        };
        let new = {
            let keep = self.keep.lock();
            keep.current.as_ref().is_none_or(|current| current.ending.is_some())
        };
        if new {
            if self.keep.lock().current.is_some() {
                // One is just being closed: what comes belongs to the next, which begins when somebody wants it.
                return Ok(());
            }
            self.create(&streams, rate).await?;
        }
        self.open(tap, streams);
        self.persist().await;
        let (id, status) = {
            let keep = self.keep.lock();
            let Some(current) = keep.current.as_ref() else { return Ok(()) };
            (current.recording.id, current.recording.status)
        };
        if new {
            self.report(MediaReport::RecordingStarted { recording: id });
        } else if status == RecordingStatus::Paused {
            self.with_handle(SegmentHandle::pause);
        }
        for answer in std::mem::take(&mut self.waiting) {
            answer.send(Ok(id));
        }
        Ok(())
    }

    async fn create(&mut self, streams: &[(TrackId, Arc<StreamLease>)], rate: u32) -> Result<(), ActorError> {
        let deps = &self.parts.deps;
        let (now, mono) = (deps.clock.now(), deps.clock.monotonic());
        let id = RecordingId(deps.ids.uuid());
        let tracks = streams.iter().map(|(track, _)| *track).collect();
        let recording = manifest::begin(id, self.parts.begin.live().tenant, self.parts.id, now, tracks, rate);
        let version = deps
            .recordings
            .create(&recording)
            .await
            .map_err(|error| ActorError::new(format!("the recording could not be stored: {error}")))?;
        self.keep.lock().current = Some(Current {
            recording,
            version,
            timeline: Timeline::starting(mono, rate),
            handle: None,
            ending: None,
        });
        Ok(())
    }

    fn open(&self, tap: u32, streams: Vec<(TrackId, Arc<StreamLease>)>) {
        let deps = &self.parts.deps;
        let mut keep = self.keep.lock();
        let told = keep.told.clone();
        let Some(current) = keep.current.as_mut() else { return };
        if let Some(handle) = current.handle.take() {
            handle.stop();
        }
        let from = current.timeline.at(deps.clock.monotonic());
        let n = manifest::open_segment(&mut current.recording, &deps.node, deps.epoch(), tap, from);
        let spec = SegmentSpec {
            recording: current.recording.id,
            n,
            node: deps.node.clone(),
            epoch: deps.epoch(),
            tap,
            folder: deps.open.clone(),
            timeline: current.timeline,
            from_media_time: from,
        };
        let inputs = streams.into_iter().map(|(track, lease)| TrackInput { track, reader: lease.reader() }).collect();
        let notify = Box::new(move |event| {
            // A recorder that is gone finds the files again by its manifest.
            if let Some(recorder) = told.lock().as_ref() {
                let _ = recorder.cast(RecorderMessage::Writer(event));
            }
        });
        match deps.writers.record(spec, inputs, notify) {
            Ok(handle) => current.handle = Some(handle),
            Err(error) => {
                current.recording.segments.pop();
                let _ = self.me.cast(RecorderMessage::Writer(SegmentEvent::Failed(error.to_string())));
            }
        }
    }

    pub(super) fn with_handle(&self, act: impl FnOnce(&SegmentHandle)) {
        if let Some(handle) = self.keep.lock().current.as_ref().and_then(|current| current.handle.as_ref()) {
            act(handle);
        }
    }

    /// The manifest as it is now; a store that is away is made good by the next change or at the end.
    pub(super) async fn persist(&self) {
        let Some((recording, version)) = self.keep.lock().current.as_ref().map(|current| (current.recording.clone(), current.version)) else {
            return;
        };
        let result = self.parts.deps.recordings.update(&recording, version).await;
        let mut keep = self.keep.lock();
        let Some(current) = keep.current.as_mut() else { return };
        match result {
            Ok(version) => current.version = version,
            Err(StoreError::Version { current: Some(version) }) => current.version = version,
            Err(error) => tracing::warn!(recording = %recording.id, %error, "the manifest could not be stored, will be with the next change"),
        }
    }
}

pub(super) fn is_open(recording: &Recording) -> bool {
    matches!(recording.status, RecordingStatus::Active | RecordingStatus::Paused)
}

/// The newest open recording of an earlier life, its open segment repaired; it goes on in a new one.
pub(super) async fn unfinished(parts: &CallParts) -> Result<Option<Current>, ActorError> {
    let deps = &parts.deps;
    let page = PageRequest {
        limit: 100,
        descending: true,
        after: None,
    };
    let found = deps.recordings.by_call(parts.begin.live().tenant, parts.id, page).await;
    let found = found.map_err(|error| ActorError::new(format!("the call's recordings could not be read: {error}")))?;
    let Some((mut recording, version)) = found.into_iter().find(|(recording, _)| is_open(recording)) else {
        return Ok(None);
    };
    let folder = deps.open.clone();
    let repaired = tokio::task::spawn_blocking(move || {
        finish::repair_open(&folder, &mut recording);
        recording
    });
    let recording = repaired.await.map_err(|error| ActorError::new(format!("repairing: {error}")))?;
    let elapsed = deps.clock.now().since(recording.started_at);
    let timeline = Timeline::continuing(deps.clock.monotonic(), elapsed, recording.sample_rate);
    let version = deps.recordings.update(&recording, version).await.unwrap_or(version);
    Ok(Some(Current {
        recording,
        version,
        timeline,
        handle: None,
        ending: None,
    }))
}

impl Recorder {
    pub(super) async fn repair_and_conclude(&mut self) {
        let folder = self.parts.deps.open.clone();
        let Some(mut recording) = self.keep.lock().current.as_ref().map(|current| current.recording.clone()) else {
            return;
        };
        let repaired = tokio::task::spawn_blocking(move || {
            finish::repair_open(&folder, &mut recording);
            recording
        });
        if let Ok(recording) = repaired.await
            && let Some(current) = self.keep.lock().current.as_mut()
        {
            current.recording = recording;
        }
        self.conclude();
    }
}
