//! Ports to what is kept, each named for its shape; the conformance suites every adapter passes.
//!
//! This crate must never know of a database driver. Adapters are crates inside (`embedded/`, later `scylla/`,
//! `redis/`).

pub mod blobs;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod error;
pub mod journal;
pub mod kinds;
pub mod leases;
pub mod limits;
pub mod memory;
pub mod query;
pub mod records;
pub mod repo;
pub mod retention;
pub mod row;
pub mod secrets;
pub mod series;
pub mod sessions;
pub mod shared;

pub use error::StoreError;
