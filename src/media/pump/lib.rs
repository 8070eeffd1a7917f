//! The media pump: threads that, every 2 ms, drain a few sockets of many streams each, and put decoded frames into rings.
//!
//! [`PumpSet`] owns the sockets, threads and streams. A [`StreamLease`] is the right to one stream; dropping it lets the stream rest for 2 s, in which the
//! same call and track may take it back with ring and source. Audio is read through [`aimg_media::FrameReader`]s and never passes a mailbox.
//!
//! This crate must never know of ARI, AMI, actors, tenants' policies, files or HTTP. It sends nothing.

mod batch;
mod error;
mod lease;
mod pump;
mod set;
mod slot;
mod snapshot;
mod socket;

pub use aimg_media::{Frame, FrameKind, FrameReader, Read};
pub use error::PumpError;
pub use lease::StreamLease;
pub use set::{PumpConfig, PumpSet, Rebound, Replaced, StreamSpec};
pub use snapshot::{PumpStats, SocketStats, Stranger, StreamSnapshot, StreamState};

#[cfg(test)]
mod tests;
