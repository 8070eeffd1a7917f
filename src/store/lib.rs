//! Ports to what is kept, each named for its shape; the conformance suites every adapter passes.
//!
//! This crate must never know of a database driver. Adapters are crates inside (`embedded/`, later `scylla/`,
//! `redis/`).

pub mod error;
pub mod journal;
pub mod records;
pub mod series;
pub mod sessions;

pub use error::StoreError;
