//! One node with the simulated PBX, from outside: the demo, and what a newcomer tries first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a test that cannot go on says why and stops

mod demo;
mod serve;
