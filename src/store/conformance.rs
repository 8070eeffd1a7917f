//! The suites every adapter runs in its tests: what a port promises, said once.
//!
//! A suite takes a function that opens the store. It may open it again, after dropping everything of the first
//! opening, and then expects all that was acknowledged. Suites panic when a promise is broken.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that lives in a library: a broken promise is a panic")]

mod awkward;
mod journal;
mod records;
mod repositories;
mod samples;
mod series;
mod sessions;

use crate::journal::Journal;
use crate::records::Records;
use crate::retention::Retention;
use crate::series::Series;
use crate::sessions::Sessions;
use std::sync::Arc;

pub use samples::{event, session, tenant_id, uuid};

/// What one opening of a store gives.
#[derive(Clone)]
pub struct Ports {
    pub records: Arc<dyn Records>,
    pub journal: Arc<dyn Journal>,
    pub sessions: Arc<dyn Sessions>,
    pub retention: Arc<dyn Retention>,
    pub series: Arc<dyn Series>,
}

/// All of them. `open` must give an empty store at the first call, and the same store at every later one.
pub async fn records(open: impl AsyncFn() -> Ports) {
    records::suite(open).await;
}

pub async fn repositories(open: impl AsyncFn() -> Ports) {
    repositories::suite(open).await;
}

pub async fn journal(open: impl AsyncFn() -> Ports) {
    journal::suite(open).await;
}

pub async fn sessions(open: impl AsyncFn() -> Ports) {
    sessions::suite(open).await;
}

pub async fn series(open: impl AsyncFn() -> Ports) {
    series::suite(open).await;
}
