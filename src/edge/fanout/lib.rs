//! Lanes: threads that are the only writers of websockets. An event is encoded once, handed to each lane that has a subscriber,
//! joined there with what else waits, and written with one system call a socket; no mailbox is on the way.
//!
//! Subscribing without a gap: a socket is attached *held* and its pushes are kept; whoever subscribes then reads the journal and
//! releases with the position up to which it has read; held pushes up to there are dropped, the rest follow the history. An event is
//! published only after it is committed, so it is in the journal, in the hold, or in both.
//!
//! This crate must never know of actors, of the journal, or of who may read what.

mod config;
mod inbox;
mod lane;
mod lanes;
mod publication;
mod shared;
mod socket;
mod stats;

pub use config::LanesConfig;
pub use lanes::{Lanes, Replaced};
pub use publication::{Publication, ReleaseOutcome};
pub use shared::{LaneEvent, LaneListener};
pub use socket::{AttachError, Attachment, LaneSocket};
pub use stats::LaneStats;
