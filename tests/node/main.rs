//! One node, the real process, with the simulated PBX: calls, audio, recordings, bad days, from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that cannot go on says why and stops

mod actions;
mod audio;
mod bad_days;
mod calls;
mod cli;
mod death;
mod demo;
mod ear;
mod recording;
mod rig;
mod serve;
mod sockets;
mod tenants;
mod tree;
