//! The vocabulary of the platform: what a tenant, a PBX, a call, a recording and an event *are*.
//!
//! Pure data and rules. This crate must never know of sockets, threads, clocks, databases, Asterisk's
//! syntax or HTTP. Time and identifiers are handed in (`clock`).

pub mod actor;
pub mod call;
pub mod caller;
pub mod clock;
pub mod event;
pub mod fault;
pub mod id;
pub mod link;
pub mod metric;
pub mod pattern;
pub mod pbx;
pub mod quality;
pub mod recording;
pub mod role;
pub mod secret;
pub mod tenant;
pub mod track;
pub mod user;

pub use call::{CallSession, CallState, Direction, Outcome};
pub use caller::Caller;
pub use clock::{Clock, IdSource, Timestamp};
pub use event::{Event, EventKind, NewEvent, Position};
pub use fault::{Fault, FieldFault};
pub use id::{CallId, PbxId, PbxLinkId, RecordingId, TenantId, UserId};
pub use role::{Permission, Role};
pub use track::TrackId;
