//! The WAV of a recording, rendered while it is sent: any range of it, with the memory of a few blocks.

use super::range::{self, Wanted};
use super::stored;
use crate::ask::Ask;
use crate::faults::{internal, of_store};
use crate::reply::{Body, Reply};
use aimg_domain::recording::{Recording, RecordingStatus, Segment};
use aimg_domain::{Fault, TrackId};
use aimg_recording::{RENDERER_VERSION, TrackSource, WavLayout, WavRender};
use aimg_store::blobs::{self, BlobPath, ObjectStore};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// What is sent at once, and how many of them wait for a slow client.
const PIECE_BYTES: usize = 64 * 1024;
const PIECES_WAITING: usize = 4;
/// Read of a blob at once.
const READ_BYTES: u64 = 256 * 1024;

pub async fn download(ask: Ask) -> Result<Reply, Fault> {
    let (recording, _) = stored(&ask).await?;
    if matches!(recording.status, RecordingStatus::Active | RecordingStatus::Paused) {
        return Err(Fault::not_possible("the recording is still going on"));
    }
    let length = WavLayout::of(&recording).map_err(|error| internal(&error.to_string()))?.len();
    let tag = tag(&recording);
    let header = |name: HeaderName| ask.headers.get(name).and_then(|value| value.to_str().ok());
    let reply = described(&recording, tag.as_deref());
    if let (Some(tag), Some(known)) = (&tag, header(IF_NONE_MATCH))
        && known
            .split(',')
            .any(|known| known.trim().trim_start_matches("W/") == tag || known.trim() == "*")
    {
        return Ok(reply.status(StatusCode::NOT_MODIFIED));
    }
    // With If-Range a part is only sent of exactly what the client has; weak tags and dates are never that.
    let same = header(IF_RANGE).is_none_or(|known| Some(known.trim()) == tag.as_deref());
    let part = match range::parse(header(RANGE).filter(|_| same), length) {
        Wanted::Whole => 0..length,
        Wanted::Part(part) => part,
        Wanted::Nothing => {
            let detail = format!("the file has {length} bytes");
            let refusal = Reply::problem(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", &detail);
            return Ok(refusal.header(CONTENT_RANGE, &format!("bytes */{length}")));
        }
    };
    let mut reply = reply.header(CONTENT_LENGTH, &(part.end - part.start).to_string());
    if part != (0..length) {
        let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
        reply = reply.status(StatusCode::PARTIAL_CONTENT).header(CONTENT_RANGE, &range);
    }
    let source = source(&ask, &recording).await?;
    if !ask.head {
        reply.body = send(&ask, recording, source, part)?;
    }
    Ok(reply)
}

/// The stored hash names the bytes as long as the renderer is the one that made them.
fn tag(recording: &Recording) -> Option<String> {
    let hash = recording.sha256.as_ref()?;
    if recording.renderer_version == RENDERER_VERSION {
        return Some(format!("\"{hash}\""));
    }
    Some(format!("\"{hash}-r{RENDERER_VERSION}\""))
}

fn described(recording: &Recording, tag: Option<&str>) -> Reply {
    let name = format!("attachment; filename=\"{}.wav\"", recording.id);
    let reply = Reply::new(StatusCode::OK)
        .header(CONTENT_TYPE, "audio/wav")
        .header(ACCEPT_RANGES, "bytes")
        .header(CACHE_CONTROL, "private, no-cache")
        .header(CONTENT_DISPOSITION, &name);
    match tag {
        Some(tag) => reply.header(ETAG, tag),
        None => reply,
    }
}

/// The recording's track files, each looked for before the first byte is promised.
async fn source(ask: &Ask, recording: &Recording) -> Result<Blobs, Fault> {
    let mut sizes = HashMap::new();
    for track in recording.segments.iter().flat_map(|segment| &segment.tracks) {
        let Some(key) = &track.blob else { continue };
        let size = blobs::size(ask.edge.blobs.as_ref(), &BlobPath::from(key.as_str())).await.map_err(of_store)?;
        let Some(size) = size else {
            tracing::error!(recording = %recording.id, blob = key, "a recording's audio is not in the blob store");
            return Err(Fault::not_found("the audio of this recording"));
        };
        sizes.insert(key.clone(), size);
    }
    Ok(Blobs {
        store: ask.edge.blobs.clone(),
        sizes: Arc::new(sizes),
        runtime: Handle::current(),
    })
}

/// Renders on a thread of its own into a bounded channel; it ends when the client goes away.
fn send(ask: &Ask, recording: Recording, source: Blobs, part: Range<u64>) -> Result<Body, Fault> {
    let slot = ask.edge.downloads.clone().try_acquire_owned().map_err(|_| Fault::TooMany {
        detail: "too many downloads at once".into(),
        retry_after_ms: 2000,
    })?;
    let (pieces, waiting) = mpsc::channel::<Result<Bytes, io::Error>>(PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        let _slot = slot;
        let id = recording.id;
        if let Err(error) = render(&recording, source, part, &pieces) {
            tracing::error!(%error, recording = %id, "a download broke off");
            let _ = pieces.blocking_send(Err(error));
        }
    });
    let stream = stream::unfold(waiting, |mut waiting| async move { waiting.recv().await.map(|piece| (piece, waiting)) });
    Ok(Body::Chunks(Box::pin(stream)))
}

fn render(recording: &Recording, source: Blobs, part: Range<u64>, pieces: &mpsc::Sender<Result<Bytes, io::Error>>) -> io::Result<()> {
    let mut wav = WavRender::new(recording, source, part)?;
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        wav.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
        if piece.is_empty() || pieces.blocking_send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
}

/// Track files in the blob store, as the renderer opens them. Used on blocking threads only.
#[derive(Clone)]
struct Blobs {
    store: Arc<dyn ObjectStore>,
    sizes: Arc<HashMap<String, u64>>,
    runtime: Handle,
}

impl TrackSource for Blobs {
    fn open(&self, segment: &Segment, track: TrackId) -> io::Result<Option<Box<dyn aimg_recording::render::OpenedTrack>>> {
        let row = segment.tracks.iter().find(|row| row.track == track);
        let Some(key) = row.and_then(|row| row.blob.as_ref()) else { return Ok(None) };
        let Some(size) = self.sizes.get(key) else { return Ok(None) };
        Ok(Some(Box::new(BlobFile {
            blobs: self.clone(),
            path: BlobPath::from(key.as_str()),
            size: *size,
            at: 0,
            buffer: Bytes::new(),
            buffer_at: 0,
        })))
    }
}

/// A blob as a file: read through a buffer, one request a buffer.
struct BlobFile {
    blobs: Blobs,
    path: BlobPath,
    size: u64,
    at: u64,
    buffer: Bytes,
    buffer_at: u64,
}

impl BlobFile {
    fn load(&mut self) -> io::Result<()> {
        let range = self.at..(self.at + READ_BYTES).min(self.size);
        let read = self.blobs.runtime.block_on(blobs::get_range(self.blobs.store.as_ref(), &self.path, range));
        self.buffer = read.map_err(io::Error::other)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        self.buffer_at = self.at;
        Ok(())
    }
}

impl Read for BlobFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size || out.is_empty() {
            return Ok(0);
        }
        let buffered = self.buffer_at..self.buffer_at + self.buffer.len() as u64;
        if !buffered.contains(&self.at) {
            self.load()?;
        }
        let from = usize::try_from(self.at - self.buffer_at).unwrap_or(usize::MAX);
        let ready = self.buffer.get(from..).unwrap_or_default();
        let n = ready.len().min(out.len());
        out[..n].copy_from_slice(&ready[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for BlobFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
