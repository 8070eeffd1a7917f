//! The embedded store passes every suite, on a real folder.

use crate::options;
use aimg_store::conformance::{self, Ports};
use tempfile::TempDir;

fn opener() -> impl AsyncFn() -> Ports {
    let data = TempDir::new().unwrap();
    async move || {
        let store = aimg_store_embedded::Embedded::open(data.path(), options()).unwrap();
        Ports {
            records: store.records,
            journal: store.journal,
            sessions: store.sessions,
            retention: store.retention,
            series: store.series,
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
