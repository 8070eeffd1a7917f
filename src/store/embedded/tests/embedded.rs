//! The embedded store from outside: promises of the ports, death at any moment, a full disk, files of other versions.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "embedded/conformance.rs"]
mod conformance;
#[path = "embedded/crash.rs"]
mod crash;
#[path = "embedded/disk_full.rs"]
mod disk_full;
#[path = "embedded/folder.rs"]
mod folder;

use aimg_domain::{Clock, Timestamp};
use aimg_store_embedded::Options;
use std::sync::Arc;
use std::time::Duration;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn options() -> Options {
    Options::new("node-1", Arc::new(Still))
}
