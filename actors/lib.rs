//! The supervision tree: one file an actor, dispatch only, its pure state machine beside it.
//!
//! Nobody outside holds an address: callers use [`platform::Platform`] with the tenant taken from the caller.
//! This crate must never know of HTTP or of a database driver.

mod act;
mod alive;
mod audio_stream;
mod call;
mod call_media;
mod call_session;
mod call_supervisor;
pub mod calls;
pub mod connection;
pub mod deps;
mod journal;
pub mod live;
mod media_keep;
mod metrics_sampler;
pub mod node_platform;
mod originate;
mod pbx_connection;
pub mod pbx_handle;
mod pbx_link;
mod pbx_test;
pub mod platform;
mod reaper;
mod recorder;
pub mod relay;
pub mod root;
mod routing;
mod shard;
mod shard_region;
mod tenant_supervisor;
mod watch;
