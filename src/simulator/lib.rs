//! An Asterisk that is not there: AMI, ARI and RTP on real sockets, calls from a seed, voices from a table.
//!
//! It serves `aimg demo`, the tests and the load generator. What it says is compared with captures of real Asterisk 16 and 22
//! (`testdata/`). The switch itself (`switch/`) is pure: requests and `now` in, events and media commands out; only `ami/server`,
//! `ari/server`, `rtp/sender` and `handle` know sockets and clocks.
//!
//! It must never know anything of the gateway that dials it: no store, no actor, none of our own protocol readers. If it shared a
//! parser with the client, both could be wrong in the same way.

mod ami;
mod ari;
mod audio;
mod clock;
mod config;
mod gate;
mod handle;
mod outbox;
mod rng;
mod rtp;
mod script;
mod switch;

pub use aimg_domain::track::TrackId;
pub use clock::SimTime;
pub use config::{AmiUser, AriUser, CallMix, Extension, Impairment, Numbering, SimConfig, StasisApp, Style};
pub use handle::{SimHandle, SimStats, Simulator};
pub use rtp::StreamInfo;
pub use script::{CallId, CallScript, CallView, Ending, Party, PlaceError, Route, Side};
