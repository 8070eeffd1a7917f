//! The simulator over real sockets, with a client of the tests' own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod control;
mod fidelity;
mod hostile;
mod life;
mod taps;
