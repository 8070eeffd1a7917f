//! The end of a recording: track files into the blob store, the rendered WAV's hash, the manifest. Also what an
//! earlier life left: open segments are repaired first.

use super::manifest;
use crate::deps::Deps;
use aimg_domain::recording::{Recording, RecordingStatus, Segment, SegmentState, SegmentTrack};
use aimg_domain::{RecordingId, TrackId};
use aimg_recording::render::OpenedTrack;
use aimg_recording::{TrackFileError, render_sha256, repair};
use aimg_store::StoreError;
use aimg_store::blobs::{BlobPath, put_file};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub fn track_path(folder: &Path, recording: RecordingId, n: u32, track: TrackId) -> PathBuf {
    folder.join(format!("{recording}-{n:06}-{}.track", track.as_str()))
}

/// Cuts open segments behind their last whole block. Blocks: call it on a blocking thread.
pub fn repair_open(folder: &Path, recording: &mut Recording) {
    let id = recording.id;
    for segment in recording.segments.iter_mut().filter(|segment| segment.state == SegmentState::Open) {
        repair_segment(folder, id, segment);
    }
}

fn repair_segment(folder: &Path, recording: RecordingId, segment: &mut Segment) {
    let mut end = segment.from_media_time;
    for track in &mut segment.tracks {
        let path = track_path(folder, recording, segment.n, track.track);
        match repair(&path) {
            Ok(repaired) => {
                end = end.max(repaired.end);
                track.bytes = repaired.bytes;
                track.sha256 = Some(repaired.sha256);
                segment.gaps.extend(repaired.gaps);
            }
            Err(TrackFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "a track file could not be repaired: silence takes its place"),
        }
    }
    segment.samples = end - segment.from_media_time;
    segment.state = SegmentState::Repaired;
}

/// Keeps it: after this the manifest is final and the open files are gone.
pub async fn keep(deps: &Deps, mut recording: Recording, version: u64) -> Result<Recording, String> {
    for n in 0..recording.segments.len() {
        store_segment(deps, &mut recording, n).await?;
    }
    if recording.status != RecordingStatus::Failed {
        let (folder, manifest) = (deps.open.clone(), recording.clone());
        let rendered = tokio::task::spawn_blocking(move || render_sha256(&manifest, source(folder, manifest.id))).await;
        let (sha256, bytes) = rendered.map_err(|error| error.to_string())?.map_err(|error| format!("rendering: {error}"))?;
        recording.sha256 = Some(sha256);
        recording.bytes = bytes;
    }
    store_manifest(deps, &recording, version).await?;
    for segment in &recording.segments {
        for track in &segment.tracks {
            let _ = std::fs::remove_file(track_path(&deps.open, recording.id, segment.n, track.track));
        }
    }
    Ok(recording)
}

fn source(folder: PathBuf, recording: RecordingId) -> impl Fn(&Segment, TrackId) -> io::Result<Option<Box<dyn OpenedTrack>>> + Send + Clone {
    move |segment, track| match File::open(track_path(&folder, recording, segment.n, track)) {
        Ok(file) => Ok(Some(Box::new(file) as Box<dyn OpenedTrack>)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn store_segment(deps: &Deps, recording: &mut Recording, n: usize) -> Result<(), String> {
    let (id, tenant) = (recording.id, recording.tenant_id);
    let segment = &mut recording.segments[n];
    let number = segment.n;
    for track in &mut segment.tracks {
        let path = track_path(&deps.open, id, number, track.track);
        if track.blob.is_some() || !path.is_file() {
            continue;
        }
        let key = blob_key(&tenant.to_string(), id, number, track);
        put_file(deps.blobs.as_ref(), &BlobPath::from(key.as_str()), &path)
            .await
            .map_err(|error| format!("keeping {key}: {error}"))?;
        track.blob = Some(key);
    }
    Ok(())
}

fn blob_key(tenant: &str, recording: RecordingId, n: u32, track: &SegmentTrack) -> String {
    format!("recordings/{tenant}/{recording}/{n:06}-{}.track", track.track.as_str())
}

/// The record is small and must not be lost to a moment's trouble: tried for about a minute.
async fn store_manifest(deps: &Deps, recording: &Recording, version: u64) -> Result<(), String> {
    let (mut version, mut wait) = (version, Duration::from_millis(200));
    for _ in 0..10 {
        match deps.recordings.update(recording, version).await {
            Ok(_) => return Ok(()),
            // Written by an earlier try whose answer was lost, or by a command in between: ours is the later truth.
            Err(StoreError::Version { current: Some(current) }) => version = current,
            Err(StoreError::Unavailable(_)) => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(10));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("the store stays unavailable".into())
}

/// A recording that nobody goes on with: its call is over.
pub async fn finish_leftover(deps: &Deps, mut recording: Recording, version: u64) -> Result<Recording, String> {
    let folder = deps.open.clone();
    let repaired = tokio::task::spawn_blocking(move || {
        repair_open(&folder, &mut recording);
        recording
    });
    let mut recording = repaired.await.map_err(|error| error.to_string())?;
    manifest::conclude(&mut recording, deps.clock.now(), Some("the node went down while it was recording".into()));
    keep(deps, recording, version).await
}
