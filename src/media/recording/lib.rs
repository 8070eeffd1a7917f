//! Recordings: track files that survive a crash, the writer that fills them, and the WAV that is rendered from them.
//!
//! A recording has a *timeline*: samples since it began, at one rate. A track file holds blocks of audio with their place on it; what lies between
//! blocks is silence. Tracks are aligned by the arrival of their first frame and after that exactly by media time.
//!
//! This crate must never know of sockets, actors, the store's records, HTTP or a tenant's policy. Times are monotonic and handed in.

pub mod render;
pub mod timeline;
pub mod track_file;
pub mod writer;

pub use render::{RENDERER_VERSION, RenderError, TrackSource, WavLayout, WavRender, render_sha256};
pub use timeline::Timeline;
pub use track_file::{Block, RepairedTrack, TrackFile, TrackFileError, TrackHeader, TrackReader, repair};
pub use writer::{SegmentEvent, SegmentHandle, SegmentSnapshot, SegmentSpec, SegmentSummary, TrackInput, WriterPool};
