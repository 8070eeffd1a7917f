//! Asterisk, spoken: AMI and ARI as pure protocol (bytes and `now` in, facts and bytes out).
//!
//! This crate must never know of sockets, threads, clocks or our actors. `link/` (a crate inside) is the only
//! part with sockets.

pub mod ami;
pub mod ari;
pub mod fact;
pub mod object;
