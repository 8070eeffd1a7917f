//! The adapters in memory pass every suite.
#![cfg(feature = "conformance")]

use aimg_store::conformance::{self, Ports};
use aimg_store::memory::{MemoryCalls, MemoryRecords, MemorySeries};
use parking_lot::Mutex;
use std::sync::Arc;

/// A store that is opened again: the same data, a new owner.
fn opener() -> impl AsyncFn() -> Ports {
    let records = Arc::new(MemoryRecords::new());
    let series = Arc::new(MemorySeries::new());
    let calls = Mutex::new(Arc::new(MemoryCalls::new("node-1")));
    async move || {
        let mut held = calls.lock();
        *held = Arc::new(held.reopened());
        Ports {
            records: records.clone(),
            journal: held.clone(),
            sessions: held.clone(),
            retention: held.clone(),
            series: series.clone(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records() {
    conformance::records(opener()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories() {
    conformance::repositories(opener()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journal() {
    conformance::journal(opener()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions() {
    conformance::sessions(opener()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn series() {
    conformance::series(opener()).await;
}
