//! The supervision tree: one file an actor, dispatch only, its pure state machine beside it.
//!
//! Nobody outside holds an address: callers use [`platform::Platform`] with the tenant taken from the caller.
//! This crate must never know of HTTP or of a database driver.

pub mod calls;
pub mod platform;
